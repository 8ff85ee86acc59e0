package devissuer

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"maps"
	"strings"
	"time"
)

// TokenSpec is a token that is asked for outright. The zero value is one with which nothing is wrong, and which says
// nothing beyond whom it is about. Each of the faults is the only one, so that what refuses the token is what was meant to.
type TokenSpec struct {
	// Subject that it is about; default `somebody`.
	Subject string
	// ClientID that it was issued to; default that of the app.
	ClientID string
	// Roles and Scopes that it asserts, also those that the Provider may not assert.
	Roles, Scopes []string
	// Audiences that it is for; default the first of the Provider's.
	Audiences []string
	// Claims that it has besides, or instead; one that is nil is left out.
	Claims map[string]any
	// Expired: it ran out an hour ago.
	Expired bool
	// NotYet: it is good in an hour only (`nbf`).
	NotYet bool
	// IDToken: it has the type and the claims of an ID token, for the same audience.
	IDToken bool
	// UnknownKey: a key signed it that is in no key set.
	UnknownKey bool
	// Type is the header `typ`; default that of its kind.
	Type string
	// Actor who acts for the subject (`act`, RFC 8693, section 4.1).
	Actor string
	// Lifetime; default that of all tokens.
	Lifetime time.Duration
	// Confirmation binds it to a key (`cnf`, RFC 7800), such as {"x5t#S256": …}.
	Confirmation map[string]any
}

// Token makes a token outright, by the keys that the issuer of a Provider has, for Test cases and simulations. It needs no
// listener.
func (s *Server) Token(provider string, spec TokenSpec) (string, error) {
	r, ok := s.realm(provider)
	if !ok {
		return "", fmt.Errorf("the Provider %s has no development issuer", provider)
	}
	key := r.key
	if spec.UnknownKey {
		var err error
		if key, err = s.keys.stranger(r.key.algorithm); err != nil {
			return "", err
		}
	}
	claims, err := r.specified(spec)
	if err != nil {
		return "", err
	}
	tokenType := TokenType
	if spec.IDToken {
		tokenType = typeIDToken
	}
	if spec.Type != "" {
		tokenType = spec.Type
	}
	return key.sign(tokenType, claims)
}

// specified are the claims that a specification asks for.
func (r *realm) specified(spec TokenSpec) (map[string]any, error) {
	c := content{
		subject: spec.Subject, clientID: spec.ClientID, audiences: spec.Audiences, roles: spec.Roles, scopes: spec.Scopes,
		lifetime: spec.Lifetime,
	}
	if c.subject == "" {
		c.subject = "somebody"
	}
	if c.clientID == "" {
		c.clientID = AppClient
	}
	if spec.Actor != "" {
		c.actor = map[string]any{"sub": spec.Actor}
	}
	claims, err := r.claims(c)
	if err != nil {
		return nil, err
	}
	now := r.clock()
	if spec.Expired {
		claims["iat"] = now.Add(-time.Hour - Lifetime).Unix()
		claims["exp"] = now.Add(-time.Hour).Unix()
	}
	if spec.NotYet {
		claims["nbf"] = now.Add(time.Hour).Unix()
		claims["exp"] = now.Add(time.Hour + Lifetime).Unix()
	}
	if spec.IDToken {
		claims["nonce"], claims["auth_time"], claims["azp"] = rand.Text(), now.Unix(), c.clientID
	}
	if spec.Confirmation != nil {
		claims["cnf"] = spec.Confirmation
	}
	maps.Copy(claims, spec.Claims)
	maps.DeleteFunc(claims, func(_ string, value any) bool { return value == nil })
	return claims, nil
}

// content is what an access token is to say.
type content struct {
	subject, clientID string
	// audiences that it is for; none for the Provider's first.
	audiences     []string
	roles, scopes []string
	// actor is the claim `act`; nil without.
	actor map[string]any
	// lifetime; 0 for that of all tokens.
	lifetime time.Duration
}

// claims are those of an access token (RFC 9068, section 2.2), with roles and scopes where the Provider reads them.
func (r *realm) claims(c content) (map[string]any, error) {
	if c.lifetime == 0 {
		c.lifetime = Lifetime
	}
	if len(c.audiences) == 0 && len(r.issuer.Audiences) > 0 {
		c.audiences = r.issuer.Audiences[:1]
	}
	now := r.clock()
	claims := map[string]any{
		"iss": r.url(), "sub": c.subject, "client_id": c.clientID, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(c.lifetime).Unix(),
	}
	switch len(c.audiences) {
	case 0:
	case 1:
		claims["aud"] = c.audiences[0]
	default:
		claims["aud"] = c.audiences
	}
	if c.actor != nil {
		claims["act"] = c.actor
	}
	if err := putClaim(claims, r.issuer.SubjectClaim, c.subject); err != nil {
		return nil, err
	}
	if len(c.roles) > 0 {
		if err := putClaim(claims, r.issuer.RolesClaim, c.roles); err != nil {
			return nil, err
		}
	}
	if len(c.scopes) > 0 {
		return claims, putClaim(claims, r.issuer.ScopesClaim, strings.Join(c.scopes, " "))
	}
	return claims, nil
}

// accessToken is a signed access token.
func (r *realm) accessToken(c content) (string, error) {
	claims, err := r.claims(c)
	if err != nil {
		return "", err
	}
	return r.key.sign(TokenType, claims)
}

// idToken tells a client who signed in (OpenID Connect Core, section 2), and belongs to one access token.
func (r *realm) idToken(g grant, accessToken string) (string, error) {
	now := r.clock()
	claims := map[string]any{
		"iss": r.url(), "sub": g.user.Name, "aud": g.clientID, "azp": g.clientID, "name": g.user.Name,
		"iat": now.Unix(), "exp": now.Add(Lifetime).Unix(), "auth_time": g.at.Unix(), "at_hash": r.tokenHash(accessToken),
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	return r.key.sign(typeIDToken, claims)
}

// tokenHash is the left half of a token's hash, by the hash of the signature's algorithm (OpenID Connect Core, section
// 3.1.3.6; for EdDSA, SHA-512).
func (r *realm) tokenHash(token string) string {
	var h hash.Hash
	switch algorithm := string(r.key.algorithm); {
	case strings.HasSuffix(algorithm, "256"):
		h = sha256.New()
	case strings.HasSuffix(algorithm, "384"):
		h = sha512.New384()
	default:
		h = sha512.New()
	}
	h.Write([]byte(token))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// verify gives the claims of a token of this issuer that has not run out.
func (r *realm) verify(token string) (map[string]any, error) {
	claims, err := r.key.verify(token)
	if err != nil {
		return nil, err
	}
	if claims["iss"] != r.url() {
		return nil, fmt.Errorf("it is of another issuer than %s", r.url())
	}
	if r.remaining(claims) <= 0 {
		return nil, fmt.Errorf("it ran out")
	}
	return claims, nil
}

// remaining is how long a token is still good.
func (r *realm) remaining(claims map[string]any) time.Duration {
	expires, _ := claims["exp"].(float64)
	return time.Unix(int64(expires), 0).Sub(r.clock())
}
