package tokens_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// canary is the client's secret, which is to be found nowhere but at the provider.
const canary = "canary-5f1d"

// issuer is an identity provider that is spoken to over TLS.
type issuer struct {
	t      testing.TB
	server *httptest.Server
	signer *jose.Signer

	mu     sync.Mutex
	down   bool
	asked  map[string]int // by path
	client *http.Request  // the last one for a token, with its form read
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	signer, err := jose.NewSigner(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{t: t, signer: signer, asked: map[string]int{}}
	i.server = httptest.NewTLSServer(i)
	t.Cleanup(i.server.Close)
	return i
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked[r.URL.Path]++
	if i.down {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": i.server.URL, "jwks_uri": i.server.URL + "/keys", "token_endpoint": i.server.URL + "/token",
		})
	case "/keys":
		set, err := jose.MarshalKeySet([]jose.Key{i.signer.Public()})
		if err != nil {
			i.t.Error(err)
		}
		_, _ = w.Write(set)
	case "/token":
		if err := r.ParseForm(); err != nil {
			i.t.Error(err)
		}
		i.client = r
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "given", "token_type": "Bearer", "expires_in": 600})
	default:
		http.NotFound(w, r)
	}
}

func (i *issuer) requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.asked[path]
}

func (i *issuer) goDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// form is what was sent with the last request for a token.
func (i *issuer) form() (url.Values, *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.client == nil {
		i.t.Fatal("nobody has asked for a token")
	}
	return i.client.Form, i.client // of which the address has none
}

func (i *issuer) token(subject string) string {
	token, err := i.signer.Sign("at+jwt", map[string]any{
		"iss": i.server.URL, "sub": subject, "aud": "api", "iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix(),
	})
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

const resources = `
api_version: sallyport/v1
kind: Truststore
metadata: {name: issuers}
spec: {bundle: "file:issuers.pem"}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: own}
spec: {material: {certificate: "file:own.pem", private_key: "file:own-key.pem"}}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: corporate}
spec:
  issuers: [ISSUER]
  audiences: [api]
  truststore: issuers
  client: {CLIENT}
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec:
  endpoints: {dns: "api.internal:8443"}
  tls: {truststore: issuers, server_name: api.internal}
  token: {anonymous: {acquire: {provider: corporate, scopes: [SCOPE]}}}
`

const bySecret = `id: edge, secret: "env:SECRET"`

// house is Tokens over one provider.
type house struct {
	testing.TB
	*tokens.Tokens
	*tokens.View
	issuer *issuer
	// leads is the version of the upstream that routes lead to.
	leads    string
	client   string
	scope    string
	material *inventory.Snapshot
	log      *bytes.Buffer
}

func newHouse(t testing.TB, changes ...func(*tokens.Config)) *house {
	t.Helper()
	h := &house{TB: t, issuer: newIssuer(t), client: bySecret, scope: "one", log: new(bytes.Buffer)}
	h.material = &inventory.Snapshot{
		Generation:  1,
		Truststores: map[string]*inventory.Truststore{"issuers": {Name: "issuers", BundleHash: "1", Anchors: []*x509.Certificate{h.issuer.server.Certificate()}}},
		Providers:   map[string]*inventory.Provider{"corporate": {Name: "corporate", Secret: canary}},
	}
	settings := tokens.Config{Logger: hclog.New(&hclog.LoggerOptions{Output: h.log, Level: hclog.Trace})}
	for _, change := range changes {
		change(&settings)
	}
	var err error
	if h.Tokens, err = tokens.New(settings); err != nil {
		t.Fatal(err)
	}
	h.apply()
	t.Cleanup(func() {
		if strings.Contains(h.log.String(), canary) {
			t.Error("the secret is in the log")
		}
	})
	return h
}

// model is the configuration as it is now.
func (h *house) model() *config.Model {
	h.Helper()
	return fixture.Model(h, strings.NewReplacer("ISSUER", h.issuer.server.URL, "CLIENT", h.client, "SCOPE", h.scope).Replace(resources))
}

func (h *house) apply() {
	h.Helper()
	model := h.model()
	h.View, h.leads = h.Apply(model, h.material), model.Upstream("api").Version
}

func (h *house) judge(token string) *bearer.Verdict {
	return h.Judge(h.Context(), []string{"corporate"}, nil, token, time.Now())
}

// goesOn is the Authorization header with an anonymous request, or why there is none.
func (h *house) goesOn() (string, string) {
	h.Helper()
	d := &policy.Decision{Allowed: true, Request: &request.Request{Context: request.Context{Upstream: "api", UpstreamVersion: h.leads}}}
	onward, refusal := h.Onward(h.Context(), d, time.Now())
	if refusal != nil {
		if strings.Contains(refusal.Detail, canary) {
			h.Error("the secret is in a refusal")
		}
		return "", refusal.Detail
	}
	return onward.Authorization, ""
}
