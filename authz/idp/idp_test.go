package idp

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The canaries stand in everything that must not be told.
const (
	canarySecret  = "canary-secret-3141"
	canarySubject = "canary-subject-2718"
	canaryToken   = "canary-token-1618"
)

// now is when tests happen.
var now = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)

// server is an identity provider of which each endpoint can be replaced.
type server struct {
	*httptest.Server
	t *testing.T

	mu       sync.Mutex
	handlers map[string]http.HandlerFunc // by path
	asked    map[string]int              // by path
	form     url.Values                  // of the last POST
	header   http.Header                 // of the last request
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := newServer(t)
	s.start(nil)
	return s
}

// start serves with TLS, and keeps what it has to say of handshakes that are meant to fail from the test's output.
func (s *server) start(settings *tls.Config) {
	s.Server = httptest.NewUnstartedServer(s)
	s.Config.ErrorLog = hclog.NewNullLogger().StandardLogger(nil)
	s.TLS = settings
	s.StartTLS()
	s.t.Cleanup(s.Close)
}

func newServer(t *testing.T) *server {
	s := &server{t: t, handlers: make(map[string]http.HandlerFunc), asked: make(map[string]int)}
	s.on(openIDConfiguration, func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusOK, s.metadata()) })
	s.on("/keys", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"keys":[]}`)) })
	s.on("/token", s.token(map[string]any{"access_token": "issued", "token_type": "Bearer", "expires_in": 300}))
	s.on("/introspect", s.token(map[string]any{"active": true, "sub": "u1", "exp": 1793527500}))
	return s
}

func (s *server) metadata() map[string]any {
	return map[string]any{
		"issuer": s.URL, "jwks_uri": s.URL + "/keys", "token_endpoint": s.URL + "/token", "introspection_endpoint": s.URL + "/introspect",
	}
}

// metadataWith replaces members of the metadata.
func (s *server) metadataWith(members map[string]any) {
	s.on(openIDConfiguration, func(w http.ResponseWriter, _ *http.Request) {
		metadata := s.metadata()
		for name, value := range members {
			metadata[name] = value
		}
		answerJSON(w, http.StatusOK, metadata)
	})
}

func (s *server) on(path string, handler http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handlers[path] = handler
}

func (s *server) token(answer map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { answerJSON(w, http.StatusOK, answer) }
}

func (s *server) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func (s *server) sent() (url.Values, http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.form, s.header
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Cookie") != "" || strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		s.t.Errorf("a request has %v", r.Header)
	}
	s.mu.Lock()
	s.asked[r.URL.Path]++
	s.header = r.Header
	if r.Method == http.MethodPost {
		_ = r.ParseForm()
		s.form = r.PostForm
	}
	handler := s.handlers[r.URL.Path]
	s.mu.Unlock()
	w.Header().Set("Set-Cookie", "session=1")
	if handler == nil {
		http.NotFound(w, r)
		return
	}
	handler(w, r)
}

func answerJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value)
}

func (s *server) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

// config is for a client with a secret.
func (s *server) config() Config {
	return Config{
		Issuer: s.URL,
		Roots:  s.roots(),
		Clock:  func() time.Time { return now },
		Client: Client{ID: "edge", Method: Basic, Secret: func() (string, error) { return canarySecret, nil }},
	}
}

func mustNew(t *testing.T, config Config) *Provider {
	t.Helper()
	provider, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	return provider
}

// fault returns the error as the type that every method promises, and sees that it tells no secret.
func fault(t *testing.T, err error) *Error {
	t.Helper()
	var fault *Error
	if !errors.As(err, &fault) {
		t.Fatalf("got %v, which is no *Error", err)
	}
	for _, canary := range []string{canarySecret, canarySubject, canaryToken} {
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), canary) {
				t.Errorf("the error tells a secret: %v", e)
			}
		}
		if strings.Contains(fault.Code+fault.Claims, canary) {
			t.Errorf("the error holds a secret: %+v", fault)
		}
	}
	return fault
}

// flood writes until nobody reads any more, and tells how much went out at the most.
func flood(w io.Writer, total int) {
	block := []byte(strings.Repeat(" ", 64<<10))
	for range total / len(block) {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	secret := func() (string, error) { return "s", nil }
	for name, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no issuer":                  {func(c *Config) { c.Issuer = "" }, "issuer"},
		"an issuer that is a name":   {func(c *Config) { c.Issuer = "idp" }, "issuer: it is no absolute address"},
		"an issuer by http":          {func(c *Config) { c.Issuer = "http://idp.example.org" }, "insecure_http"},
		"an issuer with a query":     {func(c *Config) { c.Issuer += "?a=b" }, "query"},
		"a key set by http":          {func(c *Config) { c.KeySetURI = "http://idp.example.org/keys" }, "jwks_uri"},
		"a key set in a file":        {func(c *Config) { c.KeySetURI = "file:///keys" }, "jwks_uri: it is no absolute"},
		"another scheme":             {func(c *Config) { c.Discovery = "ftp://idp.example.org/keys" }, "discovery: its scheme"},
		"a token endpoint by http":   {func(c *Config) { c.TokenEndpoint = "http://idp.example.org/" }, "token_endpoint"},
		"introspection by http":      {func(c *Config) { c.IntrospectionEndpoint = "http://idp.example.org/" }, "introspection_endpoint"},
		"a password in an address":   {func(c *Config) { c.TokenEndpoint = "https://a:b@idp.example.org/" }, "password"},
		"a fragment":                 {func(c *Config) { c.TokenEndpoint = "https://idp.example.org/#a" }, "fragment"},
		"an unknown method":          {func(c *Config) { c.Client.Method = "client_secret_jwt" }, "unknown"},
		"no method":                  {func(c *Config) { c.Client.Method = "" }, "no method"},
		"a method without a secret":  {func(c *Config) { c.Client.Secret = nil }, "needs a secret"},
		"a method without a key":     {func(c *Config) { c.Client.Method = PrivateKeyJWT }, "needs a signing key"},
		"a client without an ID":     {func(c *Config) { c.Client.ID = "" }, "needs an ID"},
		"a parameter that is a lie":  {func(c *Config) { c.Client.Parameters = url.Values{"client_id": {"other"}} }, "client_id"},
		"a parameter for the grant":  {func(c *Config) { c.Client.Parameters = url.Values{"grant_type": {"password"}} }, "grant_type"},
		"valid: all by discovery":    {func(*Config) {}, ""},
		"valid: a name with places":  {func(c *Config) { c.Issuer, c.KeySetURI = "idp", "https://idp.example.org/keys" }, ""},
		"valid: no client":           {func(c *Config) { c.Client = Client{} }, ""},
		"valid: http where it may":   {func(c *Config) { c.Issuer, c.InsecureHTTP = "http://127.0.0.1:1", true }, ""},
		"valid: further parameters":  {func(c *Config) { c.Client.Parameters = url.Values{"tenant": {"a"}} }, ""},
		"valid: an endpoint's query": {func(c *Config) { c.TokenEndpoint = "https://idp.example.org/token?p=1" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Issuer: "https://idp.example.org/tenant", Client: Client{ID: "edge", Method: Post, Secret: secret}}
			test.change(&config)
			_, err := New(config)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v; want an error with %q", err, test.want)
			}
		})
	}
}
