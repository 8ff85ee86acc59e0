package devissuer

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"net/http"
)

//go:embed pages
var pageFiles embed.FS

var (
	pages = template.Must(template.ParseFS(pageFiles, "pages/*.html"))
	style = mustRead("pages/style.css")
	// pagePolicy lets a page have its own style and nothing else. Forms are not limited: a browser would hold the address to
	// which a sign-in leads against it.
	pagePolicy = "default-src 'none'; style-src 'sha256-" + styleHash() + "'; base-uri 'none'; frame-ancestors 'none'"
)

func mustRead(name string) template.CSS {
	data, err := pageFiles.ReadFile(name)
	if err != nil {
		panic(err) // it was embedded when this was built
	}
	return template.CSS(data) //nolint:gosec // our own file
}

func styleHash() string {
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// shownIssuer is an issuer on a page.
type shownIssuer struct {
	Name, URL string
	Audiences []string
	Users     []shownUser
}

// shownUser is a user on a page, with what an issuer says of them.
type shownUser struct {
	Name, Description string
	Roles, Scopes     []string
}

// shownLogin is the login page.
type shownLogin struct {
	Issuer shownIssuer
	// Request is by what the choice is known.
	Request string
	// Client that asks, and the host that it leads back to.
	Client, Back string
}

func (r *realm) shown() shownIssuer {
	shown := shownIssuer{Name: r.issuer.Name, URL: r.url(), Audiences: r.issuer.Audiences}
	for _, u := range users {
		shown.Users = append(shown.Users, shownUser{
			Name: u.Name, Description: u.Description, Roles: u.Roles(r.issuer), Scopes: u.Scopes(r.issuer),
		})
	}
	return shown
}

// show answers with a page.
func (s *Server) show(w http.ResponseWriter, status int, name string, content any) {
	var page bytes.Buffer
	err := pages.ExecuteTemplate(&page, name+".html", struct {
		Style   template.CSS
		Content any
	}{style, content})
	if err != nil {
		s.logger.Error("cannot make a page", "page", name, "error", err)
		http.Error(w, "the page cannot be made", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", pagePolicy)
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = page.WriteTo(w) // the caller has gone away
}
