package asker

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"
)

// TLSConfig is what ServerTLS needs; every field is required.
type TLSConfig struct {
	// ProxyAuthorities are the CAs that issue proxies' certificates, and nobody else's.
	ProxyAuthorities *x509.CertPool
	// Certificate returns the certificate to present, at each handshake, so that it may rotate.
	Certificate func() (*tls.Certificate, error)
	// Clock verifies the askers' certificates.
	Clock func() time.Time
}

// ServerTLS is TLS 1.3 with a client certificate of the proxies' CA. No session is resumed: each connection is judged
// anew.
func ServerTLS(config TLSConfig) (*tls.Config, error) {
	if config.ProxyAuthorities == nil || config.Certificate == nil || config.Clock == nil {
		return nil, errors.New("asker: the TLS configuration is not complete")
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              config.ProxyAuthorities,
		Time:                   config.Clock,
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return config.Certificate()
		},
	}, nil
}
