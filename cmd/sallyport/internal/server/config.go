package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Config is what a server is told by flags; see `sallyport serve --help`.
type Config struct {
	XDS, Authz bool
	Roles      []string
	Version    string
	Logger     hclog.Logger

	Source        string
	AllowMaterial []string
	StateDir      string

	TrustDomain, ProxyCA              string
	XDSListen, XDSCertificate, XDSKey string
	AuthzListen                       string
	AuthzCertificate, AuthzKey        string
	AuthzSocketDir                    string
	AdminSocket, HealthListen         string
	PolicyGrace, DrainTimeout         time.Duration
}

// Check finds everything that is missing at once.
func (c Config) Check() error {
	var wrong []error
	need := func(flag, value, why string) {
		if value == "" {
			wrong = append(wrong, fmt.Errorf("%s is missing: %s", flag, why))
		}
	}
	need("--source", c.Source, "the directory of the configuration")
	need("--trust-domain", c.TrustDomain, "proxies are known by spiffe://<trust domain>/proxy/<group>/<name>")
	need("--proxy-ca", c.ProxyCA, "the CA of proxies' certificates; `sallyport ca init` makes one")
	if c.TrustDomain != "" {
		if err := spiffe.ValidateTrustDomain(c.TrustDomain); err != nil {
			wrong = append(wrong, fmt.Errorf("--trust-domain: %w", err))
		}
	}
	if c.XDS {
		need("--certificate", c.XDSCertificate, "proxies verify the control plane by it; `sallyport ca issue --profile control-plane` makes one")
		need("--private-key", c.XDSKey, "it goes with --certificate")
	}
	if c.Authz && c.AuthzListen != "" && c.AuthzSocketDir == "" {
		need("--authz-certificate", c.AuthzCertificate, "proxies verify the authorization service by it; `sallyport ca issue --profile authz` makes one, or use --authz-socket-dir")
		need("--authz-private-key", c.AuthzKey, "it goes with --authz-certificate")
	}
	if _, err := material.ParseAllowList(c.AllowMaterial, c.Source); err != nil {
		wrong = append(wrong, fmt.Errorf("--allow-material: %w", err))
	}
	return errors.Join(wrong...)
}

// proxyAuthorities reads the CA of our own processes.
func (c Config) proxyAuthorities() ([]*x509.Certificate, *x509.CertPool, error) {
	content, err := os.ReadFile(c.ProxyCA)
	if err != nil {
		return nil, nil, fmt.Errorf("--proxy-ca: %w", err)
	}
	certificates, err := ca.ParseCertificates(content)
	if err != nil {
		return nil, nil, fmt.Errorf("--proxy-ca: %s: %w", c.ProxyCA, err)
	}
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		if err := ca.CheckAuthority(certificate); err != nil {
			return nil, nil, fmt.Errorf("--proxy-ca: %s: %w", c.ProxyCA, err)
		}
		if ca.IsDevelopment(certificate) {
			return nil, nil, fmt.Errorf("--proxy-ca: %s is a development authority; `sallyport ca init` makes one for use in earnest", c.ProxyCA)
		}
		pool.AddCert(certificate)
	}
	if len(certificates) == 0 {
		return nil, nil, fmt.Errorf("--proxy-ca: %s holds no certificate", c.ProxyCA)
	}
	return certificates, pool, nil
}
