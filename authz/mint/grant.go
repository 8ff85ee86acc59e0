package mint

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/config"
)

// GrantRequest is a request for a token, as it came to the token endpoint, and who makes it.
type GrantRequest struct {
	// Method and ContentType of the request, and its whole body.
	Method, ContentType string
	Body                []byte
	// Authorization says that the request has a header of that name.
	Authorization bool
	// Consumer whose certificate was verified and is in good standing now; nil for a caller that is none of our Consumers.
	Consumer *config.Consumer
	// CertificateSHA256 of that certificate in lower-case hexadecimal, and its end.
	CertificateSHA256   string
	CertificateNotAfter time.Time
}

// grantClientCredentials is the grant that there is (RFC 6749, section 4.4).
const grantClientCredentials = "client_credentials"

// Grant answers a request for a token. Whoever asks is authenticated by the certificate of the connection alone (RFC 8705,
// section 2.1); a secret or an assertion is refused, since it would count for nothing.
func (i *Issuer) Grant(r GrantRequest, now time.Time) Answer {
	form, refused := readForm(r)
	if refused != nil {
		return refused.answer()
	}
	if refused := authenticate(r, form); refused != nil {
		return refused.answer()
	}
	wanted, refused := i.authorize(r.Consumer, form)
	if refused != nil {
		return refused.answer()
	}
	id := newID()
	token, expires, err := i.Mint(Claims{
		ID: id, Subject: SubjectConsumer + r.Consumer.Name, ClientID: r.Consumer.Name, Audience: wanted.audience, Scopes: wanted.scopes,
		Confirmation: Confirmation{CertificateSHA256: r.CertificateSHA256}, NotAfter: earliest(r.CertificateNotAfter, r.Consumer.ValidUntil),
	}, now)
	if err != nil {
		answer := (&refusal{http.StatusServiceUnavailable, temporarilyUnavailable, "no token can be made at the moment"}).answer()
		answer.Err = err
		return answer
	}
	answer := granted(token, expires, wanted, now)
	answer.ID = id
	return answer
}

// authenticate wants the caller to be a Consumer by its certificate, and to claim nothing else.
func authenticate(r GrantRequest, form form) *refusal {
	switch {
	case r.Authorization:
		return invalidClient("the certificate of the connection authenticates the client: send no Authorization header")
	case form.has("client_secret"), form.has("client_assertion"), form.has("client_assertion_type"):
		return invalidClient("the certificate of the connection authenticates the client: send no secret and no assertion")
	case r.Consumer == nil || r.CertificateSHA256 == "":
		return invalidClient("no client is known by the certificate of the connection")
	case form.has("client_id") && form.get("client_id") != r.Consumer.Name:
		return invalidClient("the certificate of the connection is not that of the client_id")
	}
	return nil
}

// entitlement is what a token is made for.
type entitlement struct {
	audience string
	scopes   []string
}

// authorize finds what the request asks for among what the Consumer is granted. Of several grants for one audience, the scopes
// of all count.
func (i *Issuer) authorize(consumer *config.Consumer, form form) (entitlement, *refusal) {
	switch form.get("grant_type") {
	case grantClientCredentials:
	case "":
		return entitlement{}, invalidRequest("grant_type is missing")
	default:
		return entitlement{}, &refusal{http.StatusBadRequest, "unsupported_grant_type", "the only grant_type is client_credentials"}
	}
	var grants []*config.TokenGrant
	for _, grant := range i.provider.Mint.Grants {
		if grant.Covers(consumer) && len(grant.Audiences) > 0 {
			grants = append(grants, grant)
		}
	}
	if len(grants) == 0 {
		return entitlement{}, &refusal{http.StatusBadRequest, "unauthorized_client", "the client is granted no tokens here"}
	}
	audience, refused := form.audience(grants[0].Audiences[0])
	if refused != nil {
		return entitlement{}, refused
	}
	var scopes []string
	granted := false
	for _, grant := range grants {
		if slices.Contains(grant.Audiences, audience) {
			granted = true
			scopes = append(scopes, grant.Scopes...)
		}
	}
	if !granted {
		return entitlement{}, invalidTarget("the client is granted no tokens for this audience")
	}
	slices.Sort(scopes)
	scopes, refused = form.scopes(slices.Compact(scopes))
	return entitlement{audience: audience, scopes: scopes}, refused
}

// audience is the one that is asked for, by either name (RFC 8707, section 2), or the usual one.
func (f form) audience(usual string) (string, *refusal) {
	audience, resource := f.get("audience"), f.get("resource")
	switch {
	case audience == "" && resource == "":
		return usual, nil
	case audience == "":
		return resource, nil
	case resource != "" && resource != audience:
		return "", invalidTarget("audience and resource differ, and one token has one audience")
	}
	return audience, nil
}

// scopes are those that are asked for, all of which must be granted, or else all that are granted.
func (f form) scopes(granted []string) ([]string, *refusal) {
	if !f.has("scope") {
		return granted, nil
	}
	asked := strings.Split(f.get("scope"), " ")
	for _, scope := range asked {
		if !slices.Contains(granted, scope) {
			return nil, &refusal{http.StatusBadRequest, "invalid_scope", "the client is not granted one of the scopes for this audience, or it is malformed"}
		}
	}
	slices.Sort(asked)
	return slices.Compact(asked), nil
}

// earliest is the earlier of two moments, of which zero is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
