package mint

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
)

// CertificateReference tells of a caller's certificate what revocation lists are asked by, and no more: the proxy that the
// caller presented it to has verified it. Each field is as identity.Certificate has it.
type CertificateReference struct {
	// Truststore that vouched for the certificate.
	Truststore string
	// SHA256 of the certificate, in lower-case hexadecimal.
	SHA256 string
	// Issuer is the distinguished name of its authority, as RFC 4514 writes it, and Serial its number there in lower-case
	// hexadecimal without leading zeros.
	Issuer, Serial string
}

// The members of the claim `certificate`.
const (
	memberTruststore = "truststore"
	memberThumbprint = "x5t#S256"
	memberIssuer     = "issuer"
	memberSerial     = "serial"
)

func (r CertificateReference) encode() (map[string]any, error) {
	if len(r.Issuer) > maxText || len(r.Serial) > maxText || len(r.Truststore) > maxText {
		return nil, errors.New("the names in the caller's certificate are too long for a token")
	}
	if r.Truststore == "" || r.Serial == "" {
		return nil, errors.New("the caller's certificate is not told in full")
	}
	thumbprint, err := thumbprintOf(r.SHA256)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		memberTruststore: r.Truststore, memberThumbprint: thumbprint, memberIssuer: r.Issuer, memberSerial: r.Serial,
	}, nil
}

// CertificateOf reads the claim `certificate` of a token of our own that was verified. There may be none: then both results are
// zero. A claim that is not whole is an error: the token is not to be taken.
func CertificateOf(claims map[string]any) (*CertificateReference, error) {
	value, there := claims["certificate"]
	if !there {
		return nil, nil
	}
	members, _ := value.(map[string]any)
	text := func(name string) string {
		text, _ := members[name].(string)
		return text
	}
	sum, err := base64.RawURLEncoding.Strict().DecodeString(text(memberThumbprint))
	reference := &CertificateReference{
		Truststore: text(memberTruststore), SHA256: hex.EncodeToString(sum), Issuer: text(memberIssuer), Serial: text(memberSerial),
	}
	if _, checked := reference.encode(); err != nil || checked != nil {
		return nil, errors.New("the token does not tell of its subject's certificate as tokens of our own do")
	}
	return reference, nil
}
