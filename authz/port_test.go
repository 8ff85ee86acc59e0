package authz_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/signingkey"
)

const (
	registry = "../examples/vessel-registry"
	edgeURI  = "spiffe://example.org/edge"
	issuer   = "https://login.example.org/tenant/v2.0"
)

// standIn is the identity provider of the example, without a network.
type standIn struct {
	signer *jose.Signer
	clock  *clock

	mu     sync.Mutex
	wanted []tokens.Wanted
	fault  error
	stuck  bool
}

func newStandIn(t testing.TB, clock *clock) *standIn {
	t.Helper()
	signer, err := jose.NewSigner(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return &standIn{signer: signer, clock: clock}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (s *standIn) KeySet(provider string) []byte {
	if provider != "corporate" {
		return nil
	}
	set, err := jose.MarshalKeySet([]jose.Key{s.signer.Public()})
	if err != nil {
		panic(err)
	}
	return set
}

func (s *standIn) Token(ctx context.Context, wanted tokens.Wanted) (*idp.Token, error) {
	s.mu.Lock()
	s.wanted = append(s.wanted, wanted)
	fault, stuck := s.fault, s.stuck
	s.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if fault != nil {
		return nil, fault
	}
	claims := map[string]any{"sub": "edge", "client_id": "edge", "aud": "api://vessels"}
	if wanted.Subject != "" {
		of, err := jose.Parse(wanted.Subject)
		if err != nil {
			return nil, err
		}
		claims = map[string]any{"sub": of.Claims.Subject, "aud": wanted.Audience, "act": map[string]any{"sub": "edge"}}
	}
	return &idp.Token{Access: s.sign(claims), Type: "Bearer", Expires: s.clock.Now().Add(time.Hour)}, nil
}

// sign makes a token that is good for an hour, but for what the claims say.
func (s *standIn) sign(claims map[string]any) string {
	now := s.clock.Now()
	for name, value := range map[string]any{"iss": issuer, "aud": "api://vessels", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()} {
		if _, given := claims[name]; !given {
			claims[name] = value
		}
	}
	token, err := s.signer.Sign("at+jwt", claims)
	if err != nil {
		panic(err)
	}
	return token
}

func (s *standIn) user(subject string, roles ...string) string {
	return s.sign(map[string]any{"sub": subject, "roles": roles, "scp": "vessels.search"})
}

func (s *standIn) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.wanted)
}

// port is the example of the vessel registry with an identity provider, and certificates of its parties.
type port struct {
	*house
	idp           *standIn
	edge, partner string // certificates
}

func newPort(t testing.TB, changes ...func(*authz.Config)) *port {
	t.Helper()
	p := &port{}
	p.house = newHouse(t, append([]func(*authz.Config){func(c *authz.Config) {
		var err error
		now := &clock{now: c.Clock()}
		p.idp = newStandIn(t, now)
		if c.Tokens, err = tokens.New(tokens.Config{Clock: c.Clock, Substitute: p.idp}); err != nil {
			t.Fatal(err)
		}
	}}, changes...)...)
	p.idp.clock = p.clock
	p.model = fixture.Load(t, registry)
	p.material.Providers = map[string]*inventory.Provider{}
	for _, name := range []string{"hop", "partner-tokens"} {
		p.material.Providers[name] = &inventory.Provider{Name: name, SigningKeys: signingKeys(t)}
	}
	p.Apply(p.model, p.material)
	p.edge, p.partner = p.internal.Client("", fixture.URI(edgeURI)), p.partners.Client("registry-sync")
	return p
}

func signingKeys(t testing.TB) *signingkey.Set {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	set, err := signingkey.FromMaterial(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// call is a request to a rule of the edge.
func (p *port) call(rule, path, bearer string) ask {
	a := ask{gateway: "edge", host: "api.example.org", route: "api", rule: rule, method: "GET", path: path}
	if bearer != "" {
		a.headers = map[string]string{"authorization": "Bearer " + bearer}
	}
	return a
}

// behind is what the edge sends on to the sidecar.
func (p *port) behind(rule, path, bearer string) ask {
	a := p.call(rule, path, bearer)
	a.gateway, a.host, a.route, a.certificate = "sidecar", "vessels.internal", "vessels", p.edge
	return a
}

// onward is the token that goes on; it is set, or the header is removed.
func onward(t testing.TB, response *authv3.CheckResponse) string {
	t.Helper()
	ok := response.GetOkResponse()
	value, set := setBy(ok)["authorization"]
	if removed := slices.Contains(ok.GetHeadersToRemove(), "authorization"); removed == set {
		t.Errorf("the header is set: %t, and removed: %t", set, removed)
	}
	return strings.TrimPrefix(value, "Bearer ")
}

func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	parsed, err := jose.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Claims.All()
}

// answers asks a rule that answers by itself.
func (p *port) answers(rule, method, path, body, certificate, answer, provider string) (*authv3.DeniedHttpResponse, *policy.Decision) {
	p.Helper()
	check := p.checkAnswer(rule, method, path, certificate, answer, provider)
	check.Attributes.Request.Http.Body = body
	check.Attributes.Request.Http.Headers["content-type"] = "application/x-www-form-urlencoded"
	response, decision, err := p.Decide(p.Context(), "edge", check)
	if err != nil || response.GetOkResponse() != nil {
		p.Fatalf("%v, error %v", response, err)
	}
	return response.GetDeniedResponse(), decision
}

func (p *port) checkAnswer(rule, method, path, certificate, answer, provider string) *authv3.CheckRequest {
	p.Helper()
	like := p.call("search", path, "")
	like.method, like.certificate = method, certificate
	check := p.check(like)
	extensions := check.GetAttributes().GetContextExtensions()
	delete(extensions, checkcontext.Upstream)
	delete(extensions, checkcontext.UpstreamHash)
	for _, r := range p.model.Route("api").Rules {
		if r.Name == rule {
			extensions[checkcontext.Policy], extensions[checkcontext.PolicyHash] = r.Policy.Name, r.Policy.Version
		}
	}
	extensions[checkcontext.Rule], extensions[checkcontext.Answer], extensions[checkcontext.Provider] = rule, answer, provider
	return check
}

func (p *port) askForToken(body, certificate string) (*authv3.DeniedHttpResponse, *policy.Decision) {
	p.Helper()
	return p.answers("token", http.MethodPost, "/oauth2/token", body, certificate, checkcontext.AnswerToken, "partner-tokens")
}
