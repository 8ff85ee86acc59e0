package policy_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// issuers are the Providers of the tests: two of others, and one of our own for each class.
const issuers = `
api_version: sallyport/v1
kind: Provider
metadata: {name: corporate}
spec: {issuers: ["https://login.example.org"], audiences: [api, other], resource_metadata: "https://api.example.org/.well-known/oauth-protected-resource"}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: partner-idp}
spec: {issuers: ["https://idp.example.org"], audiences: [api]}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: hop}
spec: {issuers: ["https://edge.example.org"], mint: {class: hop}}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: own}
spec: {issuers: ["https://api.example.org"], mint: {class: partner, grants: [{consumers: [mapps], audiences: [api], scopes: [read, write]}]}}
---
`

const (
	edgeURI = "spiffe://example.org/edge"
	byJWT   = `jwt: {providers: [corporate]}`
	open    = `authorize: [{name: all, everyone: true}]`
)

// tokenSpec is the policy `tested` with its spec, among the issuers, where mapps has tokens too.
func tokenSpec(spec string) string {
	return issuers + strings.Replace(policySpec(spec), "metadata: {name: mapps}\nspec:\n",
		"metadata: {name: mapps}\nspec:\n  tokens: [{provider: corporate, client_id: mapps-app}, {provider: partner-idp, subject: mapps}]\n", 1)
}

// wallet is the tokens that a fake judge knows, by what stands behind `Bearer`. Any other is malformed.
type wallet struct {
	tokens map[string]*bearer.Verdict
	// asked are the choices of providers and audiences for which it was asked.
	asked []string
}

func (w *wallet) judge(header string) policy.TokenJudge {
	return func(providers, audiences []string) *bearer.Verdict {
		w.asked = append(w.asked, strings.Join(providers, ",")+" "+strings.Join(audiences, ","))
		token, refusal := bearer.Parse(header)
		if refusal != nil {
			return &bearer.Verdict{Refusal: refusal}
		}
		verdict := w.tokens[token]
		switch {
		case verdict == nil:
			return &bearer.Verdict{Refusal: &bearer.Refusal{Reason: reason.TokenMalformed, Detail: "it is no token"}}
		case verdict.Refusal != nil:
			return verdict
		case !slices.Contains(providers, verdict.Token.Provider.Name):
			return &bearer.Verdict{Refusal: &bearer.Refusal{Reason: reason.TokenIssuer, Detail: "no provider of the policy issued it"}}
		case len(audiences) > 0 && !slices.ContainsFunc(audiences, func(a string) bool { return slices.Contains(verdict.Token.Audiences, a) }):
			return &bearer.Verdict{Refusal: &bearer.Refusal{Reason: reason.TokenAudience, Detail: "it is for another audience"}}
		}
		return verdict
	}
}

// newWallet makes a token of every kind.
func newWallet(t *testing.T, model *config.Model, c *callers) *wallet {
	t.Helper()
	mapps := c.partners.Issued("mapps")
	w := &wallet{tokens: map[string]*bearer.Verdict{
		"expired": {Refusal: &bearer.Refusal{Reason: reason.TokenExpired, Detail: "it has expired"}},
		"later":   {Refusal: &bearer.Refusal{Reason: reason.ProviderUnavailable, Detail: "there are no keys"}},
	}}
	add := func(name, provider string, change func(*bearer.Token)) {
		token := &bearer.Token{
			Provider: model.Provider(provider), Issuer: model.Provider(provider).Issuers[0], Subject: "alice", Audiences: []string{"api"},
			Expires: fixture.Noon.Add(time.Hour), Claims: map[string]any{"company": "7"}, Raw: name,
		}
		change(token)
		w.tokens[name] = &bearer.Verdict{Token: token}
	}
	add("alice", "corporate", func(k *bearer.Token) { k.Scopes, k.Roles = []string{"read"}, []string{"clerk"} })
	add("app", "corporate", func(k *bearer.Token) { k.ClientID, k.Subject = "mapps-app", "mapps-app" })
	add("idp-mapps", "partner-idp", func(k *bearer.Token) { k.Subject = "mapps" })
	add("bound", "corporate", func(k *bearer.Token) { k.BoundSHA256 = sha256Of(mapps.Raw) })
	add("bound-elsewhere", "corporate", func(k *bearer.Token) { k.BoundSHA256 = strings.Repeat("0", 64) })
	add("hop-anonymous", "hop", func(k *bearer.Token) { k.Subject, k.BoundURI = "anonymous", edgeURI })
	add("hop-mapps", "hop", func(k *bearer.Token) { k.Subject, k.BoundURI = "consumer:mapps", edgeURI })
	add("hop-suspended", "hop", func(k *bearer.Token) { k.Subject, k.BoundURI = "consumer:suspended", edgeURI })
	add("hop-gone", "hop", func(k *bearer.Token) { k.Subject, k.BoundURI = "consumer:gone", edgeURI })
	add("hop-alice", "hop", func(k *bearer.Token) { k.Subject, k.BoundURI = "token:corporate:alice", edgeURI })
	add("hop-unbound", "hop", func(k *bearer.Token) { k.Subject = "anonymous" })
	reference := map[string]any{
		"truststore": "partners", "issuer": "CN=partners", "serial": mapps.SerialNumber.Text(16), "x5t#S256": base64.RawURLEncoding.EncodeToString(make([]byte, 32)),
	}
	add("hop-certificate", "hop", func(k *bearer.Token) {
		k.Subject, k.BoundURI, k.Claims = "certificate:partners:CN=mapps", edgeURI, map[string]any{"certificate": reference}
	})
	add("hop-garbled", "hop", func(k *bearer.Token) {
		k.Subject, k.BoundURI, k.Claims = "certificate:partners:CN=mapps", edgeURI, map[string]any{"certificate": "CN=mapps"}
	})
	add("own-mapps", "own", func(k *bearer.Token) { k.Subject, k.BoundSHA256 = "consumer:mapps", sha256Of(mapps.Raw) })
	c.mapps, c.revocable = fixture.Encode(mapps), mapps
	return w
}

func sha256Of(der []byte) string {
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:])
}

// asksAs is asks with an Authorization header, or none.
func asksAs(t *testing.T, model *config.Model, certificate, authorization string) *request.Request {
	t.Helper()
	r := asks(model, certificate)
	headers := map[string]string{}
	if authorization != "" {
		headers["authorization"] = authorization
	}
	parsed, err := request.Parse(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Certificate: certificate},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: r.Method, Host: r.Host, Path: r.Path, Headers: headers,
		}},
		ContextExtensions: map[string]string{
			checkcontext.Gateway: r.Gateway, checkcontext.Listener: r.Listener, checkcontext.Entry: r.Entry, checkcontext.Route: r.Route,
			checkcontext.Rule: r.Rule, checkcontext.Policy: r.Policy, checkcontext.PolicyHash: r.PolicyVersion, checkcontext.Upstream: r.Upstream,
			checkcontext.UpstreamHash: r.UpstreamVersion,
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func presumed(provider string, scopes ...string) func(*config.Model) *bearer.Token {
	return func(model *config.Model) *bearer.Token {
		return &bearer.Token{Provider: model.Provider(provider), Scopes: scopes}
	}
}
