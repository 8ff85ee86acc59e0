package dev

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/sampleapi"
	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func TestAProviderIsReplacedInAllThatIsAskedOverANetwork(t *testing.T) {
	p := &sallyportv1.Provider{Spec: &sallyportv1.ProviderSpec{
		Issuers: []string{"https://one.example.org", "https://two.example.org"}, Audiences: []string{"api"}, Types: []string{"at+jwt"}, JwksUri: "https://one.example.org/keys",
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
	if !slices.Equal(spec.GetTypes(), []string{devissuer.TokenType}) {
		t.Errorf("it takes tokens of the types %q", spec.GetTypes())
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

func TestEachUserHasATokenInAFileOfItsOwner(t *testing.T) {
	corporate := devissuer.Issuer{
		Name: "corporate", URL: "http://127.0.0.1:9000/corporate", Audiences: []string{"api"}, Algorithm: "ES256",
		RolesClaim: []string{"roles"}, ScopesClaim: []string{"scp"}, SubjectClaim: []string{"sub"}, Roles: []string{"writer"}, Scopes: []string{"search"},
	}
	server, err := devissuer.New(devissuer.Config{Issuers: []devissuer.Issuer{corporate}, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	e := &environment{state: &state{folder: t.TempDir()}, issuer: &issuer{server: server}}
	line, err := e.tokenLine(corporate, &target{entry: &config.Entry{Listener: &config.Listener{Address: loopback, Port: 8080}}, host: loopback, path: "/"}, "")
	if err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(e.state.folder, "clients")
	if want := "# as clerk, with a token of corporate that is good for 8 hours; in " + folder + " as well: visitor-corporate.header, nobody-corporate.header\n" +
		"curl --header @" + folder + "/clerk-corporate.header \\\n  'http://127.0.0.1:8080/'"; line != want {
		t.Errorf("got:\n%s\nwant:\n%s", line, want)
	}
	for user, want := range map[string][2]bool{"clerk": {true, true}, "visitor": {false, true}, "nobody": {}} { // roles and scopes
		path := filepath.Join(folder, user+"-corporate.header")
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
		token, sent := strings.CutPrefix(strings.TrimSuffix(string(content), "\n"), "Authorization: ")
		claims := sampleapi.TokenClaims(token)
		_, roles := claims["roles"]
		_, scopes := claims["scp"]
		if !sent || claims["sub"] != user || [2]bool{roles, scopes} != want {
			t.Errorf("the token of %s says %v", user, claims)
		}
	}
}
