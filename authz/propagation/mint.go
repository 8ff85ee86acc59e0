package propagation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// minted is a token that was made, with all that it says.
type minted struct {
	token   string
	expires time.Time
	// until is the middle of its life: whoever gets it has the other half.
	until time.Time
}

// mint gives a token of our own. Requests of which it would say the same share one, for the first half of its life.
func (p *Propagator) mint(d *policy.Decision, disposal config.TokenDisposal, party Party, now time.Time) (Onward, *Refusal) {
	if party.Minter == nil {
		return Onward{}, unavailable(disposal, "the Provider %s has no key to sign with", quote(disposal.Provider.Name))
	}
	if d.Token != nil && !now.Before(d.Token.Expires.Truncate(time.Second)) { // in the Provider's leeway
		return Onward{}, &Refusal{Reason: reason.TokenExpired, Origin: disposal.Origin, Detail: "the token has run out, and another cannot be made for it any more"}
	}
	claims := claimsOf(d, disposal)
	k, err := mintKey(claims, disposal, party.Version)
	if err != nil {
		return Onward{}, unavailable(disposal, "the claims of the caller's token cannot be taken over")
	}
	if held, found := p.minted.Get(k); found && now.Before(held.until) {
		return set(disposal, held.token, held.expires)
	}
	token, expires, err := party.Minter.Mint(claims, now)
	if err != nil {
		p.settings.Logger.Error("a token for an upstream cannot be made", "provider", disposal.Provider.Name, "at", disposal.Origin.String(), "error", err)
		return Onward{}, unavailable(disposal, "the Provider %s cannot make a token: %v", quote(disposal.Provider.Name), err)
	}
	p.minted.Add(k, minted{token: token, expires: expires, until: now.Add(expires.Sub(now) / 2)})
	return set(disposal, token, expires)
}

// mintKey tells apart all that a token says, who makes it and with which keys: the claims are in it as they are.
func mintKey(claims mint.Claims, disposal config.TokenDisposal, version string) (string, error) {
	text, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return key(disposal.Provider.Name, version, disposal.ID, hex.EncodeToString(sum[:])), nil
}

// claimsOf are what a token says of a caller: who it is, to whom, on whose behalf, and of its own token's claims those that the
// disposal names.
func claimsOf(d *policy.Decision, disposal config.TokenDisposal) mint.Claims {
	claims := mint.Claims{
		Subject: d.Subject(), ClientID: disposal.BoundTo, Actor: disposal.BoundTo, Audience: disposal.Audience,
		Confirmation: mint.Confirmation{URI: disposal.BoundTo}, Certificate: d.Reference(),
	}
	if claims.Subject == "" {
		claims.Subject = mint.SubjectAnonymous
	}
	if c := d.Certificate; c != nil && d.Truststore != "" {
		claims.NotAfter = c.NotAfter
	}
	if d.Token != nil {
		if claims.NotAfter.IsZero() || d.Token.Expires.Before(claims.NotAfter) {
			claims.NotAfter = d.Token.Expires
		}
		takeOver(&claims, d.Token, disposal)
	}
	return claims
}

// takeOver copies the claims that the disposal names. Roles and scopes are those that the caller's Provider may assert, by whatever
// name they are asked for.
func takeOver(claims *mint.Claims, token *bearer.Token, disposal config.TokenDisposal) {
	for _, name := range disposal.Claims {
		switch {
		case names(name, "roles", token.Provider.Claims.Roles, disposal.Provider.Claims.Roles):
			claims.Roles = token.Roles
		case names(name, "scope", token.Provider.Claims.Scopes, disposal.Provider.Claims.Scopes):
			claims.Scopes = token.Scopes
		default:
			value, found := lookup(token.Claims, config.ClaimName(name))
			if !found {
				continue
			}
			if claims.Extra == nil {
				claims.Extra = make(map[string]any, len(disposal.Claims))
			}
			claims.Extra[name] = value
		}
	}
}

// names tells whether a claim is the one meant, by its usual name or by that of either Provider.
func names(name, usual string, mappings ...[]config.ClaimName) bool {
	return name == usual || slices.ContainsFunc(mappings, func(m []config.ClaimName) bool { return slices.Contains(m, config.ClaimName(name)) })
}

// lookup finds a claim by its whole name, or else by its path.
func lookup(claims map[string]any, name config.ClaimName) (any, bool) {
	if value, found := claims[string(name)]; found {
		return value, true
	}
	path := name.Path()
	if path == nil {
		return nil, false
	}
	var value any = claims
	for _, step := range path {
		object, is := value.(map[string]any)
		if !is {
			return nil, false
		}
		if value, is = object[step]; !is {
			return nil, false
		}
	}
	return value, true
}
