package sampleapi

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// token says {"sub":"ada","act":{"sub":"edge"}}.
const token = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEiLCJhY3QiOnsic3ViIjoiZWRnZSJ9fQ.c2lnbmF0dXJl"

// answered is the answer of a sample API.
type answered struct {
	status   int
	header   http.Header
	body     string
	received *Received
}

// answer of a sample API, or of an app in its place, to a request.
func answer(t *testing.T, app http.Handler, r *http.Request) answered {
	t.Helper()
	recorder := httptest.NewRecorder()
	New(Config{Name: "api", App: func() http.Handler { return app }}).ServeHTTP(recorder, r)
	response := recorder.Result()
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header, string(body), ReceivedIn(response, body)}
}

func TestWhatReachedAnAPIIsToldWithoutTheToken(t *testing.T) {
	app := App{Files: fstest.MapFS{"index.html": {Data: []byte("<p>")}}, Environment: func() Environment { return Environment{} }}
	for name, app := range map[string]http.Handler{"an API": nil, "an app": app} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/?x=1", http.NoBody)
			r.Header.Set("Authorization", "bearer "+token)
			r.Header.Set("Cookie", "canary")
			got := answer(t, app, r)
			received := got.received
			if received == nil || received.Path != "/?x=1" || received.Headers["authorization"] != Redacted || received.Headers["cookie"] != Redacted {
				t.Fatalf("received %+v", received)
			}
			act, _ := received.Token["act"].(map[string]any)
			if received.Token["sub"] != "ada" || act["sub"] != "edge" {
				t.Errorf("the token says %v", received.Token)
			}
			said, err := json.Marshal(received)
			if err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"canary", "c2lnbmF0dXJl", token} {
				if strings.Contains(string(said)+got.body, secret) {
					t.Errorf("%s is told", secret)
				}
			}
		})
	}
}

func TestOnlyABearerTokenThatSaysSomethingHasClaims(t *testing.T) {
	for _, header := range []string{"", "Bearer", "Bearer opaque", "Basic " + token, "Bearer a.b.c", "Bearer a.bnVsbA.c", "Bearer " + token + ".d"} {
		if claims := TokenClaims(header); claims != nil {
			t.Errorf("%q says %v", header, claims)
		}
	}
}

func TestTheAnswerOfSomebodyElseTellsNothing(t *testing.T) {
	for name, response := range map[string]*http.Response{
		"an error":       {StatusCode: http.StatusForbidden, Header: http.Header{}},
		"a wrong header": {StatusCode: http.StatusOK, Header: http.Header{"X-Sample-Received": {"%"}}},
	} {
		if received := ReceivedIn(response, []byte(`{"api": "x"}`)); received != nil {
			t.Errorf("%s: %+v", name, received)
		}
	}
	if received := ReceivedIn(&http.Response{StatusCode: http.StatusOK, Header: http.Header{}}, []byte(`{"subject": "x"}`)); received != nil {
		t.Errorf("another's JSON: %+v", received)
	}
}

func TestAnAppIsItsFilesAndNothingElse(t *testing.T) {
	folder := t.TempDir()
	for path, content := range map[string]string{
		"index.html": "the page", "app.js": "the script", ".secret": "hidden", ".git/config": "hidden", "below/index.html": "below", "empty/.keep": "",
	} {
		if err := os.MkdirAll(filepath.Join(folder, filepath.Dir(path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, path), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("outside"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	app := App{Files: root.FS(), Environment: func() Environment {
		return Environment{Issuer: "http://127.0.0.1:9000/corporate", ClientID: "app", API: "https://api.example.org:8443"}
	}}
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/":                       {http.StatusOK, "the page"},
		"/app.js":                 {http.StatusOK, "the script"},
		"/below/":                 {http.StatusOK, "below"},
		"/environment.json":       {http.StatusOK, `{"issuer":"http://127.0.0.1:9000/corporate","client_id":"app","api":"https://api.example.org:8443"}` + "\n"},
		"/missing":                {http.StatusNotFound, "there is no such file\n"},
		"/empty/":                 {http.StatusNotFound, "there is no such file\n"},
		"/empty":                  {http.StatusNotFound, "there is no such file\n"},
		"/.secret":                {http.StatusNotFound, "there is no such file\n"},
		"/.git/config":            {http.StatusNotFound, "there is no such file\n"},
		"/link":                   {http.StatusNotFound, "there is no such file\n"},
		"/below/../../../outside": {http.StatusNotFound, "there is no such file\n"},
	} {
		got := answer(t, app, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		if got.status != want.status || got.body != want.body {
			t.Errorf("%s: %d, %q", path, got.status, got.body)
		}
		csp := got.header.Get("Content-Security-Policy")
		if !strings.Contains(csp, "connect-src 'self' https://api.example.org:8443 http://127.0.0.1:9000;") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy is %s", path, csp)
		}
	}
	if got := answer(t, app, httptest.NewRequest(http.MethodPost, "/", http.NoBody)); got.status != http.StatusMethodNotAllowed {
		t.Errorf("POST is answered %d", got.status)
	}
}
