package mint

import (
	"encoding/json"
	"slices"
)

// Addresses are where an issuer is met. What is empty is not offered.
type Addresses struct {
	TokenEndpoint, KeySet string
}

// metadata is what an issuer says of itself (RFC 8414, section 2; RFC 8705, section 3.3).
type metadata struct {
	Issuer         string   `json:"issuer"`
	TokenEndpoint  string   `json:"token_endpoint,omitempty"`
	KeySet         string   `json:"jwks_uri,omitempty"`
	Scopes         []string `json:"scopes_supported,omitempty"`
	ResponseTypes  []string `json:"response_types_supported"`
	GrantTypes     []string `json:"grant_types_supported"`
	Authentication []string `json:"token_endpoint_auth_methods_supported,omitempty"`
	Bound          bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
}

// Metadata is what the issuer says of itself to those who come by its name.
func (i *Issuer) Metadata(at Addresses) []byte {
	told := metadata{Issuer: i.provider.Issuers[0], KeySet: at.KeySet, ResponseTypes: []string{}, GrantTypes: []string{}}
	if at.TokenEndpoint != "" {
		told.TokenEndpoint = at.TokenEndpoint
		told.GrantTypes = []string{grantClientCredentials}
		told.Authentication = []string{"tls_client_auth"}
		told.Bound = true
		told.Scopes = i.scopes()
	}
	text, err := json.Marshal(told)
	if err != nil {
		return []byte("{}") // texts and lists of texts can always be written
	}
	return text
}

// scopes are all that somebody may be granted, sorted.
func (i *Issuer) scopes() []string {
	var all []string
	for _, grant := range i.provider.Mint.Grants {
		all = append(all, grant.Scopes...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
