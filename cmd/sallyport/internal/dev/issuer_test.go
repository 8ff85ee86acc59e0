package dev

import (
	"slices"
	"testing"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func TestAProviderIsReplacedInAllThatIsAskedOverANetwork(t *testing.T) {
	p := &sallyportv1.Provider{Spec: &sallyportv1.ProviderSpec{
		Issuers: []string{"https://one.example.org", "https://two.example.org"}, Audiences: []string{"api"}, JwksUri: "https://one.example.org/keys",
		TokenEndpoint: "https://one.example.org/token", Truststore: "internal", KeySet: "file:keys.json",
		Introspection: &sallyportv1.ProviderIntrospection{Endpoint: "https://one.example.org/introspect"},
		Client: &sallyportv1.ProviderClient{
			Id: "edge", Authentication: sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT, PrivateKey: "file:key.pem", KeyId: "1",
		},
	}}
	stand(p, "http://127.0.0.1:9000/corporate")
	spec := p.GetSpec()
	if !slices.Equal(spec.GetIssuers(), []string{"http://127.0.0.1:9000/corporate"}) || !spec.GetInsecureHttp() || spec.GetAudiences()[0] != "api" {
		t.Errorf("issuers %v, insecure %t", spec.GetIssuers(), spec.GetInsecureHttp())
	}
	for name, left := range map[string]string{
		"jwks_uri": spec.GetJwksUri(), "token_endpoint": spec.GetTokenEndpoint(), "truststore": spec.GetTruststore(), "key_set": spec.GetKeySet(),
		"introspection": spec.GetIntrospection().GetEndpoint(), "private_key": spec.GetClient().GetPrivateKey(), "key_id": spec.GetClient().GetKeyId(),
	} {
		if left != "" {
			t.Errorf("%s is %s yet", name, left)
		}
	}
	if c := spec.GetClient(); c.GetId() != "edge" || c.GetSecret() == "" ||
		c.GetAuthentication() != sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC {
		t.Errorf("the client is %v", c)
	}
}

func TestPagesMayCallFromWhereTheirListenersAre(t *testing.T) {
	serving := map[string]string{
		"app.example.org:443": "127.0.0.1:8443", "*.partners.example.org:443": "127.0.0.1:8443", "other.example.org:9443": "127.0.0.1:9443",
	}
	for written, want := range map[string][]string{
		"https://app.example.org":        {"https://app.example.org", "https://app.example.org:8443"},
		"https://app.example.org:8443":   {"https://app.example.org:8443"},
		"https://*.example.org":          {"https://*.example.org", "https://*.example.org:8443", "https://*.example.org:9443"},
		"https://a.partners.example.org": {"https://a.partners.example.org", "https://a.partners.example.org:8443"},
		"https://elsewhere.test":         {"https://elsewhere.test"},
	} {
		cors := &sallyportv1.CrossOrigin{AllowOrigins: []string{written}}
		moveOrigins(cors, serving)
		if got := cors.GetAllowOrigins(); !slices.Equal(got, want) {
			t.Errorf("%s becomes %v", written, got)
		}
	}
	moveOrigins(nil, serving) // a Route without CORS
}
