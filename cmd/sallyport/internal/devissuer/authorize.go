package devissuer

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// request is a sign-in that waits for a user.
type request struct {
	realm, clientID, redirectURI string
	state, nonce, challenge      string
	mode                         oidc.ResponseMode
	scopes, audiences            []string
}

// grant is what somebody who signed in gets tokens for.
type grant struct {
	request
	user user
	at   time.Time
}

// redirectRule says where a user may be sent, in an error.
const redirectRule = "the development issuer leads back to https://*.example.org, localhost and loopback addresses only, without a fragment"

// VerifyAuthRequest is part of op.Server. Until it has checked where the request leads back to, errors are shown and lead
// nowhere (RFC 6749, section 4.1.2.1).
func (r *realm) VerifyAuthRequest(_ context.Context, req *op.Request[oidc.AuthRequest]) (*op.ClientRequest[oidc.AuthRequest], error) {
	if req.Data.RequestParam != "" {
		return nil, oidc.ErrRequestNotSupported()
	}
	c, err := r.issuer.clientByID(req.Data.ClientID)
	if err != nil {
		return nil, err
	}
	if !leadsBackHere(req.Data.RedirectURI) {
		return nil, oidc.ErrInvalidRequestRedirectURI().WithDescription("redirect_uri: %s", redirectRule)
	}
	return &op.ClientRequest[oidc.AuthRequest]{Request: req, Client: c.leadingTo(req.Data.RedirectURI)}, nil
}

// Authorize is part of op.Server. It holds the request, and shows the login page.
func (r *realm) Authorize(ctx context.Context, req *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	asked := req.Data
	if err := refusal(asked); err != nil {
		return op.TryErrorRedirect(ctx, asked, err, oidc.NewEncoder(), slogTo(r.server.logger))
	}
	id := r.server.requests.issue(request{
		realm: r.issuer.Name, clientID: req.Client.GetID(), redirectURI: asked.RedirectURI,
		state: asked.State, nonce: asked.Nonce, challenge: asked.CodeChallenge, mode: asked.ResponseMode,
		scopes: asked.Scopes, audiences: audiences(req.Form),
	})
	return op.NewRedirect(withQuery(r.url()+loginPath, "request", id)), nil
}

// refusal is why a request cannot be answered by a sign-in; nil if it can.
func refusal(asked *oidc.AuthRequest) error {
	switch {
	case asked.CodeChallenge == "":
		return oidc.ErrInvalidRequest().WithDescription("code_challenge is missing: the development issuer requires PKCE")
	case asked.CodeChallengeMethod != oidc.CodeChallengeMethodS256:
		return oidc.ErrInvalidRequest().WithDescription("code_challenge_method must be S256")
	case !slices.Contains([]oidc.ResponseMode{"", oidc.ResponseModeQuery, oidc.ResponseModeFragment}, asked.ResponseMode):
		return oidc.ErrInvalidRequest().WithDescription("response_mode must be query or fragment")
	case slices.Contains(asked.Prompt, oidc.PromptNone):
		return oidc.ErrLoginRequired().WithDescription("nobody stays signed in at the development issuer")
	default:
		return nil
	}
}

// audiences are those that a request asks for: by `resource` (RFC 8707), by `audience` (RFC 8693), or in front of a scope.
func audiences(form url.Values) []string {
	named := slices.Concat(form["resource"], form["audience"])
	for _, scope := range strings.Fields(form.Get("scope")) {
		if audience, _ := splitScope(scope); audience != "" {
			named = append(named, audience)
		}
	}
	var wanted []string
	for _, audience := range named {
		if audience != "" && !slices.Contains(wanted, audience) {
			wanted = append(wanted, audience)
		}
	}
	return wanted
}

// showLogin answers a GET of the login page.
func (r *realm) showLogin(w http.ResponseWriter, req *http.Request) {
	id := req.URL.Query().Get("request")
	waiting, ok := r.server.requests.look(id)
	if !ok || waiting.realm != r.issuer.Name {
		r.server.show(w, http.StatusBadRequest, "gone", nil)
		return
	}
	r.server.show(w, http.StatusOK, "login", shownLogin{
		Issuer: r.shown(), Request: id, Client: waiting.clientID, Back: hostOf(waiting.redirectURI),
	})
}

// logIn answers the choice of a user: with a code, for the app to get tokens by.
func (r *realm) logIn(w http.ResponseWriter, req *http.Request) {
	chosen, known := userNamed(req.PostFormValue("user"))
	id := req.PostFormValue("request")
	waiting, ok := r.server.requests.look(id)
	if !known || !ok || waiting.realm != r.issuer.Name {
		r.server.show(w, http.StatusBadRequest, "gone", nil)
		return
	}
	if _, ok := r.server.requests.take(id); !ok { // pressed twice
		r.server.show(w, http.StatusBadRequest, "gone", nil)
		return
	}
	answer := struct {
		Code   string `schema:"code"`
		State  string `schema:"state,omitempty"`
		Issuer string `schema:"iss"` // RFC 9207
	}{r.server.codes.issue(grant{request: waiting, user: chosen, at: r.clock()}), waiting.state, r.url()}
	back, err := op.AuthResponseURL(waiting.redirectURI, oidc.ResponseTypeCode, waiting.mode, answer, oidc.NewEncoder())
	if err != nil {
		r.server.logger.Error("cannot lead back from a sign-in", "error", err)
		http.Error(w, "cannot lead back", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, req, back, http.StatusSeeOther)
}

// withQuery adds a parameter to an address that parses.
func withQuery(address, name, value string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
