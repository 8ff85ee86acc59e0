package integration

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// The grant types that a provider is asked for (RFC 6749, 8693 and 7523).
const (
	clientCredentials = "client_credentials"
	tokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtBearer         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
)

// tokenAnswer is a provider's answer at the token endpoint, good or bad.
type tokenAnswer struct {
	Status           int    `json:"-"`
	AccessToken      string `json:"access_token"`
	IDToken          string `json:"id_token"`
	TokenType        string `json:"token_type"`
	IssuedTokenType  string `json:"issued_token_type"`
	ExpiresIn        int    `json:"expires_in"`
	Scope            string `json:"scope"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
	Claims           string `json:"claims"`
}

// client is one that trusts the provider and shows it certificates, if given. It follows no redirects and keeps cookies.
func (p *idp) client(t testing.TB, certificates ...tls.Certificate) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: p.roots, Certificates: certificates, MinVersion: tls.VersionTLS12}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Jar: jar, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// ask posts a form to an endpoint, as the client edge unless the form names another, and decodes the answer.
func (p *idp) ask(t testing.TB, endpoint idpEndpoint, form url.Values, answer any) (status int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Issuer+string(endpoint), strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := p.client(t)
	switch form.Get("client_id") {
	case "":
		request.SetBasicAuth("edge", url.QueryEscape(p.Secret)) // RFC 6749, section 2.3.1
	case "edge-certificate":
		pair, err := tls.LoadX509KeyPair(p.ClientCertificate.Certificate, p.ClientCertificate.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		client = p.client(t, pair)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(answer); err != nil {
		t.Fatalf("%s answered %d: %v", endpoint, response.StatusCode, err)
	}
	return response.StatusCode
}

// askToken posts a form to the token endpoint.
func (p *idp) askToken(t testing.TB, form url.Values) (answer tokenAnswer) {
	t.Helper()
	answer.Status = p.ask(t, idpToken, form, &answer)
	return answer
}

// SignIn signs a user in to the app, by the authorization code with PKCE (RFC 7636), as a browser would: its access token
// is for an API, and its ID token for the app.
func (p *idp) SignIn(t testing.TB, user, api string) tokenAnswer {
	t.Helper()
	client := p.client(t)
	verifier, state := rand.Text()+rand.Text(), rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	next := p.Issuer + "/auth?" + url.Values{
		"client_id": {"app"}, "response_type": {"code"}, "redirect_uri": {"https://app.example.org/callback"},
		"scope": {"openid read write"}, "resource": {api}, "state": {state}, "nonce": {rand.Text()},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}.Encode()
	for range 10 {
		location, err := follow(client, next, user)
		if err != nil {
			t.Fatal(err)
		}
		if location.Host != "app.example.org" {
			next = location.String()
			continue
		}
		query := location.Query()
		if query.Get("state") != state || query.Get("iss") != p.Issuer {
			t.Fatalf("the app was answered %v", query)
		}
		return p.askToken(t, url.Values{
			"grant_type": {"authorization_code"}, "client_id": {"app"}, "code": {query.Get("code")},
			"redirect_uri": {"https://app.example.org/callback"}, "code_verifier": {verifier},
		})
	}
	t.Fatal("the sign-in never came back to the app")
	return tokenAnswer{}
}

// follow goes one step of a sign-in: it opens a page and, where that is the form that asks for a name, fills it in. It
// returns where that leads to.
func follow(client *http.Client, address, user string) (*url.URL, error) {
	response, err := client.Get(address)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	if response.StatusCode == http.StatusOK {
		if response, err = client.PostForm(address, url.Values{"prompt": {"login"}, "login": {user}}); err != nil {
			return nil, err
		}
		_ = response.Body.Close()
	}
	location, err := response.Location()
	return location, errors.Join(err, statusIsRedirect(response))
}

func statusIsRedirect(response *http.Response) error {
	if response.StatusCode < 300 || response.StatusCode > 399 {
		return errors.New(response.Request.URL.Path + " answered " + response.Status)
	}
	return nil
}

// get reads a document.
func (p *idp) get(t testing.TB, path string, document any) {
	t.Helper()
	response, err := p.client(t).Get(p.Issuer + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(document); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s answered %s: %v", path, response.Status, err)
	}
}

// revoke revokes an opaque token of the app's (RFC 7009).
func (p *idp) revoke(t testing.TB, token string) {
	t.Helper()
	response, err := p.client(t).PostForm(p.Issuer+"/token/revocation", url.Values{"client_id": {"app"}, "token": {token}})
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("revocation answered %s", response.Status)
	}
}

// clientAssertion is what the client edge-key authenticates with (RFC 7523, section 3).
func (p *idp) clientAssertion(t testing.TB) string {
	t.Helper()
	encoded, err := os.ReadFile(p.ClientKey)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ca.ParsePrivateKey(encoded)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(`{"alg":"ES256"}`)) + "." + encode(fmt.Appendf(nil,
		`{"iss":"edge-key","sub":"edge-key","aud":%q,"jti":%q,"iat":%d,"exp":%d}`, p.Issuer, now, now.Unix(), now.Unix()+60))
	digest := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, key.(*ecdsa.PrivateKey), digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return input + "." + encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// keySet is what the provider publishes, by kid.
func (p *idp) keySet(t testing.TB) map[string]map[string]string {
	t.Helper()
	var set struct{ Keys []map[string]string }
	p.get(t, "/jwks", &set)
	keys := make(map[string]map[string]string)
	for _, key := range set.Keys {
		keys[key["kid"]] = key
	}
	return keys
}

// open decodes a token without a look at its signature.
func (p *idp) open(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no token", token)
	}
	for i, into := range []*map[string]any{&header, &claims} {
		if err := json.Unmarshal(decode(t, parts[i]), into); err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// verify decodes a token whose signature, RS256 or ES256, is by a published key.
func (p *idp) verify(t testing.TB, token string) (header, claims map[string]any) {
	t.Helper()
	header, claims = p.open(t, token)
	kid, _ := header["kid"].(string)
	key := p.keySet(t)[kid]
	if key == nil || key["alg"] != header["alg"] {
		t.Fatalf("the key of %v is not published", header)
	}
	last := strings.LastIndexByte(token, '.')
	digest, signature := sha256.Sum256([]byte(token[:last])), decode(t, token[last+1:])
	integer := func(name string) *big.Int { return new(big.Int).SetBytes(decode(t, key[name])) }
	switch key["alg"] {
	case "RS256":
		public := &rsa.PublicKey{N: integer("n"), E: int(integer("e").Int64())}
		if err := rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature); err != nil {
			t.Fatal(err)
		}
	case "ES256":
		point := append([]byte{4}, append(decode(t, key["x"]), decode(t, key["y"])...)...)
		public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		if err != nil {
			t.Fatal(err)
		}
		if len(signature) != 64 || !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
			t.Fatal("the signature is wrong")
		}
	default:
		t.Fatalf("the token is signed by %s", key["alg"])
	}
	return header, claims
}

func decode(t testing.TB, part string) []byte {
	t.Helper()
	decoded, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}
