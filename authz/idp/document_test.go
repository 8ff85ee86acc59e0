package idp

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMetadataIsFoundWhereTheStandardsPutIt(t *testing.T) {
	for name, test := range map[string]struct {
		issuerPath, discovery string
		at                    string
		want                  []string // the paths that are asked
	}{
		"OpenID Connect":           {"", "", openIDConfiguration, []string{openIDConfiguration}},
		"OpenID Connect, a tenant": {"/tenant/", "", "/tenant" + openIDConfiguration, []string{"/tenant" + openIDConfiguration}},
		"RFC 8414":                 {"", "", authorizationServer, []string{openIDConfiguration, authorizationServer}},
		"RFC 8414, a tenant":       {"/tenant", "", authorizationServer + "/tenant", []string{"/tenant" + openIDConfiguration, authorizationServer + "/tenant"}},
		"where it is configured":   {"/tenant", "/other", "/other", []string{"/other"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			s.on(openIDConfiguration, nil)
			config := s.config()
			config.Issuer += test.issuerPath
			if test.discovery != "" {
				config.Discovery = s.URL + test.discovery
			}
			s.on(test.at, func(w http.ResponseWriter, _ *http.Request) {
				metadata := s.metadata()
				metadata["issuer"] = config.Issuer
				answerJSON(w, http.StatusOK, metadata)
			})
			got, err := mustNew(t, config).Discover(t.Context())
			if err != nil || got.TokenEndpoint != s.URL+"/token" || got.KeySetURI != s.URL+"/keys" {
				t.Fatalf("got %+v, %v", got, err)
			}
			for _, path := range test.want {
				if s.count(path) != 1 {
					t.Errorf("%s was asked %d times", path, s.count(path))
				}
			}
		})
	}
}

func TestMetadataThatIsNotTheIssuersIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		members map[string]any
		want    string
	}{
		"another issuer":                {map[string]any{"issuer": "https://evil.example.org"}, "another issuer"},
		"no issuer":                     {map[string]any{"issuer": nil}, "another issuer"},
		"a slash more":                  {map[string]any{"issuer": "/"}, "another issuer"},
		"a list":                        {map[string]any{"issuer": []string{"a"}}, "no provider's metadata"},
		"a key set by http":             {map[string]any{"jwks_uri": "http://idp.example.org/keys"}, "jwks_uri cannot be used: its scheme is http"},
		"a key set in a file":           {map[string]any{"jwks_uri": "file:///etc/keys"}, "jwks_uri cannot be used"},
		"a token endpoint by http":      {map[string]any{"token_endpoint": "http://idp.example.org/token"}, "token_endpoint cannot be used"},
		"introspection by http":         {map[string]any{"introspection_endpoint": "http://idp.example.org/i"}, "introspection_endpoint cannot be used"},
		"an endpoint with a password":   {map[string]any{"token_endpoint": "https://a:b@idp.example.org/token"}, "token_endpoint cannot be used"},
		"an alias by http":              {map[string]any{"mtls_endpoint_aliases": map[string]any{"token_endpoint": "http://idp.example.org/"}}, "mtls_endpoint_aliases"},
		"valid: a key set on a CDN":     {map[string]any{"jwks_uri": "https://cdn.example.org/keys"}, ""},
		"valid: unknown members":        {map[string]any{"claims_supported": []string{"sub"}}, ""},
		"valid: no introspection there": {map[string]any{"introspection_endpoint": nil}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			if test.members["issuer"] == "/" {
				test.members["issuer"] = s.URL + "/"
			}
			s.metadataWith(test.members)
			_, err := mustNew(t, s.config()).Discover(t.Context())
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if got := fault(t, err); got.Kind != BadAnswer || !strings.Contains(got.Error(), test.want) {
				t.Errorf("got %v (%v); want %q", got, got.Kind, test.want)
			}
		})
	}
}

// bomb is 50 MB in a few kilobytes.
var bomb = sync.OnceValue(func() []byte {
	var packed bytes.Buffer
	writer := gzip.NewWriter(&packed)
	flood(writer, 50<<20)
	if err := writer.Close(); err != nil {
		panic(err)
	}
	return packed.Bytes()
})

// TestWhatAProviderMayNotAnswer has a good answer beside the bad ones in TestAKeySetIsAskedForOnlyIfItHasChanged.
func TestWhatAProviderMayNotAnswer(t *testing.T) {
	packed := bomb()
	other := startServer(t)
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusTemporaryRedirect) }
	}
	raw := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = connection.Write([]byte(text))
			_ = connection.Close()
		}
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		kind    Kind
		want    string
	}{
		"an error":       {status(http.StatusInternalServerError), BadAnswer, "500 Internal Server Error"},
		"not found":      {status(http.StatusNotFound), BadAnswer, "404 Not Found"},
		"nothing":        {status(http.StatusNoContent), BadAnswer, "204"},
		"unchanged":      {status(http.StatusNotModified), BadAnswer, "304"},
		"another host":   {redirect(other.URL + "/keys?" + canarySubject), BadAnswer, "redirects to"},
		"another scheme": {redirect("http://127.0.0.1:1/keys"), BadAnswer, "redirects to"},
		"no address":     {redirect("https://%zz" + canarySubject), BadAnswer, ""},
		"50 MB":          {func(w http.ResponseWriter, _ *http.Request) { flood(w, 50<<20) }, BadAnswer, "larger than the 262144 bytes"},
		"a gzip bomb": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(packed)
		}, BadAnswer, "compressed"},
		"a closed door":   {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Unreachable, "closed"},
		"half an answer":  {raw("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"), Unreachable, "closed before"},
		"no HTTP":         {raw("220 smtp.example.org " + canarySubject + "\r\n"), BadAnswer, "no HTTP"},
		"a broken header": {raw("HTTP/1.1 200 OK\r\n" + canarySubject + "\r\n\r\n"), BadAnswer, "no HTTP"},
		"a huge header":   {raw("HTTP/1.1 200 OK\r\nA: " + strings.Repeat("a", 1<<20) + "\r\n\r\n"), BadAnswer, "no HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			s.on("/keys", test.handler)
			config := s.config()
			config.KeySetURI = s.URL + "/keys?key=" + canarySecret
			got, err := mustNew(t, config).KeySet(t.Context(), Validator{})
			if got.Data != nil {
				t.Errorf("got %d bytes", len(got.Data))
			}
			if got := fault(t, err); got.Kind != test.kind || !strings.Contains(got.Error(), test.want) {
				t.Errorf("got %v (%v); want %v with %q", got, got.Kind, test.kind, test.want)
			}
			if n := other.count("/keys"); n != 0 {
				t.Errorf("the other host was asked %d times", n)
			}
		})
	}
}

func TestAProviderThatIsDownOrSlowIsToldApart(t *testing.T) {
	t.Run("down", func(t *testing.T) {
		s := startServer(t)
		s.Close()
		_, err := mustNew(t, s.config()).KeySet(t.Context(), Validator{})
		if got := fault(t, err); got.Kind != Unreachable || !strings.Contains(got.Error(), "refused") {
			t.Errorf("got %v (%v)", got, got.Kind)
		}
	})
	t.Run("slow", func(t *testing.T) {
		s := startServer(t)
		s.on(openIDConfiguration, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		config := s.config()
		config.Timeout = 20 * time.Millisecond
		_, err := mustNew(t, config).KeySet(t.Context(), Validator{})
		if got := fault(t, err); got.Kind != Timeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v (%v)", got, got.Kind)
		}
	})
	t.Run("slow in its body", func(t *testing.T) {
		s := startServer(t)
		s.on(openIDConfiguration, func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte("{"))
			w.(http.Flusher).Flush()
			<-r.Context().Done()
			panic(http.ErrAbortHandler) // returning would end the answer properly, in time for a slow reader
		})
		config := s.config()
		config.Timeout = 50 * time.Millisecond
		_, err := mustNew(t, config).KeySet(t.Context(), Validator{})
		if got := fault(t, err); got.Kind != Timeout {
			t.Errorf("got %v (%v)", got, got.Kind)
		}
	})
	t.Run("given up", func(t *testing.T) {
		s := startServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		s.on(openIDConfiguration, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
		_, err := mustNew(t, s.config()).KeySet(ctx, Validator{})
		if got := fault(t, err); got.Kind != Timeout || !errors.Is(err, context.Canceled) {
			t.Errorf("got %v (%v)", got, got.Kind)
		}
	})
	t.Run("of an unknown authority", func(t *testing.T) {
		s := startServer(t)
		config := s.config()
		config.Roots = nil
		_, err := mustNew(t, config).KeySet(t.Context(), Validator{})
		if got := fault(t, err); got.Kind != Unreachable || !strings.Contains(got.Error(), "certificate is not accepted") {
			t.Errorf("got %v (%v)", got, got.Kind)
		}
	})
	t.Run("with old TLS", func(t *testing.T) {
		s := newServer(t)
		s.start(&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10})
		_, err := mustNew(t, s.config()).KeySet(t.Context(), Validator{})
		if got := fault(t, err); got.Kind == 0 || s.count(openIDConfiguration) != 0 {
			t.Errorf("got %v (%v)", got, got.Kind)
		}
	})
}

func TestAKeySetIsAskedForOnlyIfItHasChanged(t *testing.T) {
	s := startServer(t)
	etag := `"1"`
	s.on("/keys", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", etag)
		w.Header().Set("Cache-Control", "public, max-age=600")
		w.Header().Set("Age", "60")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(`{"keys":["`+etag[1:2]+`"]}`))
	})
	provider := mustNew(t, s.config())
	first, err := provider.KeySet(t.Context(), Validator{})
	if err != nil || string(first.Data) != `{"keys":["1"]}` || first.Unchanged || !first.MaxAgeTold || first.MaxAge != 9*time.Minute {
		t.Fatalf("got %+v, %v", first, err)
	}
	second, err := provider.KeySet(t.Context(), first.Validator)
	if err != nil || !second.Unchanged || second.Data != nil || second.Validator != first.Validator {
		t.Fatalf("the second time %+v, %v", second, err)
	}
	etag = `"2"`
	third, err := provider.KeySet(t.Context(), second.Validator)
	if err != nil || string(third.Data) != `{"keys":["2"]}` || third.Unchanged {
		t.Fatalf("the third time %+v, %v", third, err)
	}
	elsewhere, err := provider.KeySet(t.Context(), Validator{URI: "https://idp.example.org/keys", ETag: third.Validator.ETag})
	if err != nil || elsewhere.Unchanged {
		t.Errorf("an ETag of another place counted: %+v, %v", elsewhere, err)
	}
}

func TestFreshnessIsReadAsTheServerSaysIt(t *testing.T) {
	for value, want := range map[string]struct {
		age  time.Duration
		told bool
	}{
		"":                          {0, false},
		"public":                    {0, false},
		"max-age=60":                {time.Minute, true},
		"Max-Age=\"60\", public":    {time.Minute, true},
		"no-store":                  {0, true},
		"no-cache, max-age=60":      {0, true},
		"max-age=-1":                {0, false},
		"max-age=99999999999999999": {0, false},
	} {
		if age, told := freshness(http.Header{"Cache-Control": {value}}); age != want.age || told != want.told {
			t.Errorf("%q: got %v, %v", value, age, told)
		}
	}
}

func TestARedirectWithinTheHostIsFollowedForADocument(t *testing.T) {
	s := startServer(t)
	s.on("/old", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/keys", http.StatusFound) })
	s.on("/circle", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/circle", http.StatusFound) })
	config := s.config()
	config.KeySetURI = s.URL + "/old"
	if got, err := mustNew(t, config).KeySet(t.Context(), Validator{}); err != nil || got.Data == nil {
		t.Errorf("got %+v, %v", got, err)
	}
	config.KeySetURI = s.URL + "/circle"
	_, err := mustNew(t, config).KeySet(t.Context(), Validator{})
	if got := fault(t, err); got.Kind != BadAnswer || !strings.Contains(got.Error(), "more than 2 times") || s.count("/circle") != 3 {
		t.Errorf("got %v after %d", got, s.count("/circle"))
	}
}

func TestManyWhoNeedAnEndpointCauseOneDiscovery(t *testing.T) {
	s := startServer(t)
	provider := mustNew(t, s.config())
	var everybody sync.WaitGroup
	for range 50 {
		everybody.Go(func() {
			if _, err := provider.ClientCredentials(t.Context(), Grant{}); err != nil {
				t.Error(err)
			}
		})
	}
	everybody.Wait()
	if n := s.count(openIDConfiguration); n != 1 {
		t.Errorf("the metadata was asked for %d times", n)
	}
}

func TestAnEndpointThatMovedIsFoundAgain(t *testing.T) {
	s := startServer(t)
	provider := mustNew(t, s.config())
	if _, err := provider.ClientCredentials(t.Context(), Grant{}); err != nil {
		t.Fatal(err)
	}
	s.on("/token2", s.token(map[string]any{"access_token": "moved", "token_type": "Bearer"}))
	s.on("/token", nil)
	s.metadataWith(map[string]any{"token_endpoint": s.URL + "/token2"})
	_, err := provider.ClientCredentials(t.Context(), Grant{})
	if got := fault(t, err); got.Kind != BadAnswer || got.Status != http.StatusNotFound {
		t.Errorf("got %v", got)
	}
	if got, err := provider.ClientCredentials(t.Context(), Grant{}); err != nil || got.Access != "moved" {
		t.Errorf("got %v, %v", got, err)
	}
}
