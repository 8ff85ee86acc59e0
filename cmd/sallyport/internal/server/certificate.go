package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/internal/filewatch"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// ownCertificateConfig is what an ownCertificate needs.
type ownCertificateConfig struct {
	// Certificate and Key are the paths of PEM files, and CertificateFlag and KeyFlag the flags that they were given by.
	Certificate, Key         string
	CertificateFlag, KeyFlag string
	// Kind and TrustDomain of the identity that it must hold.
	Kind        spiffe.Kind
	TrustDomain string
	// Authorities issue our own processes' certificates; proxies trust no other.
	Authorities *x509.CertPool
	Clock       func() time.Time
	Logger      hclog.Logger
}

// ownCertificate is a certificate that this process presents to proxies: read from files, and read again when they
// change. A pair that cannot be used, or that no proxy would accept, leaves the last good one in place.
type ownCertificate struct {
	config  ownCertificateConfig
	watcher *filewatch.Watcher
	current atomic.Pointer[tls.Certificate]
}

func newOwnCertificate(config ownCertificateConfig) (*ownCertificate, error) {
	c := &ownCertificate{config: config, watcher: filewatch.New(filewatch.Config{Logger: config.Logger})}
	for _, path := range []*string{&c.config.Certificate, &c.config.Key} {
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return nil, err
		}
		*path = absolute
	}
	c.watcher.Watch([]string{c.config.Certificate, c.config.Key}, nil)
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// read puts what the files hold in force. Its errors are FlagErrors.
func (c *ownCertificate) read() error {
	certificate, err := os.ReadFile(c.config.Certificate)
	if err != nil {
		return &FlagError{c.config.CertificateFlag, err}
	}
	key, err := os.ReadFile(c.config.Key)
	if err != nil {
		return &FlagError{c.config.KeyFlag, err}
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return &FlagError{c.config.CertificateFlag, fmt.Errorf("%s with %s %s: %w", c.config.Certificate, c.config.KeyFlag, c.config.Key, err)}
	}
	if err := c.check(pair); err != nil {
		return &FlagError{c.config.CertificateFlag, fmt.Errorf("%s: %w", c.config.Certificate, err)}
	}
	c.current.Store(&pair)
	return nil
}

// check reports why no proxy would accept a certificate, which otherwise shows only in the proxies' logs.
func (c *ownCertificate) check(pair tls.Certificate) error {
	identity, err := spiffe.FromCertificate(pair.Leaf)
	switch {
	case err != nil:
		return fmt.Errorf("%w; `sallyport ca issue --profile %s` makes one that proxies accept", err, c.config.Kind)
	case identity.Kind != c.config.Kind:
		return fmt.Errorf("it is %s, of the kind %s; `sallyport ca issue --profile %s` makes one that proxies accept here", identity, identity.Kind, c.config.Kind)
	case identity.TrustDomain != c.config.TrustDomain:
		return fmt.Errorf("it is %s, of another trust domain than --trust-domain %s", identity, c.config.TrustDomain)
	}
	intermediates := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		intermediate, err := x509.ParseCertificate(der)
		if err != nil {
			return fmt.Errorf("an intermediate certificate: %w", err)
		}
		intermediates.AddCert(intermediate)
	}
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{
		Roots: c.config.Authorities, Intermediates: intermediates, CurrentTime: c.config.Clock(),
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}); err != nil {
		return fmt.Errorf("it is not a server's certificate of --proxy-ca: %w", err)
	}
	return nil
}

// Get returns the certificate in force.
func (c *ownCertificate) Get() (*tls.Certificate, error) { return c.current.Load(), nil }

// Run follows the files until the context ends.
func (c *ownCertificate) Run(ctx context.Context) error {
	ended := make(chan error, 1)
	go func() { ended <- c.watcher.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-c.watcher.Changes():
			if err := c.read(); err != nil {
				c.config.Logger.Warn("the last good certificate stays", "error", err)
			}
		}
	}
}
