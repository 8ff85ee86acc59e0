package jose

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// ConfirmationCertificate is the member of the claim `cnf` that binds a token to a certificate (RFC 8705, section 3.1). Its value is
// what CertificateThumbprint makes.
const ConfirmationCertificate = "x5t#S256"

// CertificateThumbprint writes the SHA-256 of a certificate, which is given in hexadecimal, as tokens have it. A text that is no
// such sum is an error.
func CertificateThumbprint(hexadecimal string) (string, error) {
	sum, err := hex.DecodeString(hexadecimal)
	if err != nil || len(sum) != sha256.Size {
		return "", errors.New("a certificate is named by its SHA-256 in hexadecimal, and this is none")
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// CertificateSHA256 reads a thumbprint, and returns the SHA-256 in lower-case hexadecimal. It takes the one way to write it alone:
// base64url without padding, line feeds and bits that say nothing.
func CertificateSHA256(thumbprint string) (string, error) {
	sum, err := base64.RawURLEncoding.Strict().DecodeString(thumbprint)
	if err != nil || len(sum) != sha256.Size || strings.ContainsAny(thumbprint, "\r\n") {
		return "", errors.New("a certificate's thumbprint is its SHA-256 in base64url, and this is none")
	}
	return hex.EncodeToString(sum), nil
}
