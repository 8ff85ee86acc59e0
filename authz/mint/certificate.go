package mint

import (
	"errors"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/jose"
)

// The members of the claim `certificate`. It has what revocation lists are asked by, and no more: the proxy that the caller presented
// the certificate to has verified it.
const (
	claimCertificate = "certificate"

	memberTruststore = "truststore"
	memberThumbprint = jose.ConfirmationCertificate
	memberIssuer     = "issuer"
	memberSerial     = "serial"
)

func encodeReference(r *identity.Reference) (map[string]any, error) {
	if len(r.Issuer) > maxText || len(r.Serial) > maxText || len(r.Truststore) > maxText {
		return nil, errors.New("the names in the caller's certificate are too long for a token")
	}
	if r.Truststore == "" || r.Serial == "" {
		return nil, errors.New("the caller's certificate is not told in full")
	}
	thumbprint, err := jose.CertificateThumbprint(r.SHA256)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		memberTruststore: r.Truststore, memberThumbprint: thumbprint, memberIssuer: r.Issuer, memberSerial: r.Serial,
	}, nil
}

// CertificateOf reads the claim `certificate` of a token of our own that was verified. There may be none: then both results are
// zero. A claim that is not whole is an error: the token is not to be taken.
func CertificateOf(claims map[string]any) (*identity.Reference, error) {
	value, there := claims[claimCertificate]
	if !there {
		return nil, nil
	}
	members, _ := value.(map[string]any)
	text := func(name string) string {
		text, _ := members[name].(string)
		return text
	}
	sum, err := jose.CertificateSHA256(text(memberThumbprint))
	reference := &identity.Reference{Truststore: text(memberTruststore), SHA256: sum, Issuer: text(memberIssuer), Serial: text(memberSerial)}
	if _, incomplete := encodeReference(reference); err != nil || incomplete != nil {
		return nil, errors.New("the token does not tell of its subject's certificate as tokens of our own do")
	}
	return reference, nil
}
