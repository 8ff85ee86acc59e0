package idp

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/oauth2"
)

// assertionLife is how long an assertion counts (RFC 7523, section 3).
const assertionLife = 60 * time.Second

// assertionType is of an assertion that authenticates a client (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// credentials are what proves us in one request.
type credentials struct {
	id, secret string
	style      oauth2.AuthStyle
	parameters url.Values // an assertion, or nothing
}

// credentials prepares a proof for whoever the audience names.
func (p *Provider) credentials(audience string) (credentials, *Error) {
	client := p.config.Client
	proof := credentials{id: client.ID, style: oauth2.AuthStyleInParams}
	switch client.Method {
	case "":
		return credentials{}, misconfigured("no client is configured for the provider %s", p.config.Issuer)
	case Basic, Post:
		secret, err := client.Secret()
		if err != nil {
			return credentials{}, misconfigured("read the client secret for %s: %w", p.config.Issuer, err)
		}
		if secret == "" || !within(secret, ' ', '~') {
			return credentials{}, misconfigured("the client secret for %s is empty, or has characters that no secret may have, such as a line break (RFC 6749, appendix A.2)", p.config.Issuer)
		}
		proof.secret = secret
		if client.Method == Basic {
			proof.style = oauth2.AuthStyleInHeader
		}
	case PrivateKeyJWT:
		assertion, err := client.Sign(p.assertion(audience))
		if err != nil {
			return credentials{}, misconfigured("sign an assertion for %s: %w", p.config.Issuer, err)
		}
		proof.parameters = url.Values{"client_assertion_type": {assertionType}, "client_assertion": {assertion}}
	case TLSClientAuth:
		if p.config.ClientCertificate == nil || p.config.ClientCertificate() == nil {
			return credentials{}, misconfigured("there is no client certificate to present to %s", p.config.Issuer)
		}
	case None:
	}
	return proof, nil
}

// assertion returns the claims by which a client says who it is. They are not signed yet.
func (p *Provider) assertion(audience string) map[string]any {
	now := p.config.Clock()
	return map[string]any{
		"iss": p.config.Client.ID,
		"sub": p.config.Client.ID,
		"aud": audience,
		"jti": rand.Text(),
		"iat": now.Unix(),
		"exp": now.Add(assertionLife).Unix(),
	}
}

// addTo puts a proof into a request's form and header, as golang.org/x/oauth2 does at the token endpoint.
func (c credentials) addTo(form url.Values, header http.Header) {
	for name, values := range c.parameters {
		form[name] = values
	}
	if c.style == oauth2.AuthStyleInHeader {
		request := http.Request{Header: header}
		request.SetBasicAuth(url.QueryEscape(c.id), url.QueryEscape(c.secret)) // RFC 6749, section 2.3.1
		return
	}
	form.Set("client_id", c.id)
	if c.secret != "" {
		form.Set("client_secret", c.secret)
	}
}
