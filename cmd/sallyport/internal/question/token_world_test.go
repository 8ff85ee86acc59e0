package question_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/expression"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// The names that Providers and their tokens are made of.
var (
	providers  = []string{"idp0", "idp1"}
	tokenRoles = []string{"tr0", "tr1", "tr2"}
	scopes     = []string{"ts0", "ts1", "ts2"}
	subjects   = []string{"s0", "s1"}
	clients    = []string{"app0", "app1"}
)

// signers are the keys of the Providers, the same in all worlds.
var signers = sync.OnceValue(func() map[string]*jose.Signer {
	all := map[string]*jose.Signer{}
	for _, name := range providers {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			panic(err)
		}
		if all[name], err = jose.NewSigner(key); err != nil {
			panic(err)
		}
	}
	return all
})

// issuers stand for the Providers where decisions are real: they have key sets, and give no tokens.
type issuers struct{ *world }

var _ tokens.Substitute = issuers{}

func (i issuers) KeySet(provider string) []byte {
	set, err := jose.MarshalKeySet([]jose.Key{i.signers[provider].Public()})
	if err != nil {
		i.t.Fatal(err)
	}
	return set
}

func (issuers) Token(context.Context, tokens.Wanted) (*idp.Token, error) {
	return nil, errors.New("none is given")
}

func (w *world) providers() {
	for i, name := range providers {
		w.add("kind: Provider\nmetadata: {name: %s}\nspec:\n  issuers: [\"https://%s.example.org\"]\n  audiences: [a0, a1]\n  may_assert: {roles: %s, scopes: %s}",
			name, name, list(w.some(tokenRoles, 1+i)), list(w.some(scopes, 1+i)))
	}
}

// tokenConditions are what rules demand further where tokens count.
var tokenConditions = []string{
	"'tr0' in token.roles",
	"token.subject == 's0'",
	"token.provider == 'idp0' || request.method == 'GET'",
	"has(token.claims.company) && token.claims.company == 'a'",
	"has(token.claims.company) && has(path.x) && token.claims.company == path.x",
	"subject == 'token:idp0:s1'",
	"token.expires > request.time && size(token.scopes) < 2",
	"token.client_id == 'app0' || 'tr1' in token.roles",
	"token.issuer.contains('idp1')",
	"size(token.audiences) == 1",
}

// shown is what a caller really comes with.
type shown struct {
	estate.Credentials
	// token is its bearer token, of which claims are told; empty for none.
	token string
	facts *expression.Token
}

// sign makes a real token of what is presumed of one, and of things that nobody has told.
func (w *world) sign(wanted *adminv1.PresumedToken) shown {
	w.t.Helper()
	p := w.model.Provider(wanted.GetProvider())
	subject, client := wanted.GetSubject(), wanted.GetClientId()
	if subject == "" {
		subject = w.one(subjects)
	}
	if client == "" {
		client = w.one(clients)
	}
	expires := noon.Add(30 * 24 * time.Hour)
	claims := map[string]any{
		"iss": p.Issuers[0], "sub": subject, "client_id": client, "iat": noon.Add(-time.Minute).Unix(), "exp": expires.Unix(),
		"roles": append([]string{}, wanted.GetRoles()...), "scope": append([]string{}, wanted.GetScopes()...),
	}
	audiences := wanted.GetAudiences()
	if len(audiences) == 0 {
		audiences = []string{"a0", "a1"}
	}
	claims["aud"] = audiences
	if w.chance(60) {
		claims["company"] = w.one(segments)
	}
	token, err := w.signers[p.Name].Sign("at+jwt", claims)
	if err != nil {
		w.t.Fatal(err)
	}
	read, err := jose.Parse(token)
	if err != nil {
		w.t.Fatal(err)
	}
	return shown{token: token, facts: &expression.Token{
		Provider: p.Name, Issuer: p.Issuers[0], Subject: subject, ClientID: client, Audiences: audiences, Roles: wanted.GetRoles(),
		Scopes: wanted.GetScopes(), IssuedAt: noon.Add(-time.Minute), Expires: expires, Claims: read.Claims.All(),
	}}
}

// presumedToken is a token of which a few things are told, all of them such that its Provider may assert them.
func (w *world) presumedToken() *adminv1.PresumedToken {
	p := w.model.Provider(w.one(providers))
	wanted := &adminv1.PresumedToken{Provider: p.Name, Roles: w.allowed(tokenRoles, p.Roles), Scopes: w.allowed(scopes, p.Scopes)}
	if w.chance(50) {
		wanted.Subject = w.one(subjects)
	}
	if w.chance(30) {
		wanted.ClientId = w.one(clients)
	}
	if w.chance(30) {
		wanted.Audiences = []string{w.one([]string{"a0", "a1"})}
	}
	return wanted
}

func (w *world) allowed(of []string, by map[string]bool) []string {
	var found []string
	for _, name := range w.some(of, 0) {
		if by[name] {
			found = append(found, name)
		}
	}
	return found
}

// consumerToken is one by which a consumer is recognised, and nothing else is in it.
func consumerToken(match *config.TokenMatch) *adminv1.PresumedToken {
	return &adminv1.PresumedToken{Provider: match.Provider.Name, Subject: match.Subject, ClientId: match.ClientID}
}

// tokenMatch is a way to recognise a consumer by its tokens. No two have the same.
func tokenMatch(consumer string) string {
	return fmt.Sprintf("{provider: idp0, client_id: client-of-%s}", consumer)
}
