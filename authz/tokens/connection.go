package tokens

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync"
	"sync/atomic"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// connection is how a Provider of others' is spoken to.
type connection struct {
	// identity tells what it was made of, and roots, as a hash, who vouches for the Provider's server; empty for the system's authorities.
	identity, roots string
	// provider is nil where it cannot be spoken to, and then fault says why.
	provider *idp.Provider
	fault    *unusable
	// material is the last with which this connection was in force. Where it is another one's turn, that one's secret may be for somebody
	// else.
	material atomic.Pointer[inventory.Snapshot]
}

// connect makes a connection, or keeps the one from before.
func (t *Tokens) connect(p *config.Provider, before *View, material *inventory.Snapshot) *connection {
	pool, roots, err := rootsOf(p, material)
	made := &connection{identity: hash("connection", identityOfClient(p, roots), p.KeySetURI, introspectionEndpoint(p)), roots: roots}
	if old := before.connections[p.Name]; old != nil && old.fault == nil && old.identity == made.identity {
		old.material.Store(material)
		return old
	}
	made.material.Store(material)
	if err == nil {
		made.provider, err = idp.New(t.configOf(p, pool, made))
	}
	if err != nil {
		made.fault = &unusable{provider: p.Name, cause: err}
		t.settings.Logger.Error("a Provider cannot be used", "provider", p.Name, "at", p.Origin.String(), "error", err)
	}
	return made
}

// rootsOf are the authorities that vouch for a Provider's server: nil for those of the system, which never stand in for a truststore.
func rootsOf(p *config.Provider, material *inventory.Snapshot) (*x509.CertPool, string, error) {
	if p.Truststore == nil {
		return nil, "", nil
	}
	store := material.Truststores[p.Truststore.Name]
	if store == nil {
		return nil, "", fmt.Errorf("the Truststore %q, which is to vouch for its server, has never been good", p.Truststore.Name)
	}
	pool := x509.NewCertPool()
	for _, anchor := range store.Anchors {
		pool.AddCert(anchor)
	}
	return pool, store.BundleHash, nil
}

func introspectionEndpoint(p *config.Provider) string {
	if p.Introspection == nil {
		return ""
	}
	return p.Introspection.Endpoint
}

// configOf says how a Provider is spoken to. What is secret is read each time that it is needed, of the connection's own material.
func (t *Tokens) configOf(p *config.Provider, roots *x509.CertPool, own *connection) idp.Config {
	c := idp.Config{
		Issuer: p.Issuers[0], KeySetURI: p.KeySetURI, TokenEndpoint: p.TokenEndpoint, IntrospectionEndpoint: introspectionEndpoint(p),
		InsecureHTTP: p.InsecureHTTP, Roots: roots, Timeout: t.settings.Timeout, Clock: t.settings.Clock,
	}
	client := p.Client
	if client == nil {
		return c
	}
	c.Client = idp.Client{ID: client.ID, Method: methods[client.Authentication], Parameters: make(url.Values, len(client.Parameters))}
	for name, value := range client.Parameters {
		c.Client.Parameters.Set(name, value)
	}
	switch c.Client.Method {
	case idp.Basic, idp.Post:
		c.Client.Secret = func() (string, error) { return own.secret(p.Name) }
	case idp.PrivateKeyJWT:
		c.Client.Sign = func(claims map[string]any) (string, error) { return own.sign(p.Name, client.KeyID, claims) }
	case idp.TLSClientAuth:
		if client.Certificate != nil {
			name := client.Certificate.Name
			c.ClientCertificate = func() *tls.Certificate { return t.ownPairs.get(own.material.Load().Certificates[name]) }
		}
	}
	return c
}

var methods = map[sallyportv1.ClientAuthentication]idp.Method{
	sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC: idp.Basic,
	sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST:  idp.Post,
	sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT:     idp.PrivateKeyJWT,
	sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH:     idp.TLSClientAuth,
}

var (
	errNoSecret = errors.New("there is none: its material has never been good")
	errNoKey    = errors.New("there is no key: its material has never been good")
)

func (c *connection) secret(provider string) (string, error) {
	if found := c.material.Load().Providers[provider]; found != nil && found.Secret != "" {
		return found.Secret, nil
	}
	return "", errNoSecret
}

// sign makes an assertion by the client's key, under the id that the Provider knows it by.
func (c *connection) sign(provider, keyID string, claims map[string]any) (string, error) {
	found := c.material.Load().Providers[provider]
	if found == nil || found.PrivateKey == nil {
		return "", errNoKey
	}
	signer, err := jose.NewSigner(found.PrivateKey)
	if err != nil {
		return "", err
	}
	if keyID != "" {
		signer = signer.Named(keyID)
	}
	return signer.Sign("JWT", claims)
}

// pairs are our own certificates, in the form that connections want, by hash.
type pairs struct {
	mu     sync.Mutex
	parsed map[string]*tls.Certificate
}

// get returns nil for a certificate that there is not.
func (p *pairs) get(pair *inventory.KeyPair) *tls.Certificate {
	if pair == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.parsed[pair.Hash]; known != nil {
		return known
	}
	made, err := tls.X509KeyPair(pair.CertificatePEM, pair.PrivateKeyPEM)
	if err != nil {
		return nil
	}
	if len(p.parsed) >= maxPairs { // of which most are of the past
		p.parsed = nil
	}
	if p.parsed == nil {
		p.parsed = make(map[string]*tls.Certificate)
	}
	p.parsed[pair.Hash] = &made
	return &made
}

// maxPairs is how many certificates are kept parsed: more than a configuration has Providers.
const maxPairs = 64

// keys is where the key set is fetched.
func (c *connection) keys() keyset.Source {
	if c.provider == nil {
		return c.fault
	}
	return c.provider
}

// client is who asks for tokens; nil if nobody can.
func (c *connection) client() propagation.Client {
	if c.provider == nil {
		return nil
	}
	return c.provider
}

// closeAllBut closes the connections that are not the next ones.
func (v *View) closeAllBut(next *View) {
	for name, c := range v.connections {
		if c.provider != nil && next.connections[name] != c {
			c.provider.Close()
		}
	}
}

// unusable is a Provider that cannot be spoken to.
type unusable struct {
	provider string
	cause    error
}

// Error says which, and why.
func (u *unusable) Error() string {
	return fmt.Sprintf("the Provider %q cannot be used: %v", u.provider, u.cause)
}

// Unwrap returns why.
func (u *unusable) Unwrap() error { return u.cause }

// KeySet implements keyset.Source: there is none.
func (u *unusable) KeySet(context.Context, idp.Validator) (idp.Fetched, error) {
	return idp.Fetched{}, u
}

// Introspect asks a Provider about a token. It implements bearer.Introspector.
func (v *View) Introspect(ctx context.Context, provider, token string) (*idp.Introspection, error) {
	if v.tokens.settings.Substitute != nil {
		return introspectLocally(token), nil
	}
	connected := v.connections[provider]
	switch {
	case connected == nil:
		return nil, &unusable{provider: provider, cause: errors.New("it is not in force")}
	case connected.provider == nil:
		return nil, connected.fault
	}
	return connected.provider.Introspect(ctx, token)
}

// The identities tell whether what is held of a Provider is still its own. They hold no secret.

// identityOfKeys is of whose keys, from where, and who vouches that they come from there: what an authority
// has vouched for counts no longer than it does.
func identityOfKeys(p *config.Provider, roots string) string {
	return hash("keys", p.Issuers, p.KeySetURI, trustOf(p, roots))
}

// identityOfStatic is of whose keys, where they are material or our own.
func identityOfStatic(p *config.Provider) string {
	return hash("static keys", p.Issuers, p.KeySet, p.Mint != nil)
}

// identityOfClient is of whom we ask for tokens, and as whom.
func identityOfClient(p *config.Provider, roots string) string {
	asked := hash("client", p.Issuers, p.TokenEndpoint, trustOf(p, roots))
	if p.Client == nil {
		return asked
	}
	c := *p.Client
	certificate := ""
	if c.Certificate != nil {
		certificate = c.Certificate.Name
	}
	return hash(asked, c.ID, c.Authentication, c.KeyID, certificate, c.Parameters)
}

// trustOf is by whom a Provider's server is known.
func trustOf(p *config.Provider, roots string) string {
	name := ""
	if p.Truststore != nil {
		name = p.Truststore.Name
	}
	return hash("trust", name, roots, p.InsecureHTTP)
}

// identityOfIssuer is of what we make tokens with.
func identityOfIssuer(p *config.Provider, keys string) string {
	return hash("issuer", p.Issuers, p.Mint.Class, p.Mint.Lifetime, keys)
}

// hash is the SHA-256 over parts that JSON can tell, in hexadecimal: no two lists of parts are taken for the same.
func hash(parts ...any) string {
	text, err := json.Marshal(parts)
	if err != nil { // texts, numbers and lists of them cannot fail
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}
