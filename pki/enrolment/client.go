package enrolment

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// ClientTLS is how a process or an operator that has a certificate speaks to a server of ours: the server's own must be of
// the authorities, and a control plane's. Certificate may be nil. Clock is never nil.
func ClientTLS(authorities *x509.CertPool, certificate *tls.Certificate, clock func() time.Time) *tls.Config {
	return clientTLS(certificate, func(presented []*x509.Certificate) error {
		options := x509.VerifyOptions{
			Roots: authorities, Intermediates: x509.NewCertPool(), CurrentTime: clock(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}
		for _, above := range presented[1:] {
			options.Intermediates.AddCert(above)
		}
		if _, err := presented[0].Verify(options); err != nil {
			return err
		}
		return CheckControlPlane(presented[0])
	})
}

// ClientTLS is how the bearer of the token speaks to the server that it names.
func (t Token) ClientTLS(clock func() time.Time) *tls.Config {
	return clientTLS(nil, func(presented []*x509.Certificate) error {
		return t.CheckServer(presented, x509.VerifyOptions{CurrentTime: clock()})
	})
}

// clientTLS has a server judged by check in place of by its name: ours are known by their identity.
func clientTLS(certificate *tls.Certificate, check func(presented []*x509.Certificate) error) *tls.Config {
	settings := &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection verifies more strictly
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return errors.New("the server presents no certificate")
			}
			return check(state.PeerCertificates)
		},
	}
	if certificate != nil {
		settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return settings
}
