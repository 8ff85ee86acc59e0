package enrolment

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// prefix tells a token, and its form, from other secrets; scanners of source code can look for it.
const prefix = "sallyport-enrolment-1."

// maxToken bounds what is parsed, in bytes.
const maxToken = 4 << 10

// secretSize is the length of a token's secret in bytes.
const secretSize = 32

// Token is what a machine is given, once. It is a secret: print its ID.
type Token struct {
	// ID tells tokens apart; no secret.
	ID string
	// Secret proves that the bearer was given the token.
	Secret []byte
	// Server is where to enrol, host:port.
	Server string
	// Authority is the SHA-256 of the certificate of the authority that the server's own certificate must be of.
	Authority [sha256.Size]byte
}

type tokenText struct {
	ID        string `json:"id"`
	Secret    []byte `json:"secret"`
	Server    string `json:"server"`
	Authority string `json:"authority"`
}

// Text is the token as it is handed over, one word of ASCII.
func (t Token) Text() string {
	content, err := json.Marshal(tokenText{t.ID, t.Secret, t.Server, hex.EncodeToString(t.Authority[:])}) //nolint:gosec // a token is its secret
	if err != nil {                                                                                       // strings and bytes can always be encoded
		panic("enrolment: " + err.Error())
	}
	return prefix + base64.RawURLEncoding.EncodeToString(content)
}

// String names the token and holds nothing secret.
func (t Token) String() string { return "enrolment token " + t.ID }

// GoString keeps the secret out of %#v.
func (t Token) GoString() string { return "enrolment.Token{" + t.ID + "}" }

// ParseToken reads what Text wrote. Space around it is passed over. No error quotes the token.
func ParseToken(text string) (Token, error) {
	text = strings.TrimSpace(text)
	encoded, found := strings.CutPrefix(text, prefix)
	if !found || len(text) > maxToken {
		return Token{}, fmt.Errorf("this is no enrolment token: it begins with %s and is one word; `sallyport proxy token` makes one", prefix)
	}
	damaged := errors.New("the enrolment token is damaged: copy it whole")
	content, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return Token{}, damaged
	}
	var read tokenText
	if err := json.Unmarshal(content, &read); err != nil {
		return Token{}, damaged
	}
	token := Token{ID: read.ID, Secret: read.Secret, Server: read.Server}
	authority, err := hex.DecodeString(read.Authority)
	if err != nil || len(authority) != sha256.Size || len(token.Secret) != secretSize || !isID(token.ID) {
		return Token{}, damaged
	}
	copy(token.Authority[:], authority)
	if _, _, err := net.SplitHostPort(token.Server); err != nil {
		return Token{}, damaged
	}
	return token, nil
}

func isID(id string) bool {
	raw, err := hex.DecodeString(id)
	return err == nil && len(raw) == idSize
}

// CheckServer verifies what a server has presented: a leaf that the pinned authority has issued for a control plane, and
// the authority's own certificate behind it. A proxy's certificate is of the same authority and must not do.
func (t Token) CheckServer(presented []*x509.Certificate, options x509.VerifyOptions) error {
	if len(presented) < 2 {
		return errors.New("the server does not present its authority's certificate")
	}
	options.Roots = x509.NewCertPool()
	options.Intermediates = nil
	for _, certificate := range presented[1:] {
		if sha256.Sum256(certificate.Raw) == t.Authority {
			options.Roots.AddCert(certificate)
		}
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := presented[0].Verify(options); err != nil {
		return fmt.Errorf("the server is not of the authority that the token names: %w", err)
	}
	return CheckControlPlane(presented[0])
}

// CheckControlPlane refuses a server that is not a control plane by its certificate, which must be verified already.
func CheckControlPlane(leaf *x509.Certificate) error {
	identity, err := spiffe.FromCertificate(leaf)
	if err != nil {
		return fmt.Errorf("the server has no identity of ours: %w", err)
	}
	if identity.Kind != spiffe.ControlPlane {
		return fmt.Errorf("the server is %s, and no control plane", identity)
	}
	return nil
}
