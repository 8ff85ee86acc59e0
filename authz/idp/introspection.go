package idp

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/sallyport-project/sallyport/authz/jose"
)

// Introspection is what a provider says of a token (RFC 7662, section 2.2).
type Introspection struct {
	// Active says that the provider vouches for the token.
	Active bool
	// Claims are the members of the answer, read as strictly as those of a JWT. Nil if the token is not active.
	Claims *jose.Claims
}

// Introspect asks the provider about a token. The token goes to the issuer's hosts only. The error is an *Error; that a
// token is not active is none.
func (p *Provider) Introspect(ctx context.Context, token string) (*Introspection, error) {
	at, fault := p.introspectionEndpoint(ctx)
	if fault != nil {
		return nil, fault
	}
	proof, fault := p.credentials(p.config.Issuer)
	if fault != nil {
		return nil, fault
	}
	got, fault := p.post(ctx, at.address, proof, url.Values{"token": {token}, "token_type_hint": {"access_token"}})
	if fault == nil {
		var found *Introspection
		if found, fault = readIntrospection(got); fault == nil {
			return found, nil
		}
	}
	p.forget(at, fault)
	return nil, failure("introspect a token at "+shown(at.address), fault)
}

func (p *Provider) post(ctx context.Context, address string, proof credentials, form url.Values) (*answer, *Error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
	proof.addTo(form, header)
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, misconfigured("the address cannot be asked")
	}
	asked.Header = header
	return send(p.secrets, "", asked)
}

func readIntrospection(got *answer) (*Introspection, *Error) {
	if got.status != http.StatusOK {
		return nil, refusal(got.status, got.header, got.body)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(got.body, &members) != nil {
		return nil, badAnswer("the answer is no introspection (RFC 7662, section 2.2)")
	}
	if string(members["active"]) == "false" {
		return &Introspection{}, nil
	}
	claims, err := jose.ParseClaims(got.body)
	if err != nil {
		return nil, badAnswer("the answer is no introspection that can be relied on: %v", err)
	}
	if active, _ := claims.Lookup([]string{"active"}); active != true {
		return nil, badAnswer("the answer does not say whether the token is active (RFC 7662, section 2.2)")
	}
	return &Introspection{Active: true, Claims: claims}, nil
}
