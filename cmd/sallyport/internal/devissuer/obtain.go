package devissuer

import (
	"cmp"
	"fmt"
	"net/url"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
)

// Obtained is what the token endpoint gives. It is a secret: print none of it.
type Obtained struct {
	AccessToken string
	Scopes      []string
	Lifetime    time.Duration
}

// Obtain gives what the token endpoint of a Provider would give the Provider's own client for a form, without HTTP and without
// asking for the secret: in place of the `subject_token` or `assertion` in the form, or else for the client itself. It is for
// simulations.
func (s *Server) Obtain(provider string, form url.Values) (Obtained, error) {
	r, ok := s.realm(provider)
	if !ok {
		return Obtained{}, fmt.Errorf("the Provider %s has no development issuer", provider)
	}
	given, err := r.obtain(r.issuer.ClientID, form)
	if err != nil {
		return Obtained{}, err
	}
	lifetime := time.Duration(given.ExpiresIn) * time.Second //nolint:gosec // G115: at most Lifetime
	return Obtained{AccessToken: given.AccessToken, Scopes: given.Scope, Lifetime: lifetime}, nil
}

func (r *realm) obtain(clientID string, form url.Values) (*oidc.AccessTokenResponse, error) {
	if clientID == "" {
		return nil, fmt.Errorf("the Provider %s has no client", r.issuer.Name)
	}
	subject := cmp.Or(form.Get("subject_token"), form.Get("assertion"))
	if subject == "" {
		return r.forClient(clientID, form)
	}
	actor, err := r.actor(form.Get("actor_token"), clientID)
	if err != nil {
		return nil, fmt.Errorf("the actor's token is not good: %w", err)
	}
	given, err := r.onBehalf(subject, actor, clientID, form)
	if err != nil {
		return nil, fmt.Errorf("the subject's token is not good: %w", err)
	}
	return given, nil
}
