package spiffe

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// TLSConfig is what ServerTLS needs; every field but Revocation is required.
type TLSConfig struct {
	// Authorities are the CAs that issue our own processes' certificates, and nobody else's.
	Authorities *x509.CertPool
	// Certificate returns the certificate to present, at each handshake, so that it may rotate.
	Certificate func() (*tls.Certificate, error)
	// Clock verifies the clients' certificates.
	Clock func() time.Time
	// Revocation, if not nil, is asked at each handshake.
	Revocation Revocation
}

// leafAndAuthority is the length of the chains that are let in.
const leafAndAuthority = 2

var errNotDirect = errors.New("the certificate was not issued by the proxies' authority itself")

// ServerTLS is how a server of ours lets in processes of ours: TLS 1.3 with a client certificate that one of the
// authorities issued itself. One by way of an intermediate authority is refused: were a partners' CA issued somewhere below
// ours, its certificates would otherwise pass for a proxy's. No session is resumed: each connection is judged anew.
func ServerTLS(config TLSConfig) (*tls.Config, error) {
	if config.Authorities == nil || config.Certificate == nil || config.Clock == nil {
		return nil, errors.New("spiffe: the TLS configuration is not complete")
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              config.Authorities,
		Time:                   config.Clock,
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return config.Certificate()
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			err := errNotDirect
			for _, chain := range state.VerifiedChains {
				if len(chain) != leafAndAuthority {
					continue
				}
				if err = CheckChain(config.Revocation, chain); err != nil {
					return err
				}
			}
			return err
		},
	}, nil
}
