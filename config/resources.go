package config

import (
	"regexp"
	"time"

	"github.com/sallyport-project/sallyport/config/expression"
	"github.com/sallyport-project/sallyport/config/template"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Role is a set of permissions.
type Role struct {
	Header
	Permissions []*Permission
}

// Permission allows methods on paths of routes.
type Permission struct {
	Role   *Role
	Origin Origin
	Routes []*Route
	// Methods are HTTP methods; empty means any.
	Methods []string
	Paths   []*template.Template
}

// Consumer is a party that calls our APIs.
type Consumer struct {
	Header
	Certificates []*CertificateMatch
	Tokens       []*TokenMatch
	Roles        []*Role
	Contact      string
	Suspended    bool
	// SuspendedOrigin is where the suspension is written.
	SuspendedOrigin Origin
	// ValidFrom and ValidUntil bound the consumer's validity, the latter exclusively; the zero time is no bound.
	ValidFrom, ValidUntil time.Time
	// RateLimit is nil where there is none.
	RateLimit *RateLimit
	// Facts are what expressions see of it; never nil.
	Facts *expression.Consumer
}

// RateLimit is how often a consumer may call, counted by each authorization process for itself: Requests in Per, and Burst
// at once. All are positive.
type RateLimit struct {
	Requests, Burst int
	Per             time.Duration
	Origin          Origin
}

// HasRole tells whether the consumer holds the role.
func (c *Consumer) HasRole(name string) bool {
	for _, r := range c.Roles {
		if r.Name == name {
			return true
		}
	}
	return false
}

// CertificateMatch recognises certificates; every field that is not empty must match.
type CertificateMatch struct {
	Consumer          *Consumer
	Origin            Origin
	Truststore        *Truststore
	SubjectCommonName string
	// SubjectDN and IssuerDN are distinguished names as RFC 4514 writes them, the last relative one first.
	SubjectDN, IssuerDN string
	SANURI, SANDNS      string
	// SPKISHA256 and CertificateSHA256 are lower-case hexadecimal.
	SPKISHA256, CertificateSHA256 string
	// Serial is lower-case hexadecimal without leading zeros.
	Serial string
	// Patterns stand in place of exact names.
	Patterns CertificatePatterns
}

// CertificatePatterns are patterns for a certificate's names; every one that is not zero must match.
type CertificatePatterns struct {
	SubjectCommonName, SubjectDN, SANURI, SANDNS Pattern
}

// Any tells whether there is a pattern at all.
func (p CertificatePatterns) Any() bool {
	return !p.SubjectCommonName.IsZero() || !p.SubjectDN.IsZero() || !p.SANURI.IsZero() || !p.SANDNS.IsZero()
}

// Pattern is a regular expression that a whole name must match; ParsePattern makes one. The zero Pattern matches nothing.
type Pattern struct {
	// Text is the pattern as it was written.
	Text  string
	whole *regexp.Regexp
}

// IsZero tells whether there is no pattern.
func (p Pattern) IsZero() bool { return p.Text == "" }

// Matches tells whether the whole name matches, in time that is linear in its length.
func (p Pattern) Matches(name string) bool { return p.whole != nil && p.whole.MatchString(name) }

// Policy says who may pass. Version tells its content apart from that of an earlier policy of the same name.
type Policy struct {
	Header
	// Version is a hash of the policy's content, hexadecimal: proxies send it with every check (decision 12).
	Version        string
	Authenticate   Authenticate
	Authorize      []*AuthorizeRule
	Forward        []ForwardHeader
	Pass           []string
	Disclose       sallyportv1.Disclose
	HideAsNotFound bool
}

// Authenticate is a way to authenticate; exactly one field is set.
type Authenticate struct {
	Origin Origin
	// Certificate lists truststores any of which may vouch for the caller's certificate.
	Certificate []*Truststore
	// Tokens lists Providers any of which may have issued the caller's bearer token.
	Tokens []*Provider
	// Audiences are those that count here; empty for all of the Providers'.
	Audiences []string
	// Presenters are the truststores that vouch for whoever presents a token of class hop. Empty means the only one of the TLS entry;
	// where an entry has several, nobody.
	Presenters []*Truststore
	Anonymous  bool
	AnyOf      []Authenticate
	AllOf      []Authenticate
}

// AuthorizeRule lets callers in whom its form describes, where its condition holds; exactly one of the forms is set.
type AuthorizeRule struct {
	Name   string
	Origin Origin
	// ConsumerPermissions lets the permissions of the consumer's roles decide.
	ConsumerPermissions bool
	ConsumerRoles       []*Role
	Consumers           []*Consumer
	// TokenRoles and TokenScopes are those of the caller's token, any one of which is enough.
	TokenRoles, TokenScopes []string
	Everyone                bool
	// Shadow asks the rule and lets nobody in by it.
	Shadow bool
	// When is the further condition; nil where there is none.
	When       *expression.Condition
	WhenOrigin Origin
}

// ForwardHeader is a header that is set on the way to the upstream.
type ForwardHeader struct {
	Name   string
	Value  *expression.Text
	Origin Origin
}

// Upstream is where requests are sent. Version tells its content apart from that of an earlier Upstream of the same name.
type Upstream struct {
	Header
	// Version is a hash of the Upstream's content, hexadecimal: proxies send it with every check, so that a token for where the
	// Upstream is now does not go to where it was.
	Version string
	// Addresses are IP addresses with ports; empty exactly when DNS is set.
	Addresses []string
	// DNS is a host name with a port.
	DNS            string
	TLS            *UpstreamTLS
	HTTP2          bool
	ConnectTimeout time.Duration
	// Token is what it gets in the Authorization header.
	Token TokenForwarding
	// Place tells where it is, and how it is called, apart from any other place: a hash of all that is said of it but Token.
	Place string
}

// UpstreamTLS is how an upstream is called over TLS.
type UpstreamTLS struct {
	Truststore *Truststore
	// ServerName is sent as SNI and as Host, and pinned as a DNS SAN.
	ServerName string
	// ClientCertificate is nil where none is presented.
	ClientCertificate *Certificate
}

// Route sends requests for hostnames of a gateway to upstreams.
type Route struct {
	Header
	Gateway   *Gateway
	Hostnames []string
	// CORS is nil where no page of another origin may call.
	CORS  *CORS
	Rules []*Rule
}

// CORS is who may call from a browser's page of another origin.
type CORS struct {
	Origin Origin
	// Origins are exact, or have `*` for the first label of their host.
	Origins []string
	// Methods are sorted and never empty.
	Methods []string
	// Headers and Exposed are names in lower case, sorted.
	Headers, Exposed []string
	Credentials      bool
	MaxAge           time.Duration
}

// Rule is one match with its policy, and with its upstreams or a built-in answer.
type Rule struct {
	Route  *Route
	Name   string
	Origin Origin
	Match  Match
	// Upstreams are empty exactly where Answer is set.
	Upstreams []WeightedUpstream
	// Answer is empty, or what the authorization service answers by itself: one of the values of checkcontext.
	Answer string
	// Issuer is the Provider whose token endpoint, key set or metadata the answer is; nil for any other.
	Issuer  *Provider
	Policy  *Policy
	Timeout time.Duration
}

// Fetches tells whether the decision on a request may have to ask a Provider over a network.
func (r *Rule) Fetches() bool {
	for _, u := range r.Upstreams {
		if u.Upstream.Token.Fetches() {
			return true
		}
	}
	for p := range r.Policy.Authenticate.Providers {
		if p.Remote() {
			return true
		}
	}
	return false
}

// MatchKind is how a rule matches the path.
type MatchKind int

// The kinds.
const (
	MatchExact MatchKind = iota
	MatchPrefix
	MatchTemplate
)

// Match is which requests a rule is about.
type Match struct {
	Kind MatchKind
	// Path is the exact path, the prefix (without a trailing slash, or `/`), or the template as written.
	Path string
	// Template is set for MatchTemplate.
	Template *template.Template
	// Methods are sorted; empty means any.
	Methods []string
	// Headers are sorted by name.
	Headers []HeaderMatch
}

// HeaderMatch is a demand on one header: that it is present, or has a value.
type HeaderMatch struct {
	Name    string
	Present bool
	Value   string
}

// WeightedUpstream is an upstream and its share.
type WeightedUpstream struct {
	Upstream *Upstream
	Weight   uint32
}

// Test is requests and what must come of them.
type Test struct {
	Header
	Gateway *Gateway
	Cases   []*TestCase
}

// TestCase is one request of a Test.
type TestCase struct {
	Test   *Test
	Origin Origin
	Spec   *sallyportv1.TestCase
}
