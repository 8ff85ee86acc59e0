package material

import (
	"errors"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func fetchFrom(t *testing.T, address string, known Validator) (Fetched, error) {
	t.Helper()
	reference, err := ParseList(address)
	if err != nil {
		t.Fatal(err)
	}
	return web.Fetch(t.Context(), Request{Reference: reference, Known: known, Limit: 100})
}

func TestAnAddressIsAskedOnlyForWhatHasChanged(t *testing.T) {
	for name, header := range map[string]map[string]string{
		"by its ETag": {"ETag": `"one"`},
		"by its date": {"Last-Modified": "Sun, 01 Nov 2026 10:00:00 GMT"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for key, value := range header {
					w.Header().Set(key, value)
				}
				http.ServeContent(w, r, "", mustParse(header["Last-Modified"]), strings.NewReader("list"))
			}))
			defer server.Close()
			first, err := fetchFrom(t, server.URL+"/ca.crl", Validator{})
			if err != nil || string(first.Data) != "list" || first.Unchanged {
				t.Fatalf("got %+v, %v", first, err)
			}
			if second, err := fetchFrom(t, server.URL+"/ca.crl", first.Validator); err != nil || !second.Unchanged {
				t.Errorf("the second time %+v, %v", second, err)
			}
		})
	}
}

func mustParse(date string) time.Time {
	parsed, _ := http.ParseTime(date)
	return parsed
}

func TestADateOfTheSameMinuteIsNotReliedOn(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		_, _ = w.Write([]byte("list"))
	}))
	defer server.Close()
	if got, err := fetchFrom(t, server.URL+"/a", Validator{}); err != nil || got.Validator != (Validator{}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWhatAnAddressMayNotAnswer(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("list of another")) }))
	defer other.Close()
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, http.StatusFound) }
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
		is      error
	}{
		"too much": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 101)) }, "larger than the 100 bytes", nil},
		"less than it announces": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "50")
			_, _ = w.Write(make([]byte, 20))
		}, "cut short", nil},
		"nothing at all": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "closed without an answer", nil},
		"another host":   {redirect(other.URL + "/ca.crl"), "it redirects to " + other.URL, nil},
		"a circle":       {redirect("/a"), "redirects too often", nil},
		"not found":      {status(http.StatusNotFound), "404 Not Found", fs.ErrNotExist},
		"gone":           {status(http.StatusGone), "410 Gone", fs.ErrNotExist},
		"forbidden":      {status(http.StatusForbidden), "403 Forbidden", fs.ErrPermission},
		"broken":         {status(http.StatusInternalServerError), "500 Internal Server Error", nil},
		"a part":         {status(http.StatusPartialContent), "206 Partial Content", nil},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.handler)
			defer server.Close()
			got, err := fetchFrom(t, server.URL+"/ca.crl", Validator{})
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("got %+v, %v; want an error with %q", got, err, test.want)
			}
		})
	}
}

func TestARedirectWithinTheHostIsFollowed(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/latest" {
			http.Redirect(w, r, "/2026.crl", http.StatusFound)
			return
		}
		_, _ = w.Write([]byte("list"))
	}))
	defer server.Close()
	if got, err := fetchFrom(t, server.URL+"/latest", Validator{}); err != nil || string(got.Data) != "list" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAConnectionThatIsRefusedIsToldInTheSameWordsEachTime(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	_, first := fetchFrom(t, server.URL+"/a", Validator{})
	_, second := fetchFrom(t, server.URL+"/a", Validator{})
	if first == nil || second == nil || first.Error() != second.Error() || !strings.Contains(first.Error(), "refused") {
		t.Errorf("got %v, then %v", first, second)
	}
}
