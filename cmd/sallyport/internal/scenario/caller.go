package scenario

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// CallersConfig is what Callers need. All fields are required.
type CallersConfig struct {
	Model *config.Model
	// Keeper keeps the model's material, and substitutes development authorities and keys for all others.
	Keeper *inventory.Keeper
	// Issuer stands for the model's Providers; see Issuers.
	Issuer *devissuer.Server
	Clock  func() time.Time
}

// Callers makes the certificates and tokens that Test cases call with. A certificate of any authority and a token of any
// Provider can be made, since development ones stand for them.
type Callers struct {
	CallersConfig
	unknown *ca.Authority
}

// NewCallers makes callers for a model.
func NewCallers(settings CallersConfig) (*Callers, error) {
	unknown, err := ca.Create(ca.Options{CommonName: "an authority that nobody trusts", Development: true, Clock: settings.Clock})
	if err != nil {
		return nil, fmt.Errorf("make an unknown authority: %w", err)
	}
	return &Callers{CallersConfig: settings, unknown: unknown}, nil
}

// Shown is what a caller shows of itself. The zero value is nobody in particular.
type Shown struct {
	// Certificate is presented in the handshake; nil for none.
	Certificate *tls.Certificate
	// Authorization is what is sent in the header of that name: a secret. It is empty for nothing.
	Authorization string
}

// Show makes what the case's caller shows. In plaintext nobody presents a certificate.
func (c *Callers) Show(caller *sallyportv1.TestCaller, plaintext bool) (shown Shown, err error) {
	if !plaintext {
		if shown.Certificate, err = c.Certificate(caller); err != nil {
			return Shown{}, err
		}
	}
	if caller.GetToken() == nil {
		return shown, nil
	}
	token, err := c.Token(caller, shown.Certificate)
	if err != nil {
		return Shown{}, fmt.Errorf("make the caller's token: %w", err)
	}
	shown.Authorization = "Bearer " + token
	return shown, nil
}

// Certificate is what the case's caller presents: nil for one without a certificate.
func (c *Callers) Certificate(caller *sallyportv1.TestCaller) (*tls.Certificate, error) {
	switch form := caller.GetForm().(type) {
	case nil:
		return nil, nil
	case *sallyportv1.TestCaller_Consumer:
		pair, err := c.Consumer(form.Consumer)
		return asTLS(pair, err)
	case *sallyportv1.TestCaller_Certificate:
		pair, err := c.issue(form.Certificate)
		return asTLS(pair, err)
	case *sallyportv1.TestCaller_Presents:
		pair := c.Keeper.Current().Certificates[form.Presents]
		if pair == nil {
			return nil, fmt.Errorf("the Certificate %q is not there", form.Presents)
		}
		certificate, err := tls.X509KeyPair(pair.CertificatePEM, pair.PrivateKeyPEM)
		return &certificate, err
	}
	return nil, errors.New("this form of caller is not known")
}

func asTLS(pair ca.KeyPair, err error) (*tls.Certificate, error) {
	if err != nil {
		return nil, err
	}
	certificate := pair.TLS()
	return &certificate, nil
}

// Consumer makes a certificate that is the consumer's own.
func (c *Callers) Consumer(name string) (ca.KeyPair, error) {
	consumer := c.Model.Consumer(name)
	if consumer == nil {
		return ca.KeyPair{}, fmt.Errorf("there is no Consumer %q", name)
	}
	for _, match := range consumer.Certificates {
		if !match.Named() {
			continue
		}
		authority, ok := c.Keeper.TruststoreAuthority(match.Truststore.Name)
		if !ok {
			continue
		}
		request := ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: match.SubjectCommonName}}
		if match.SANURI != "" {
			request.URIs = []string{match.SANURI}
		}
		if match.SANDNS != "" {
			request.DNSNames = []string{match.SANDNS}
		}
		return authority.Issue(request)
	}
	return ca.KeyPair{}, fmt.Errorf("no certificate can be made for the Consumer %q: it is recognised by fingerprints alone", name)
}

// issue makes a certificate with the properties of a Test.
func (c *Callers) issue(spec *sallyportv1.TestCertificate) (ca.KeyPair, error) {
	authority := c.unknown
	if name := spec.GetAuthority(); name != config.UnknownAuthority {
		var ok bool
		if authority, ok = c.Keeper.TruststoreAuthority(name); !ok {
			if authority, ok = c.Keeper.Authority(name); !ok {
				return ca.KeyPair{}, fmt.Errorf("the authority %q is not there", name)
			}
		}
	}
	request := ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: spec.GetCommonName()}, URIs: spec.GetUris()}
	if spec.GetCommonName() == "" && len(spec.GetUris()) == 0 {
		request.Subject.CommonName = "somebody"
	}
	if spec.GetExpired() {
		now := c.Clock()
		request.Validity = &ca.Validity{NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(-24 * time.Hour)}
	}
	if spec.GetNoUsages() {
		request.Usages = []x509.ExtKeyUsage{}
	}
	for _, usage := range spec.GetUsages() {
		request.Usages = append(request.Usages, map[sallyportv1.TestUsage]x509.ExtKeyUsage{
			sallyportv1.TestUsage_TEST_USAGE_SERVER: x509.ExtKeyUsageServerAuth,
			sallyportv1.TestUsage_TEST_USAGE_CLIENT: x509.ExtKeyUsageClientAuth,
		}[usage])
	}
	return authority.Issue(request)
}
