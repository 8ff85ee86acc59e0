package kit

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// The files of a kit. It has IntermediatesFile where there are authorities between certificate and root, GatewayCAFile where
// the gateways' certificates come from an authority of their own, and CredentialsFile or PrivateKeyFile where it comes with
// a key.
const (
	CertificateFile   = "certificate.pem"
	ChainFile         = "chain.pem"
	IntermediatesFile = "intermediates.pem"
	GatewayCAFile     = "gateway-ca.pem"
	PrivateKeyFile    = "private-key.pem"
	CredentialsFile   = "credentials.p12"
	ReadmeFile        = "README.md"
)

// Config is what a kit is made of.
type Config struct {
	// Consumer is the name of the partner in the configuration.
	Consumer    string
	Certificate *x509.Certificate
	// Chain are the intermediate authorities above the certificate, its issuer first, without the root.
	Chain []*x509.Certificate
	// PrivateKey is the certificate's, where it was made for the partner; nil where the partner has it.
	PrivateKey crypto.Signer `json:"-"`
	// GatewayCA are the authorities that the gateways' certificates are verified with; empty for those that every system
	// trusts.
	GatewayCA []*x509.Certificate
	// URLs are what the partner may call, at least one: https, with a path that works as an example. The README's lines
	// use the first.
	URLs []string
	// Contact is whom to write to for renewal and when a key is lost. Empty for "whoever sent you this".
	Contact string
}

// String names the consumer, and holds nothing secret.
func (c Config) String() string { return "the makings of a kit for " + c.Consumer }

// Format keeps the key out of every form of printing.
func (c Config) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, c.String()) }

// Kit is a delivery for a partner. It may hold a private key, and shows it in no form of printing. It does not change, and
// may be used by several goroutines.
type Kit struct {
	config Config
	files  []file
	// plainKey is set where a file holds the private key as it is.
	plainKey bool
}

// file is one file of a kit.
type file struct {
	name string
	data []byte
	mode fs.FileMode
}

// The modes of files that anybody may see, and of those with a key.
const (
	modePublic fs.FileMode = 0o644
	modeSecret fs.FileMode = 0o600
)

// String names the consumer, and holds nothing secret.
func (k Kit) String() string { return "a kit for " + k.config.Consumer }

// Format keeps the key out of every form of printing.
func (k Kit) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, k.String()) }

// New makes a kit. It fails where the parts do not belong together: a key that is not the certificate's, a chain that does
// not lead up from it, an address that cannot be called.
func New(c Config) (*Kit, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("make the kit for %q: %w", c.Consumer, err)
	}
	delivery := keyAtPartner
	var key []file
	if c.PrivateKey != nil {
		encoded, err := ca.EncodePrivateKey(c.PrivateKey)
		if err != nil {
			return nil, fmt.Errorf("make the kit for %q: %w", c.Consumer, err)
		}
		delivery, key = keyInKit, []file{{PrivateKeyFile, encoded, modeSecret}}
	}
	return c.kit(delivery, key...)
}

// kit puts the files together: what every kit has, and the key in its form.
func (c Config) kit(delivery delivery, key ...file) (*Kit, error) {
	certificate := ca.EncodeCertificate(c.Certificate)
	readme, err := c.readme(delivery)
	if err != nil {
		return nil, fmt.Errorf("make the kit for %q: %w", c.Consumer, err)
	}
	files := []file{
		{ReadmeFile, readme, modePublic},
		{CertificateFile, certificate, modePublic},
		{ChainFile, append(bytes.Clone(certificate), encode(c.Chain)...), modePublic},
	}
	if len(c.Chain) > 0 {
		files = append(files, file{IntermediatesFile, encode(c.Chain), modePublic})
	}
	if len(c.GatewayCA) > 0 {
		files = append(files, file{GatewayCAFile, encode(c.GatewayCA), modePublic})
	}
	return &Kit{config: c, files: append(files, key...), plainKey: delivery == keyInKit}, nil
}

func encode(certificates []*x509.Certificate) []byte {
	var out []byte
	for _, certificate := range certificates {
		out = append(out, ca.EncodeCertificate(certificate)...)
	}
	return out
}

var (
	consumerName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	// callable are addresses that are the same in a shell's single quotes, in the strings of all languages in the README,
	// and to curl, which gives brackets a meaning.
	callable = regexp.MustCompile(`^https://([A-Za-z0-9.-]+)(:[0-9]{1,5})?(/[A-Za-z0-9._~!$&()*+,;=:@%/-]*)?(\?[A-Za-z0-9._~!$&()*+,;=:@%/?-]*)?$`)
	address  = regexp.MustCompile(`^[^\pC\pZ]+( [^\pC\pZ]+)*$`)
)

func (c Config) check() error {
	switch {
	case !consumerName.MatchString(c.Consumer):
		return errors.New("a consumer's name has lower-case letters, digits and hyphens")
	case c.Certificate == nil:
		return errors.New("there is no certificate")
	case c.PrivateKey != nil && !ca.Matches(c.Certificate, c.PrivateKey):
		return errors.New("the private key is not that of the certificate")
	case len(c.URLs) == 0:
		return errors.New("there is no address to call: name the gateway's, such as https://api.example.org/v1/status")
	case c.Contact != "" && (!address.MatchString(c.Contact) || strings.ContainsAny(c.Contact, "`<>[]|")):
		return fmt.Errorf("the contact %q does not fit on a line of text", c.Contact)
	}
	for _, url := range c.URLs {
		if !callable.MatchString(url) {
			return fmt.Errorf("%q is not an address that goes into command lines: give https://HOST/PATH, and percent-encode the characters of the path", url)
		}
	}
	below := c.Certificate
	for _, authority := range c.Chain {
		if err := below.CheckSignatureFrom(authority); err != nil {
			return fmt.Errorf("the chain does not lead up from the certificate: %q did not sign %q: %w", authority.Subject, below.Subject, err)
		}
		below = authority
	}
	return nil
}

// HasPlainKey tells whether the kit holds a private key that is not encrypted. Such a kit is neither written nor archived:
// use EncryptAge or PKCS12.
func (k *Kit) HasPlainKey() bool { return k.plainKey }

// Files are the names of the kit's files.
func (k *Kit) Files() []string {
	names := make([]string, len(k.files))
	for i, f := range k.files {
		names[i] = f.name
	}
	return names
}

// made is the time of the files: the kit is the same each time that it is made of the same parts.
func (k *Kit) made() time.Time { return k.config.Certificate.NotBefore.UTC() }

// errPlainKey keeps a plain key inside.
var errPlainKey = errors.New("the kit holds a private key: encrypt it for the partner, or put the key into a PKCS#12 file with a password")
