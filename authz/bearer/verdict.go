package bearer

import (
	"fmt"
	"io"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// Verdict is what came of judging a token: exactly one of the two is set. It is immutable.
type Verdict struct {
	Token   *Token
	Refusal *Refusal
}

// Refusal says why a token is not accepted.
type Refusal struct {
	Reason reason.Reason
	// Detail is a sentence for people, without any text of the caller's.
	Detail string
}

// Token is a token that was accepted, or is presumed to be. It is only read. Whoever prints it sees neither the token itself nor
// its claims.
type Token struct {
	// Provider is by whose rules it was judged.
	Provider *config.Provider
	// Issuer is the token's `iss`; the Provider's first where a token that was asked about has none.
	Issuer string
	// Subject is where the Provider's configuration says; the client's id where the token has no subject at all. Never empty. It is
	// the issuer's text, without control characters, and need not be ASCII.
	Subject string
	// ClientID, ID (`jti`) and Session (`sid`) are empty where the token has none.
	ClientID, ID, Session string
	// Audiences are all that the token names, not only ours.
	Audiences []string
	// Roles and Scopes are those that the Provider may assert, in the token's order, each once.
	Roles, Scopes []string
	// IssuedAt is zero where the token does not say it.
	IssuedAt time.Time
	// Expires is never zero. A token is accepted until the Provider's leeway has passed as well. Each answer about a token that its
	// Provider is asked about may tell another end.
	Expires time.Time
	// Claims are all claims, the registered ones too. The values are string, bool, nil, int64, float64, []any and map[string]any.
	Claims map[string]any
	// BoundSHA256 is the SHA-256 of the certificate that the token is bound to (RFC 8705, section 3.1), in lower-case hexadecimal;
	// empty if it is bound to none.
	BoundSHA256 string
	// BoundURI is the URI in the certificate of whoever presents a token of class hop; empty for others.
	BoundURI string
	// Raw is the token itself. It is a secret.
	Raw string `json:"-"`
}

// String names the token's Provider and nothing of the token.
func (t Token) String() string {
	if t.Provider == nil {
		return "a token"
	}
	return fmt.Sprintf("a token of the Provider %q", t.Provider.Name)
}

// GoString is String.
func (t Token) GoString() string { return t.String() }

// Format writes String, whatever the verb.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, t.String()) }

// refused makes a verdict of a refusal.
func refused(r *Refusal) *Verdict { return &Verdict{Refusal: r} }

// telling ranks the refusals of several Providers of one issuer, of which any could have accepted the token: those that the issuer's
// signature stands behind come first, that one cannot judge now comes before what the others could not know.
func telling(r reason.Reason) int {
	switch r {
	case reason.TokenRevoked, reason.TokenInactive:
		return 6
	case reason.TokenExpired, reason.TokenNotYetValid:
		return 5
	case reason.ProviderUnavailable:
		return 4
	case reason.TokenAudience, reason.TokenBinding, reason.TokenClaimMissing, reason.TokenMalformed:
		return 3
	case reason.TokenType:
		return 2
	case reason.TokenSignature:
		return 1
	default:
		return 0
	}
}
