package bearer

import (
	"slices"
	"strconv"

	"github.com/sallyport-project/sallyport/authz/reason"
)

// Presume is what Judge would say of a good token that nobody has, and of which no more is known than this: whether it is of one of
// the Providers, and for the right audience, as for Judge. One without audiences is taken to be for the right one.
func Presume(token *Token, providers, audiences []string) *Verdict {
	if !slices.Contains(providers, token.Provider.Name) {
		return refused(&Refusal{reason.TokenIssuer, "the token is of the Provider " + strconv.Quote(token.Provider.Name) + ", and the policy takes none of it"})
	}
	if len(token.Audiences) > 0 {
		judging := &rules{provider: token.Provider}
		if refusal := judging.checkAudience(token.Audiences, audiences); refusal != nil {
			return refused(refusal)
		}
	}
	return &Verdict{Token: token}
}
