package idp

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io/fs"
	"math/big"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestAClientProvesItselfByItsMethod sees what arrives, at both endpoints.
func TestAClientProvesItselfByItsMethod(t *testing.T) {
	assertion := func(claims map[string]any) (string, error) {
		encoded, err := json.Marshal(claims)
		return "signed:" + string(encoded), err
	}
	secret := func() (string, error) { return "s: %&", nil } // to be encoded
	for name, test := range map[string]struct {
		client Client
		want   url.Values // of the form
		basic  string     // user and password as they are sent
	}{
		"client_secret_basic": {Client{ID: "a:b", Method: Basic, Secret: secret}, nil, "a%3Ab:s%3A+%25%26"},
		"client_secret_post":  {Client{ID: "edge", Method: Post, Secret: secret}, url.Values{"client_id": {"edge"}, "client_secret": {"s: %&"}}, ""},
		"none":                {Client{ID: "edge", Method: None}, url.Values{"client_id": {"edge"}}, ""},
		"private_key_jwt":     {Client{ID: "edge", Method: PrivateKeyJWT, Sign: assertion}, url.Values{"client_id": {"edge"}, "client_assertion_type": {assertionType}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			config := s.config()
			config.Client = test.client
			provider := mustNew(t, config)
			seen := make(map[string]bool) // ids of assertions
			for endpoint, audience := range map[string]string{"/token": s.URL + "/token", "/introspect": s.URL} {
				var err error
				if endpoint == "/token" {
					_, err = provider.ClientCredentials(t.Context(), Grant{})
				} else {
					_, err = provider.Introspect(t.Context(), canarySubject)
				}
				if err != nil {
					t.Fatal(err)
				}
				form, header := s.sent()
				for _, other := range []string{"grant_type", "token", "token_type_hint"} {
					form.Del(other)
				}
				if signed := form.Get("client_assertion"); test.client.Method == PrivateKeyJWT {
					seen[judgeAssertion(t, signed, audience)] = true
					form.Del("client_assertion")
				}
				if len(form)+len(test.want) > 0 && !reflect.DeepEqual(form, test.want) {
					t.Errorf("%s: sent %v, want %v", endpoint, form, test.want)
				}
				user, password, _ := (&http.Request{Header: header}).BasicAuth()
				if test.basic != "" && user+":"+password != test.basic || test.basic == "" && header.Get("Authorization") != "" {
					t.Errorf("%s: sent %q", endpoint, header.Get("Authorization"))
				}
			}
			if test.client.Method == PrivateKeyJWT && len(seen) != 2 {
				t.Errorf("assertions share an id: %v", seen)
			}
		})
	}
}

// judgeAssertion holds an assertion against RFC 7523, section 3, and returns its id.
func judgeAssertion(t *testing.T, signed, audience string) string {
	t.Helper()
	var claims struct {
		Issuer   string `json:"iss"`
		Subject  string `json:"sub"`
		Audience string `json:"aud"`
		ID       string `json:"jti"`
		Issued   int64  `json:"iat"`
		Expires  int64  `json:"exp"`
	}
	if err := json.Unmarshal([]byte(strings.TrimPrefix(signed, "signed:")), &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Issuer != "edge" || claims.Subject != "edge" || claims.Audience != audience || len(claims.ID) < 22 ||
		claims.Issued != now.Unix() || claims.Expires <= claims.Issued || claims.Expires > claims.Issued+60 {
		t.Errorf("got %+v", claims)
	}
	return claims.ID
}

func TestAClientCertificateIsPresentedWhereSecretsGoAlone(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "edge"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t)
	s.start(&tls.Config{MinVersion: tls.VersionTLS12, ClientAuth: tls.RequestClientCert})
	presented := make(map[string]bool)
	record := func(path string, then http.HandlerFunc) {
		s.on(path, func(w http.ResponseWriter, r *http.Request) {
			presented[path] = len(r.TLS.PeerCertificates) == 1
			then(w, r)
		})
	}
	record(openIDConfiguration, func(w http.ResponseWriter, _ *http.Request) {
		metadata := s.metadata()
		metadata["mtls_endpoint_aliases"] = map[string]any{"token_endpoint": s.URL + "/mtls"}
		answerJSON(w, http.StatusOK, metadata)
	})
	record("/mtls", s.token(map[string]any{"access_token": "issued", "token_type": "Bearer"}))
	config := s.config()
	config.Client = Client{ID: "edge", Method: TLSClientAuth}
	var certificate *tls.Certificate
	config.ClientCertificate = func() *tls.Certificate { return certificate }
	provider := mustNew(t, config)

	_, err = provider.ClientCredentials(t.Context(), Grant{})
	if got := fault(t, err); got.Kind != Misconfigured || !strings.Contains(got.Error(), "no client certificate") {
		t.Errorf("got %v", got)
	}
	certificate = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if _, err := provider.ClientCredentials(t.Context(), Grant{}); err != nil {
		t.Fatal(err)
	}
	if form, _ := s.sent(); form.Get("client_id") != "edge" || form.Has("client_secret") {
		t.Errorf("sent %v", form)
	}
	if !presented["/mtls"] || presented[openIDConfiguration] {
		t.Errorf("presented: %v", presented)
	}
}

func TestASecretIsReadAnewAtEachUse(t *testing.T) {
	s := startServer(t)
	config := s.config()
	secret, failing := "first", error(nil)
	config.Client.Secret = func() (string, error) { return secret, failing }
	provider := mustNew(t, config)
	for _, secret = range []string{"first", "second"} {
		if _, err := provider.ClientCredentials(t.Context(), Grant{}); err != nil {
			t.Fatal(err)
		}
		_, header := s.sent()
		if _, password, _ := (&http.Request{Header: header}).BasicAuth(); password != secret {
			t.Errorf("sent %q", password)
		}
	}
	for _, secret = range []string{"", canarySecret + "\n", canarySecret + "é"} {
		_, err := provider.ClientCredentials(t.Context(), Grant{})
		if got := fault(t, err); got.Kind != Misconfigured || !strings.Contains(got.Error(), "client secret") {
			t.Errorf("%q: got %v", secret, got)
		}
	}
	failing = fs.ErrNotExist
	_, err := provider.ClientCredentials(t.Context(), Grant{})
	if got := fault(t, err); got.Kind != Misconfigured || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", got)
	}
	if n := s.count("/token"); n != 2 {
		t.Errorf("the endpoint was asked %d times", n)
	}
}

func TestASecretGoesToTheIssuersHostsOnly(t *testing.T) {
	ask := map[string]func(context.Context, *Provider) error{
		"token_endpoint": func(ctx context.Context, p *Provider) error {
			_, err := p.OnBehalfOf(ctx, OnBehalfOf{Assertion: canarySubject})
			return err
		},
		"introspection_endpoint": func(ctx context.Context, p *Provider) error {
			_, err := p.Introspect(ctx, canarySubject)
			return err
		},
	}
	for name, call := range ask {
		t.Run(name, func(t *testing.T) {
			s, other := startServer(t), startServer(t)
			path := map[string]string{"token_endpoint": "/token", "introspection_endpoint": "/introspect"}[name]
			s.metadataWith(map[string]any{name: other.URL + path})
			config := s.config()
			config.KeySetURI = other.URL + "/keys" // which makes it no place for secrets
			config.Roots.AddCert(other.Certificate())
			err := call(t.Context(), mustNew(t, config))
			if got := fault(t, err); got.Kind != Misconfigured || !strings.Contains(got.Error(), "configure "+name) {
				t.Errorf("got %v", got)
			}
			if other.count(path) != 0 {
				t.Error("the other host was asked")
			}
			if name == "token_endpoint" {
				config.TokenEndpoint = other.URL + path
			} else {
				config.IntrospectionEndpoint = other.URL + path
			}
			if err := call(t.Context(), mustNew(t, config)); err != nil || other.count(path) != 1 {
				t.Errorf("configured, it was asked %d times: %v", other.count(path), err)
			}
		})
	}
}

// TestNoSecretFollowsARedirect covers those within the host too.
func TestNoSecretFollowsARedirect(t *testing.T) {
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		s, other := startServer(t), startServer(t)
		for _, to := range []string{other.URL + "/token", s.URL + "/elsewhere"} {
			s.on("/token", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, status) })
			_, err := mustNew(t, s.config()).Exchange(t.Context(), Exchange{SubjectToken: canarySubject})
			if got := fault(t, err); got.Kind != BadAnswer || !strings.Contains(got.Error(), "redirects to") {
				t.Errorf("%d: got %v", status, got)
			}
		}
		if other.count("/token")+s.count("/elsewhere") != 0 {
			t.Errorf("%d: it was followed", status)
		}
	}
}
