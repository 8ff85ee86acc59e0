package propagation

import (
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// Kind is what becomes of the Authorization header.
type Kind int

// The kinds. Remove is the zero value: what nobody decided about does not go on.
const (
	// Remove takes away what the caller sent.
	Remove Kind = iota
	// Pass leaves what the caller sent, which has been verified.
	Pass
	// Set puts a token of ours in its place.
	Set
)

// Onward is what goes on to the next hop. Printing one, in whatever way, does not show the token.
type Onward struct {
	Kind Kind
	// Authorization is the whole value of the header; a secret. It is set exactly where Kind is Set.
	Authorization string `json:"-"`
	// Expires is the end of the token in Authorization.
	Expires time.Time
	// How says by which disposal it came, Provider by whom, and Origin where that is written; the last two are empty for none.
	How      config.DisposalKind
	Provider string
	Origin   config.Origin
}

// Name is what goes on in one word, as the configuration calls it: `pass`, `exchange`, `acquire`, `mint`; empty for nothing.
func (o Onward) Name() string {
	switch o.How {
	case config.DisposalPass:
		return "pass"
	case config.DisposalExchange:
		return "exchange"
	case config.DisposalAcquire:
		return "acquire"
	case config.DisposalMint:
		return "mint"
	default:
		return ""
	}
}

// String says what goes on, in words for records: "nothing", "the caller's own token", "a token acquired from corporate".
func (o Onward) String() string {
	switch o.Kind {
	case Pass:
		return "the caller's own token"
	case Set:
		return fmt.Sprintf("a token %s %s", participle(o.How), o.Provider)
	default:
		return "nothing"
	}
}

// GoString tells no more than String.
func (o Onward) GoString() string { return o.String() }

// Format tells no more than String, whatever the verb.
func (o Onward) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(o.String())) } // fmt has nobody to tell either

func participle(how config.DisposalKind) string {
	switch how {
	case config.DisposalExchange:
		return "exchanged at"
	case config.DisposalMint:
		return "minted as"
	default:
		return "acquired from"
	}
}

// Refusal says why an admitted request cannot go on.
type Refusal struct {
	// Reason is TokenUnavailable, ExchangeRefused, StepUpRequired, or TokenExpired where no time is left for another token.
	Reason reason.Reason
	// Detail is a sentence for people, with no token and no text of the caller's.
	Detail string
	// Origin is where the disposal is written.
	Origin config.Origin
	// Claims is the JSON object that the caller's client has to present at the authorization endpoint; for StepUpRequired.
	Claims string
}

func unavailable(disposal config.TokenDisposal, format string, arguments ...any) *Refusal {
	return &Refusal{Reason: reason.TokenUnavailable, Detail: fmt.Sprintf(format, arguments...), Origin: disposal.Origin}
}
