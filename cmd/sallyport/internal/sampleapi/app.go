package sampleapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

// Environment tells an app where it is; it asks for it at EnvironmentPath.
type Environment struct {
	// Issuer is where people sign in, and ClientID who the app is there.
	Issuer   string `json:"issuer"`
	ClientID string `json:"client_id"`
	// API is the origin that the app calls.
	API string `json:"api"`
}

// EnvironmentPath is where an app finds its Environment.
const EnvironmentPath = "/environment.json"

// App is a single-page app: files, and the environment that they are told of. It is served as they are, to whoever asks.
type App struct {
	Files fs.FS
	// Environment is asked for each time; it may change while the app is served.
	Environment func() Environment
}

// ServeHTTP answers with a file, and with index.html for /. There are no listings, and no file that begins with a dot is
// there.
func (a App) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("allow", "GET, HEAD")
		http.Error(w, "the app's files can only be read", http.StatusMethodNotAllowed)
		return
	}
	environment := a.Environment()
	a.setHeaders(w.Header(), environment)
	if r.URL.Path == EnvironmentPath {
		w.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(w).Encode(environment) // the caller has gone away
		return
	}
	name, err := a.find(r.URL.Path)
	if err != nil {
		http.Error(w, "there is no such file", http.StatusNotFound)
		return
	}
	http.ServeFileFS(w, r, a.Files, name) //nolint:gosec // G703: find has looked at the name, and Files leads nowhere else
}

// find is the name of the file for a path. ServeFileFS leads from index.html to its folder, so that is not asked for by name.
func (a App) find(asked string) (string, error) {
	name := strings.TrimPrefix(path.Clean("/"+asked), "/")
	if strings.HasSuffix(asked, "/") {
		name = path.Join(name, "index.html")
	}
	for element := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(element, ".") {
			return "", errors.New("it is hidden")
		}
	}
	status, err := fs.Stat(a.Files, name)
	if err != nil {
		return "", err
	}
	if !status.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file", name)
	}
	return name, nil
}

// setHeaders lets the app's own scripts and styles run, and lets them call nobody but itself, the API and the issuer (CSP 3).
func (a App) setHeaders(header http.Header, environment Environment) {
	header.Set("content-security-policy", strings.Join([]string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
		"connect-src 'self' " + environment.API + " " + origin(environment.Issuer),
		"base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; "))
	header.Set("cache-control", "no-store")
	header.Set("referrer-policy", "no-referrer")
	header.Set("x-content-type-options", "nosniff")
}

// origin is the beginning of a URL: scheme, host and port (RFC 6454).
func origin(url string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	if host == "" {
		return ""
	}
	return scheme + "://" + host
}
