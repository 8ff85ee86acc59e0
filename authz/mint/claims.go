package mint

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/jose"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Bounds of what a token says, so that it fits into a header.
const (
	maxText   = 2 << 10 // bytes of one text
	maxTexts  = 100     // scopes, and roles
	maxScopes = 2 << 10 // bytes of all scopes, and of all roles
	maxExtra  = 2 << 10 // bytes of Extra in JSON
)

// Subjects of tokens of our own, as decisions name their callers.
const (
	// SubjectAnonymous is that of callers of whom nothing is known.
	SubjectAnonymous = "anonymous"
	// SubjectConsumer begins that of a Consumer; its name follows.
	SubjectConsumer = "consumer:"
)

// Claims are what a token says beside who made it and when.
type Claims struct {
	// Subject is whom the token is about: `anonymous`, `consumer:<name>`, `certificate:<truststore>:<subject>` or
	// `token:<provider>:<subject>`, as the decision names its caller. It is wanted.
	Subject string
	// ID is the token's own (RFC 7519, section 4.1.7); a random one if empty.
	ID string
	// ClientID is to whom it is issued; the Subject if empty.
	ClientID string
	// Audience is whom it is for. It is wanted.
	Audience string
	// Actor is who calls on behalf of the subject (RFC 8693, section 4.1): the name of our proxy. Empty for none.
	Actor string
	// Scopes and Roles of the subject (RFC 9068, section 2.2.3).
	Scopes, Roles []string
	// Confirmation is what the token is bound to. It is wanted.
	Confirmation Confirmation
	// Extra are claims that were taken over from another token. Those that are a token's own business are left out, whatever
	// stands there.
	Extra map[string]any
	// Certificate of the caller, by which the next hop can ask again whether it was revoked; nil if there is none.
	Certificate *identity.Reference
	// NotAfter is the end of what the token is made for, as the caller's certificate or token. Zero is no bound.
	NotAfter time.Time
}

// Confirmation is who may present a token (RFC 7800). One of the two is set: CertificateSHA256 for class partner, URI for class
// hop.
type Confirmation struct {
	// CertificateSHA256 is the SHA-256 of the presenter's certificate in lower-case hexadecimal (RFC 8705, section 3.1).
	CertificateSHA256 string
	// URI stands in the presenter's certificate. The certificate may be renewed meanwhile.
	URI string
}

// own are the claims that are a token's own business, and those that tell other kinds of tokens: no Extra is one of them.
var own = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "typ", "client_id", "azp", "act", "may_act", "cnf", "scope", "scp", "roles",
	claimCertificate, "nonce", "at_hash", "c_hash", "s_hash", "sid", "events",
}

// check wants the claims to be whole and bounded.
func (c Claims) check(class sallyportv1.TokenClass) error {
	switch {
	case c.Subject == "":
		return errors.New("it has no subject")
	case c.Audience == "":
		return errors.New("it has no audience")
	case isHop(class) && (c.Confirmation.URI == "" || c.Confirmation.CertificateSHA256 != ""):
		return errors.New("a token of class hop is bound to a URI, and to nothing else")
	case !isHop(class) && (c.Confirmation.CertificateSHA256 == "" || c.Confirmation.URI != ""):
		return errors.New("a token of class partner is bound to a certificate, and to nothing else")
	}
	for _, text := range []struct{ what, value string }{
		{"subject", c.Subject}, {"client", c.ClientID}, {"audience", c.Audience}, {"actor", c.Actor}, {"URI", c.Confirmation.URI},
	} {
		if len(text.value) > maxText {
			return fmt.Errorf("its %s has more than %d bytes", text.what, maxText)
		}
	}
	if err := checkTexts("scope", c.Scopes); err != nil {
		return err
	}
	if slices.ContainsFunc(c.Scopes, func(scope string) bool { return !isScope(scope) }) {
		return errors.New("a scope has characters that none has (RFC 6749, section 3.3)")
	}
	return checkTexts("role", c.Roles)
}

func checkTexts(what string, texts []string) error {
	size := 0
	for _, text := range texts {
		size += len(text)
	}
	if len(texts) > maxTexts || size > maxScopes {
		return fmt.Errorf("it has more than %d %ss, or more than %d bytes of them", maxTexts, what, maxScopes)
	}
	return nil
}

// isScope tells whether a text is one scope-token (RFC 6749, section 3.3).
func isScope(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return text != ""
}

// encode makes the claims of a token, but for who makes it and when (RFC 9068, section 2.2).
func (c Claims) encode() (map[string]any, error) {
	claims := make(map[string]any)
	for name, value := range c.Extra {
		if !slices.Contains(own, name) {
			claims[name] = value
		}
	}
	if text, err := json.Marshal(claims); err != nil {
		return nil, errors.New("the claims that are taken over cannot be written")
	} else if len(text) > maxExtra {
		return nil, fmt.Errorf("the claims that are taken over have more than %d bytes", maxExtra)
	}
	claims["sub"], claims["aud"], claims["client_id"] = c.Subject, c.Audience, c.ClientID
	if c.ClientID == "" {
		claims["client_id"] = c.Subject
	}
	if c.Actor != "" {
		claims["act"] = map[string]any{"sub": c.Actor}
	}
	if len(c.Scopes) > 0 {
		claims["scope"] = strings.Join(c.Scopes, " ")
	}
	if len(c.Roles) > 0 {
		claims["roles"] = c.Roles
	}
	if c.Certificate != nil {
		certificate, err := encodeReference(c.Certificate)
		if err != nil {
			return nil, err
		}
		claims[claimCertificate] = certificate
	}
	confirmation, err := c.Confirmation.encode()
	claims["cnf"] = confirmation
	return claims, err
}

func (c Confirmation) encode() (map[string]any, error) {
	if c.URI != "" {
		return map[string]any{"san_uri": c.URI}, nil
	}
	thumbprint, err := jose.CertificateThumbprint(c.CertificateSHA256)
	return map[string]any{jose.ConfirmationCertificate: thumbprint}, err
}
