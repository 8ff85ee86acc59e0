package expression

import "time"

// The names that expressions begin with.
const (
	NameConsumer    = "consumer"
	NameCertificate = "certificate"
	NameToken       = "token"
	NameRequest     = "request"
	NamePath        = "path"
	NameSubject     = "subject"
)

// roots are these names.
var roots = []string{NameConsumer, NameCertificate, NameToken, NameRequest, NamePath, NameSubject}

// Facts are what an expression sees of one request. They are only read.
type Facts struct {
	// Consumer is `consumer`; nil for a caller that is none of ours.
	Consumer *Consumer
	// Certificate is `certificate`; nil where no truststore vouches for one.
	Certificate *Certificate
	// Token is `token`; nil where the caller has none that was verified and counts.
	Token *Token
	// Request is `request`.
	Request Request
	// Path is `path`: what the variables of path templates stand for, each unescaped once.
	Path map[string]string
	// Subject is `subject`: who is calling, across all namespaces; empty for an anonymous caller.
	Subject string
}

// Consumer is what expressions see of a Consumer. NewConsumer makes one.
type Consumer struct {
	Name       string
	Roles      []string
	Attributes map[string][]string
	Labels     map[string]string

	// attributes are Attributes in the form in which CEL looks one up without reflection.
	attributes map[string]any
}

// NewConsumer makes what expressions see of a Consumer, once for all requests. The arguments are kept, and must not be
// changed any more.
func NewConsumer(name string, roles []string, attributes map[string][]string, labels map[string]string) *Consumer {
	c := &Consumer{Name: name, Roles: roles, Attributes: attributes, Labels: labels, attributes: make(map[string]any, len(attributes))}
	for key, values := range attributes {
		c.attributes[key] = values
	}
	return c
}

// Certificate is what expressions see of a certificate that a truststore vouches for.
type Certificate struct {
	// SubjectDN and IssuerDN are distinguished names as RFC 4514 writes them.
	SubjectDN, IssuerDN string
	// CommonName is the subject's only common name, or empty.
	CommonName string
	// Serial, SHA256 and SPKISHA256 are lower-case hexadecimal.
	Serial, SHA256, SPKISHA256 string
	NotBefore, NotAfter        time.Time
	URIs, DNSNames             []string
}

// Token is what expressions see of a bearer token that has been verified.
type Token struct {
	// Provider is the name of the Provider by whose rules it was judged, Issuer its `iss`.
	Provider, Issuer string
	// Subject is what the Provider calls the caller, and ClientID the client that the token was issued to, or empty.
	Subject, ClientID string
	Audiences         []string
	// Roles and Scopes are those that the Provider may assert.
	Roles, Scopes []string
	// IssuedAt is the zero time where the token does not say it.
	IssuedAt, Expires time.Time
	// Claims are all that the token says, as JSON has it: texts, numbers, truth values, lists and objects.
	Claims map[string]any
}

// Request is what expressions see of a request.
type Request struct {
	Method string
	// Host is in lower case, without port.
	Host string
	// Path is normalised and without the query; what is escaped in it still is.
	Path string
	// Gateway and Route are where it came by.
	Gateway, Route string
	// Time is the moment of the decision.
	Time time.Time
}

// fields are the fields of each name that has any, in the order in which people are told of them.
var fields = map[string][]string{
	NameConsumer: {"name", "roles", "attributes", "labels"},
	NameCertificate: {"subject_dn", "issuer_dn", "common_name", "serial", "sha256", "spki_sha256", "not_before", "not_after",
		"uris", "dns_names"},
	NameToken:   {"subject", "issuer", "provider", "client_id", "audiences", "roles", "scopes", "issued_at", "expires", "claims"},
	NameRequest: {"method", "host", "path", "gateway", "route", "time"},
}
