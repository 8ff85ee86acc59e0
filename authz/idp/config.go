package idp

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync/atomic"
	"time"
)

// DefaultTimeout is how long one exchange may take where the configuration says nothing else.
const DefaultTimeout = 5 * time.Second

// Config describes one identity provider.
type Config struct {
	// Issuer is the provider's name of itself, the first where it has several. What is discovered must say the same,
	// letter by letter. It need not be an address where nothing is to be discovered.
	Issuer string
	// Discovery is the address of the metadata. Empty: where OpenID Connect Discovery puts it below the issuer, and where
	// RFC 8414 does if the first answers 404.
	Discovery string
	// KeySetURI, TokenEndpoint and IntrospectionEndpoint come from the metadata where they are empty.
	KeySetURI, TokenEndpoint, IntrospectionEndpoint string
	// InsecureHTTP lets http:// addresses pass, for loopback and tests. Otherwise all are https.
	InsecureHTTP bool
	// Roots verify the provider's servers. Nil: those of the system.
	Roots *x509.CertPool
	// ClientCertificate is called for each new connection to the token and introspection endpoints (RFC 8705). It may be
	// nil, and may return nil.
	ClientCertificate func() *tls.Certificate
	// Client is who we are to the provider. Discovery and key sets need none.
	Client Client
	// Timeout is of one exchange, from the connection to the last byte; DefaultTimeout if zero. A context may end it sooner.
	Timeout time.Duration
	// Clock is time.Now if nil. It dates tokens and assertions.
	Clock func() time.Time
}

// Method is how a client proves itself at the token endpoint, by its registered name (RFC 7591, section 2).
type Method string

// The methods that are known.
const (
	Basic         Method = "client_secret_basic"
	Post          Method = "client_secret_post"
	PrivateKeyJWT Method = "private_key_jwt"
	TLSClientAuth Method = "tls_client_auth"
	None          Method = "none"
)

// Client is our registration at a provider.
type Client struct {
	ID     string
	Method Method
	// Secret is read anew at each use, since secrets rotate. Its error must not quote the secret.
	Secret func() (string, error)
	// Sign makes a compact JWS of the claims of an assertion (RFC 7523, section 3). Its error must not quote the key.
	Sign func(claims map[string]any) (string, error)
	// Parameters are sent with each request for a token. They cannot replace what this package sends itself.
	Parameters url.Values
}

// Provider speaks to one identity provider. Its methods may be called at the same time.
type Provider struct {
	config    Config
	trusted   map[string]bool // origins that may be sent a secret
	documents *http.Client    // for what anybody may read
	secrets   *http.Client    // for what carries a secret or a token

	discovering chan struct{} // holds one while somebody discovers
	discovered  atomic.Pointer[Metadata]
}

// New checks a configuration. It asks nobody; an error names the field that is wrong.
func New(config Config) (*Provider, error) {
	if config.Timeout <= 0 {
		config.Timeout = DefaultTimeout
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Issuer == "" {
		return nil, errors.New("issuer: a provider needs one")
	}
	if err := config.Client.check(); err != nil {
		return nil, err
	}
	trusted, err := config.origins()
	if err != nil {
		return nil, err
	}
	config.Client.Parameters = clone(config.Client.Parameters)
	return &Provider{
		config:      config,
		trusted:     trusted,
		documents:   newDocumentClient(config),
		secrets:     newSecretClient(config),
		discovering: make(chan struct{}, 1),
	}, nil
}

// Close drops idle connections. Exchanges that are under way go on.
func (p *Provider) Close() {
	p.documents.CloseIdleConnections()
	p.secrets.CloseIdleConnections()
}

// origins checks the addresses, and returns the places that secrets may go to: where the issuer is, and what is configured
// for metadata, tokens and introspection. A key set may lie with anybody who serves files, so its place is none of them.
func (c Config) origins() (map[string]bool, error) {
	trusted := make(map[string]bool)
	for _, one := range []struct {
		field, address string
		trusted        bool
	}{
		{"discovery", c.Discovery, true},
		{"token_endpoint", c.TokenEndpoint, true},
		{"introspection_endpoint", c.IntrospectionEndpoint, true},
		{"jwks_uri", c.KeySetURI, false},
	} {
		if one.address == "" {
			continue
		}
		address, err := c.address(one.address)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.field, err)
		}
		if one.trusted {
			trusted[origin(address)] = true
		}
	}
	issuer, err := c.issuerAddress()
	if err == nil {
		trusted[origin(issuer)] = true
	} else if c.Discovery+c.KeySetURI+c.TokenEndpoint+c.IntrospectionEndpoint == "" {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	return trusted, nil
}

func (c Config) issuerAddress() (*url.URL, error) {
	issuer, err := c.address(c.Issuer)
	if err != nil {
		return nil, err
	}
	if issuer.RawQuery != "" || issuer.ForceQuery {
		return nil, errors.New("an issuer has no query (RFC 8414, section 2)")
	}
	return issuer, nil
}

// address parses an address that may be asked. Its errors do not quote it.
func (c Config) address(text string) (*url.URL, error) {
	parsed, err := url.Parse(text)
	switch {
	case err != nil || parsed.Hostname() == "" || parsed.Opaque != "":
		return nil, errors.New("it is no absolute address such as https://idp.example.org/token")
	case parsed.Scheme == "http" && !c.InsecureHTTP:
		return nil, errors.New("its scheme is http, which anybody on the way can read and change: use https, or insecure_http on a machine of your own")
	case parsed.Scheme != "https" && parsed.Scheme != "http":
		return nil, errors.New("its scheme is not https")
	case parsed.User != nil:
		return nil, errors.New("it holds a user or password, which do not belong into an address")
	case parsed.Fragment != "":
		return nil, errors.New("it has a fragment, which no server gets to see")
	}
	return parsed, nil
}

func (c Client) check() error {
	switch c.Method {
	case "":
		if c.ID != "" {
			return errors.New("client: it has an ID, and no method by which it proves itself")
		}
		return nil
	case Basic, Post:
		if c.Secret == nil {
			return fmt.Errorf("client: the method %s needs a secret", c.Method)
		}
	case PrivateKeyJWT:
		if c.Sign == nil {
			return fmt.Errorf("client: the method %s needs a signing key", c.Method)
		}
	case TLSClientAuth, None:
	default:
		return fmt.Errorf("client: the method %q is unknown", c.Method)
	}
	if c.ID == "" {
		return errors.New("client: it needs an ID")
	}
	if name := reservedIn(c.Parameters); name != "" {
		return fmt.Errorf("client: the parameter %s cannot be set, since it is what is asked for that decides it", name)
	}
	return nil
}

// origin is an address's scheme, host and port, in one spelling.
func origin(address *url.URL) string {
	port := address.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[address.Scheme]
	}
	return address.Scheme + "://" + lower(address.Hostname()) + ":" + port
}

// shown is an address as errors may quote it: without its query, which can hold a secret.
func shown(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "an address"
	}
	return parsed.Scheme + "://" + parsed.Host + parsed.EscapedPath()
}

// clone copies parameters deeply, so that nobody else can change them.
func clone(parameters url.Values) url.Values {
	copied := make(url.Values, len(parameters))
	for name, values := range parameters {
		copied[name] = slices.Clone(values)
	}
	return copied
}
