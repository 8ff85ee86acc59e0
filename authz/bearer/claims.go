package bearer

import (
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// claimName is a config.ClaimName, taken apart once.
type claimName struct {
	whole, path []string
}

func claimNames(names []config.ClaimName) []claimName {
	parsed := make([]claimName, 0, len(names))
	for _, name := range names {
		parsed = append(parsed, claimName{whole: []string{string(name)}, path: name.Path()})
	}
	return parsed
}

// find is the value of the first of several claims that is there and not null.
func find(claims *jose.Claims, names []claimName) (any, bool) {
	for _, name := range names {
		value, there := claims.Lookup(name.whole)
		if !there {
			value, there = claims.Lookup(name.path)
		}
		if there && value != nil {
			return value, true
		}
	}
	return nil, false
}

// describe makes a Token of claims that the Provider vouches for, and refuses those that are no access token's, lack what they need, or
// stand on the deny list. Nothing here depends on the time.
func (r *rules) describe(claims *jose.Claims) (*Token, *Refusal) {
	if refusal := r.checkKind(claims); refusal != nil {
		return nil, refusal
	}
	if refusal := r.checkRequired(claims); refusal != nil {
		return nil, refusal
	}
	t := r.begin(claims)
	if refusal := r.readParties(t, claims); refusal != nil {
		return nil, refusal
	}
	if refusal := r.readAssertions(t, claims); refusal != nil {
		return nil, refusal
	}
	if refusal := r.readConfirmation(t, claims); refusal != nil {
		return nil, refusal
	}
	if refusal := r.checkDenyList(t, claims); refusal != nil {
		return nil, refusal
	}
	return t, nil
}

// begin makes a Token of what has the same place in the tokens of all Providers.
func (r *rules) begin(claims *jose.Claims) *Token {
	return &Token{
		Provider: r.provider, Issuer: claims.Issuer, ID: claims.ID, Session: claims.SessionID, Audiences: claims.Audience,
		IssuedAt: claims.IssuedAt, Expires: claims.Expires, Claims: claims.All(),
	}
}

// checkRequired wants the claims that the Provider's configuration demands.
func (r *rules) checkRequired(claims *jose.Claims) *Refusal {
	for i, name := range r.required {
		if _, there := find(claims, []claimName{name}); !there {
			return &Refusal{reason.TokenClaimMissing, "the token has no claim " + string(r.provider.RequiredClaims[i])}
		}
	}
	return nil
}

// checkDenyList refuses a token whose parties have been read, if it was revoked.
func (r *rules) checkDenyList(t *Token, claims *jose.Claims) *Refusal {
	if r.revoked.names(t, t.Subject, claims.Subject) {
		return &Refusal{reason.TokenRevoked, "the token was revoked by the Provider " + r.quoted + "'s configuration"}
	}
	return nil
}

// otherKinds are tokens that an issuer signs by the same keys, and that let nobody in anywhere: logout tokens and other security
// events (RFC 8417), and what Keycloak calls refresh tokens in the claim `typ`.
var otherKinds = []string{"refresh", "offline", "logout"}

// checkKind refuses what is no access token (RFC 8725, section 2.8).
func (r *rules) checkKind(claims *jose.Claims) *Refusal {
	kind, _ := claims.All()["typ"].(string)
	kind = strings.ToLower(kind)
	if claims.Has("events") || slices.Contains(otherKinds, kind) {
		return &Refusal{reason.TokenType, "the token is no access token"}
	}
	if r.provider.AcceptIDTokens {
		return nil
	}
	if kind == "id" || claims.Has("nonce") || claims.Has("at_hash") || claims.Has("c_hash") {
		return &Refusal{reason.TokenType, "the token is an ID token, which was made for the application: send the access token"}
	}
	return nil
}

// readParties reads whom the token is about and to whom it was issued. Tokens of clients for themselves have no subject at some
// issuers: then the client is the subject (RFC 9068, section 2.2).
func (r *rules) readParties(t *Token, claims *jose.Claims) *Refusal {
	if value, there := find(claims, r.clientID); there {
		if t.ClientID = nameOf(value); t.ClientID == "" {
			return &Refusal{reason.TokenMalformed, "the token's claim of its client is not a text, or is empty, or has control characters"}
		}
	}
	value, there := find(claims, r.subject)
	switch {
	case there:
		if t.Subject = nameOf(value); t.Subject == "" {
			return &Refusal{reason.TokenMalformed, "the token's claim of its subject is not a text, or is empty, or has control characters"}
		}
	case claims.Subject == "" && !r.ours:
		t.Subject = t.ClientID
	}
	if t.Subject == "" {
		return &Refusal{reason.TokenClaimMissing, "the token does not say whom it is about, where the Provider " + r.quoted + " should"}
	}
	return nil
}

// nameOf is a claim that is a text without control characters, or empty.
func nameOf(value any) string {
	text, _ := value.(string)
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return ""
	}
	return text
}

// readAssertions reads the roles and scopes that the Provider may assert. Where it may assert none, the claim is not looked at: it can
// be anything then.
func (r *rules) readAssertions(t *Token, claims *jose.Claims) *Refusal {
	var ok bool
	if t.Roles, ok = assertions(claims, r.roles, r.provider.Roles, whole); !ok {
		return &Refusal{reason.TokenMalformed, "the token's claim of roles is neither a list of texts nor a text"}
	}
	if t.Scopes, ok = assertions(claims, r.scopes, r.provider.Scopes, words); !ok {
		return &Refusal{reason.TokenMalformed, "the token's claim of scopes is neither a list of texts nor a text"}
	}
	return nil
}

// whole is a text that is one role, spaces or not.
func whole(text string) []string { return []string{text} }

// words are what spaces part (RFC 6749, section 3.3). Empty ones are no scope and never allowed.
func words(text string) []string { return strings.Split(text, " ") }

// assertions are the texts of a claim that are allowed, each once; false if the claim has anything but texts.
func assertions(claims *jose.Claims, names []claimName, allowed map[string]bool, split func(string) []string) ([]string, bool) {
	if len(allowed) == 0 {
		return nil, true
	}
	value, there := find(claims, names)
	if !there {
		return nil, true
	}
	var asserted []string
	add := func(text string) {
		if allowed[text] && !slices.Contains(asserted, text) {
			asserted = append(asserted, text)
		}
	}
	switch value := value.(type) {
	case string:
		for _, text := range split(value) {
			add(text)
		}
	case []any:
		for _, element := range value {
			text, ok := element.(string)
			if !ok {
				return nil, false
			}
			add(text)
		}
	default:
		return nil, false
	}
	return asserted, true
}

// readConfirmation reads what the token is bound to (RFC 7800). A bound token has exactly one confirmation that is understood: a URI
// of the certificate in our own tokens of class hop, and in all others the certificate itself (RFC 8705, section 3.1). What is bound
// otherwise cannot be checked here and is refused, and so is a token of our own that is not bound.
func (r *rules) readConfirmation(t *Token, claims *jose.Claims) *Refusal {
	if claims.Confirmation == nil {
		if r.ours {
			return &Refusal{reason.TokenBinding, "the token is one of ours, and not bound to who presents it (cnf)"}
		}
		return nil
	}
	understood := false
	if len(claims.Confirmation) == 1 {
		if r.hop {
			t.BoundURI = nameOf(claims.Confirmation["san_uri"])
			understood = t.BoundURI != ""
		} else {
			t.BoundSHA256 = certificateOf(claims.Confirmation)
			understood = t.BoundSHA256 != ""
		}
	}
	if !understood {
		return &Refusal{reason.TokenBinding, "the token is bound to its bearer in a way that is not taken here (cnf)"}
	}
	return nil
}

// certificateOf is the SHA-256 in hexadecimal of the certificate that a token is bound to; empty where none is named.
func certificateOf(confirmation map[string]any) string {
	thumbprint, _ := confirmation[jose.ConfirmationCertificate].(string)
	sum, err := jose.CertificateSHA256(thumbprint)
	if err != nil {
		return ""
	}
	return sum
}
