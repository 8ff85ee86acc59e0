package server

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// Config is what a server is told by flags; see `sallyport serve --help`.
type Config struct {
	XDS, Authz, CA bool
	Roles          []string
	Version        string
	Logger         hclog.Logger

	Source        string
	AllowMaterial []string
	StateDir      string

	TrustDomain, ProxyCA string
	// ProxyCRL are references to the revocation lists of ProxyCA.
	ProxyCRL                          []string
	XDSListen, XDSCertificate, XDSKey string
	AuthzListen                       string
	AuthzCertificate, AuthzKey        string
	AuthzSocketDir                    string
	AdminSocket, HealthListen         string
	PolicyGrace, DrainTimeout         time.Duration

	// AuthzConnectionAge is authz.ServerConfig's ConnectionAge.
	AuthzConnectionAge time.Duration

	// CADirs are the homes of authorities, and CAPassphrase a reference to the passphrase of their keys.
	CADirs       []string
	CAPassphrase string
	// CAListen is for operators with certificates of OperatorCA, or of EnrolCA if that is empty.
	CAListen, OperatorCA string
	// OperatorCRL are references to the revocation lists of OperatorCA.
	OperatorCRL []string
	// EnrolCA is the name of the home that issues to our own processes, which are told to enrol at EnrolAddress.
	EnrolCA, EnrolListen, EnrolAddress string

	// Audit is a file for audit records, or - for standard output; empty for the log. AuditWhenFull is an audit.WhenFull.
	Audit, AuditWhenFull string
	// ExpiryWebhook and ExpiryWebhookSecret are references, file: or env:.
	ExpiryWebhook, ExpiryWebhookSecret string
}

// FlagError is a mistake in the value of a flag: the person who gave it must give another.
type FlagError struct {
	// Flag as it is written on the command line.
	Flag string
	Err  error
}

// Error names the flag.
func (e *FlagError) Error() string { return e.Flag + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the value.
func (e *FlagError) Unwrap() error { return e.Err }

// Check finds everything that is missing, or cannot be meant, at once.
func (c Config) Check() error {
	var wrong []error
	need := func(flag, value, why string) {
		if value == "" {
			wrong = append(wrong, fmt.Errorf("%s is missing: %s", flag, why))
		}
	}
	if c.XDS || c.Authz {
		need("--source", c.Source, "the directory of the configuration")
		need("--trust-domain", c.TrustDomain, "proxies are known by spiffe://<trust domain>/proxy/<group>/<name>")
		need("--proxy-ca", c.ProxyCA, "the CA of proxies' certificates; `sallyport ca init` makes one")
	}
	wrong = append(wrong, c.checkAuthorities()...)
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
	for _, list := range c.ProxyCRL {
		if _, err := material.ParseList(list); err != nil {
			wrong = append(wrong, fmt.Errorf("--proxy-crl: %w", err))
		}
	}
	for _, listen := range []struct {
		flag, address string
		used          bool
	}{
		{"--xds-listen", c.XDSListen, c.XDS},
		{"--authz-listen", c.AuthzListen, c.Authz && c.AuthzListen != ""},
		{"--health-listen", c.HealthListen, c.HealthListen != ""},
		{"--ca-listen", c.CAListen, c.CAListen != ""},
		{"--enrol-listen", c.EnrolListen, c.EnrolListen != ""},
	} {
		if err := checkListen(listen.address); listen.used && err != nil {
			wrong = append(wrong, &FlagError{listen.flag, err})
		}
	}
	for flag, duration := range map[string]time.Duration{"--drain-timeout": c.DrainTimeout, "--policy-grace": c.PolicyGrace, "--authz-connection-age": c.AuthzConnectionAge} {
		if duration < 0 {
			wrong = append(wrong, &FlagError{flag, fmt.Errorf("expected no negative duration, found %s", duration)})
		}
	}
	return errors.Join(wrong...)
}

// checkListen wants host:port, where the host may be empty. Whether it can be listened on shows later.
func checkListen(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("expected an address such as 127.0.0.1:18000, found %q", address)
	}
	return nil
}

// proxyAuthorities reads the CA of our own processes.
func (c Config) proxyAuthorities() ([]*x509.Certificate, *x509.CertPool, error) {
	const flag = "--proxy-ca"
	content, err := os.ReadFile(c.ProxyCA)
	if err != nil {
		return nil, nil, &FlagError{flag, err}
	}
	certificates, err := ca.ParseCertificates(content)
	if err != nil {
		return nil, nil, &FlagError{flag, fmt.Errorf("%s: %w", c.ProxyCA, err)}
	}
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		if err := ca.CheckAuthority(certificate); err != nil {
			return nil, nil, &FlagError{flag, fmt.Errorf("%s: %w", c.ProxyCA, err)}
		}
		if ca.IsDevelopment(certificate) {
			return nil, nil, &FlagError{flag, fmt.Errorf("%s is a development authority; `sallyport ca init` makes one for use in earnest", c.ProxyCA)}
		}
		pool.AddCert(certificate)
	}
	if len(certificates) == 0 {
		return nil, nil, &FlagError{flag, fmt.Errorf("%s holds no certificate", c.ProxyCA)}
	}
	return certificates, pool, nil
}
