package config

import (
	"strings"
	"time"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Defaults of a Provider.
const (
	DefaultLeeway             = 30 * time.Second
	DefaultMaxStale           = 24 * time.Hour
	DefaultIntrospectionCache = 30 * time.Second
	DefaultHopLifetime        = 2 * time.Minute
	DefaultPartnerLifetime    = 5 * time.Minute
	DefaultKeyRotation        = 30 * 24 * time.Hour
)

// The types (the header `typ`) of tokens of our own: a verifier takes one, so that a token of one class is none of another.
const (
	HopType     = "hop+jwt"
	PartnerType = "at+jwt"
)

// Provider is an issuer of tokens.
type Provider struct {
	Header
	// Issuers are the values of `iss` that are its own; at least one.
	Issuers []string
	// Audiences are the values of `aud` that are meant for us; empty exactly for a Provider with Mint, where the policy names them.
	Audiences []string
	// Algorithms by which it signs, as JWA writes them; never empty.
	Algorithms []string
	// Types are the values of `typ` that a token may have, in lower case and without `application/`; an empty one is none at all.
	Types []string
	// AcceptIDTokens takes ID tokens for access tokens.
	AcceptIDTokens bool
	Leeway         time.Duration
	RequiredClaims []ClaimName
	Claims         ProviderClaims
	// Roles and Scopes are what it may assert.
	Roles, Scopes map[string]bool

	// KeySetURI is where its key set is; empty for discovery. KeySet is a reference to material instead.
	KeySetURI, KeySet string
	MaxStale          time.Duration
	// Truststore vouches for its server; nil for the system's authorities.
	Truststore *Truststore
	// InsecureHTTP lets it be called by http.
	InsecureHTTP bool
	// TokenEndpoint is empty for discovery.
	TokenEndpoint string
	// Introspection is nil where tokens are not asked about.
	Introspection *Introspection
	// Client is who we are there; nil where we are nobody.
	Client  *ProviderClient
	Revoked []RevokedToken
	// ResourceMetadata is an address, or empty.
	ResourceMetadata string
	// Mint is set where the issuer is ourselves.
	Mint *Mint
}

// Remote tells whether something has to be asked of it over a network to judge its tokens.
func (p *Provider) Remote() bool { return p.Mint == nil && (p.KeySet == "" || p.Introspection != nil) }

// ClaimName names a claim: the one whose whole name it is, or else the one at the end of a path through objects.
type ClaimName string

// Path is the name taken for a path; nil where it is none.
func (n ClaimName) Path() []string {
	if !strings.Contains(string(n), ".") {
		return nil
	}
	return strings.Split(string(n), ".")
}

// ProviderClaims says where a token says what. Of several names the first counts that the token has.
type ProviderClaims struct {
	Subject, Roles, Scopes, ClientID []ClaimName
}

// Introspection is how a Provider is asked about tokens that say nothing by themselves (RFC 7662).
type Introspection struct {
	// Endpoint is empty for discovery.
	Endpoint string
	// Cache is how long an answer counts at most.
	Cache time.Duration
	// WithoutAudience takes tokens whose answer names no audience.
	WithoutAudience bool
}

// ProviderClient is who we are to a Provider.
type ProviderClient struct {
	ID             string
	Authentication sallyportv1.ClientAuthentication
	// Secret and PrivateKey are references, each set exactly where Authentication needs it.
	Secret, PrivateKey string
	// KeyID is empty for the key's thumbprint.
	KeyID string
	// Certificate is set exactly for tls_client_auth.
	Certificate *Certificate
	Parameters  map[string]string
}

// RevokedToken is tokens that count no more. Exactly one of ID, Session and Subject is set.
type RevokedToken struct {
	ID, Session, Subject string
	// IssuedBefore bounds those of a subject; the zero time is no bound.
	IssuedBefore time.Time
	Origin       Origin
}

// Mint is how we make tokens of our own.
type Mint struct {
	Class    sallyportv1.TokenClass
	Lifetime time.Duration
	// Keys are references to private keys, the first of which signs; empty for generated ones.
	Keys        []string
	RotateEvery time.Duration
	Grants      []*TokenGrant
}

// Type is the header `typ` of its tokens.
func (m *Mint) Type() string {
	if m.Class == sallyportv1.TokenClass_TOKEN_CLASS_HOP {
		return HopType
	}
	return PartnerType
}

// TokenGrant lets consumers have tokens from the token endpoint.
type TokenGrant struct {
	Origin Origin
	// Consumers and Roles say who: one of the consumers, or who holds one of the roles.
	Consumers []*Consumer
	Roles     []*Role
	// Audiences that may be asked for, the first being the default; and scopes.
	Audiences, Scopes []string
}

// Covers tells whether the grant is the consumer's.
func (g *TokenGrant) Covers(c *Consumer) bool {
	for _, one := range g.Consumers {
		if one == c || one.Name == c.Name {
			return true
		}
	}
	for _, role := range g.Roles {
		if c.HasRole(role.Name) {
			return true
		}
	}
	return false
}

// TokenMatch recognises verified tokens; every field that is not empty must match.
type TokenMatch struct {
	Consumer          *Consumer
	Origin            Origin
	Provider          *Provider
	ClientID, Subject string
}

// TokenForwarding is what an upstream gets in the Authorization header, by who calls. The zero value is nothing.
type TokenForwarding struct {
	Anonymous, Certificate, User TokenDisposal
}

// Fetches tells whether one of them may have to ask a Provider.
func (f TokenForwarding) Fetches() bool {
	return f.Anonymous.fetches() || f.Certificate.fetches() || f.User.fetches()
}

// Any tells whether the upstream gets a token from somebody.
func (f TokenForwarding) Any() bool {
	return f.Anonymous.Kind != DisposalRemove || f.Certificate.Kind != DisposalRemove || f.User.Kind != DisposalRemove
}

// DisposalKind is what becomes of a caller's token.
type DisposalKind int

// The kinds.
const (
	DisposalRemove DisposalKind = iota
	DisposalPass
	DisposalExchange
	DisposalAcquire
	DisposalMint
)

// TokenDisposal is what stands in the Authorization header. The zero value removes it.
type TokenDisposal struct {
	Kind   DisposalKind
	Origin Origin
	// ID tells its content apart from that of any other disposal; for the keys of caches.
	ID string
	// Provider is set for all but DisposalRemove and DisposalPass.
	Provider *Provider
	// OnBehalfOf chooses Entra's flow for an exchange, in place of RFC 8693.
	OnBehalfOf bool
	// Actor sends a token of our own client along with an exchange.
	Actor              bool
	Audience, Resource string
	Scopes             []string
	Parameters         map[string]string
	// Claims of the caller's token that a minted one takes over.
	Claims []string
	// BoundTo is the URI in the certificate that we present, to which a minted token is bound; never empty for one.
	BoundTo string
}

func (d TokenDisposal) fetches() bool { return d.Kind == DisposalExchange || d.Kind == DisposalAcquire }
