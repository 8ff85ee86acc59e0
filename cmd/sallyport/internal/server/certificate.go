package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/internal/filewatch"
)

// ownCertificate is a certificate that this process presents to proxies: read from files, and read again when they
// change. A pair that cannot be used leaves the last good one in place.
type ownCertificate struct {
	certificate, key string
	logger           hclog.Logger
	watcher          *filewatch.Watcher
	current          atomic.Pointer[tls.Certificate]
}

func newOwnCertificate(certificate, key string, logger hclog.Logger) (*ownCertificate, error) {
	c := &ownCertificate{logger: logger, watcher: filewatch.New(filewatch.Config{Logger: logger})}
	for _, file := range []struct {
		given    string
		absolute *string
	}{{certificate, &c.certificate}, {key, &c.key}} {
		path, err := filepath.Abs(file.given)
		if err != nil {
			return nil, err
		}
		*file.absolute = path
	}
	c.watcher.Watch([]string{c.certificate, c.key}, nil)
	if err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *ownCertificate) read() error {
	certificate, err := os.ReadFile(c.certificate)
	if err != nil {
		return fmt.Errorf("read our certificate: %w", err)
	}
	key, err := os.ReadFile(c.key)
	if err != nil {
		return fmt.Errorf("read our private key: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return fmt.Errorf("our certificate %s: %w", c.certificate, err)
	}
	c.current.Store(&pair)
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
				c.logger.Warn("the last good certificate stays", "error", err)
			}
		}
	}
}
