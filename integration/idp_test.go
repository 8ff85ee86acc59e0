package integration

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// idp is an identity provider that nobody here wrote: oidc-provider (integration/idp), with https and faults in front.
// Who its users, clients and APIs are is in integration/idp/parties.mjs.
type idp struct {
	*idpProxy
	// Issuer is its URL, as tokens and its metadata say it.
	Issuer string
	// Roots is the path of the authority that its https must be trusted by, in PEM.
	Roots string
	// Secret is that of the clients edge (client_secret_basic) and edge-post (client_secret_post). SetSecret changes it.
	Secret string
	// ClientKey is the path of the private key of the client edge-key (private_key_jwt, ES256), in PEM. Its kid is edge-key-1.
	ClientKey string
	// ClientCertificate are the paths of the certificate and key of the client edge-certificate (tls_client_auth).
	ClientCertificate ca.Files

	t        testing.TB // the one that it ends with
	folder   string
	script   string
	roots    *x509.CertPool
	settings map[string]any
	process  *program
	control  string
}

// startIDP starts an identity provider with keys for RS256 and ES256. It ends with the test.
func startIDP(t testing.TB) *idp {
	t.Helper()
	p := &idp{t: t, folder: t.TempDir(), roots: x509.NewCertPool(), Secret: "the edge: 100% of its secret & more"}
	authority, err := ca.Create(ca.Options{CommonName: "idp.example.org"})
	if err != nil {
		t.Fatal(err)
	}
	p.roots.AddCert(authority.Certificate())
	p.Roots = p.write(t, "roots.pem", authority.CertificatePEM())
	server, err := authority.Issue(ca.Request{
		Profile: ca.Server, Subject: pkix.Name{CommonName: "idp"},
		DNSNames: []string{"localhost"}, IPAddresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := authority.Issue(ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: "edge-certificate"}})
	if err != nil {
		t.Fatal(err)
	}
	if p.ClientCertificate, err = ca.WriteKeyPair(p.folder, "edge-certificate", client); err != nil {
		t.Fatal(err)
	}
	p.idpProxy = startIDPProxy(t, server, p.roots)
	p.Issuer = p.URL
	p.settings = map[string]any{
		"issuer": p.Issuer, "keys": filepath.Join(p.folder, "keys.json"),
		"lifetime": 300, "offset": 0, "secret": p.Secret, "client_key": p.makeClientKey(t),
	}
	p.script = filepath.Join(installProgram(t, "idp", "idp"), "server.mjs")
	p.Start(t)
	return p
}

// makeClientKey makes the key of edge-key and returns its public half as a JWK (RFC 7518, section 6.2.1).
func (p *idp) makeClientKey(t testing.TB) map[string]string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := ca.EncodePrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	p.ClientKey = p.write(t, "edge-key.pem", encoded)
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	return map[string]string{"kid": "edge-key-1", "kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
}

// Start starts the provider's process again, with the keys and settings that it had.
func (p *idp) Start(t testing.TB) {
	t.Helper()
	settings, err := json.Marshal(p.settings)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command("node", p.script, p.write(t, "configuration.json", settings))
	if _, err := command.StdinPipe(); err != nil { // with which it ends, should this process be killed
		t.Fatal(err)
	}
	p.process = launch(p.t, command)
	var line string
	eventually(t, "the identity provider listens", func() bool {
		select {
		case <-p.process.ended:
			t.Fatalf("the identity provider has ended:\n%s", p.process.err.String())
		default:
		}
		var whole bool
		_, after, _ := strings.Cut(p.process.out.String(), "{")
		line, _, whole = strings.Cut(after, "\n")
		return whole
	})
	var listening struct{ Provider, Control string }
	if err := json.Unmarshal([]byte("{"+line), &listening); err != nil {
		t.Fatalf("the identity provider printed %q: %v", line, err)
	}
	target, err := url.Parse(listening.Provider)
	if err != nil {
		t.Fatal(err)
	}
	p.target.Store(target)
	p.control = listening.Control
}

// Stop ends the provider's process: connections are closed without an answer until Start. What it remembered of sessions,
// codes and opaque tokens is lost.
func (p *idp) Stop(t testing.TB) {
	t.Helper()
	p.process.end(t, syscall.SIGTERM)
}

// tokenOrder is a token to be made outright. The empty one is for a good access token: subject clerk, audience
// https://api.example.org, client app, no roles.
type tokenOrder struct {
	// Algorithm is RS256 unless said. "none" and HS256 (with the public key as secret) are possible.
	Algorithm string `json:"algorithm,omitempty"`
	// Key is the kid of a key that the provider has or had, or "stranger"; the one that signs now, unless said.
	Key string `json:"key,omitempty"`
	// Header and Claims replace what would stand there; nil removes it.
	Header map[string]any `json:"header,omitempty"`
	Claims map[string]any `json:"claims,omitempty"`
	// Lifetime is in seconds, negative for an expired token, zero for what is usual (SetLifetime).
	Lifetime int `json:"lifetime,omitempty"`
	// IDToken makes it an ID token.
	IDToken bool `json:"id_token,omitempty"`
}

// Token makes a token.
func (p *idp) Token(t testing.TB, order tokenOrder) string {
	t.Helper()
	return p.command(t, http.MethodPost, "/tokens", order)["token"]
}

// Rotate publishes a new key, which signs for the algorithm from now on, and returns its kid. The one before stays
// published. The algorithm may be one that had no key.
func (p *idp) Rotate(t testing.TB, algorithm string) (kid string) {
	t.Helper()
	return p.command(t, http.MethodPost, "/keys", map[string]any{"algorithm": algorithm, "signs": true})["kid"]
}

// Announce publishes a new key that does not sign yet, unless a token orders it, and returns its kid.
func (p *idp) Announce(t testing.TB, algorithm string) (kid string) {
	t.Helper()
	return p.command(t, http.MethodPost, "/keys", map[string]any{"algorithm": algorithm, "signs": false})["kid"]
}

// Withdraw takes a key out of the key set. Tokens can be ordered by it still. The last key of an algorithm stays.
func (p *idp) Withdraw(t testing.TB, kid string) {
	t.Helper()
	p.command(t, http.MethodDelete, "/keys/"+kid, nil)
}

// SetClock sets how far the provider's clock is ahead: it moves iat, nbf and exp of what it issues, but for its own ID
// tokens.
func (p *idp) SetClock(t testing.TB, ahead time.Duration) {
	t.Helper()
	p.set(t, "offset", int(ahead/time.Second))
}

// SetLifetime sets how long access tokens are valid, in whole seconds.
func (p *idp) SetLifetime(t testing.TB, lifetime time.Duration) {
	t.Helper()
	p.set(t, "lifetime", int(lifetime/time.Second))
}

// SetSecret sets the secret of the clients edge and edge-post. The one before is void at once.
func (p *idp) SetSecret(t testing.TB, secret string) {
	t.Helper()
	p.set(t, "secret", secret)
	p.Secret = secret
}

func (p *idp) set(t testing.TB, name string, value any) {
	t.Helper()
	p.command(t, http.MethodPut, "/settings", map[string]any{name: value})
	p.settings[name] = value
}

// command asks for something that integration/idp/control.mjs does.
func (p *idp) command(t testing.TB, method, path string, body any) (answer map[string]string) {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, p.control+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %v %v", method, path, response.StatusCode, answer, err)
	}
	return answer
}

// write writes a file of the provider's and returns its path.
func (p *idp) write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(p.folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
