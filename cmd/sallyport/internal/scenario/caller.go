package scenario

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Callers makes the certificates that Test cases call with. Its keeper substitutes development authorities for all others,
// so that a certificate of any of them can be made.
type Callers struct {
	model   *config.Model
	keeper  *inventory.Keeper
	clock   func() time.Time
	unknown *ca.Authority
}

// NewCallers makes callers for a model whose material is kept by a substituting keeper.
func NewCallers(model *config.Model, keeper *inventory.Keeper, clock func() time.Time) (*Callers, error) {
	unknown, err := ca.Create(ca.Options{CommonName: "an authority that nobody trusts", Development: true, Clock: clock})
	if err != nil {
		return nil, fmt.Errorf("make an unknown authority: %w", err)
	}
	return &Callers{model: model, keeper: keeper, clock: clock, unknown: unknown}, nil
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
		pair := c.keeper.Current().Certificates[form.Presents]
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
	consumer := c.model.Consumer(name)
	if consumer == nil {
		return ca.KeyPair{}, fmt.Errorf("there is no Consumer %q", name)
	}
	for _, match := range consumer.Certificates {
		if !match.Named() {
			continue
		}
		authority, ok := c.keeper.TruststoreAuthority(match.Truststore.Name)
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
		if authority, ok = c.keeper.TruststoreAuthority(name); !ok {
			if authority, ok = c.keeper.Authority(name); !ok {
				return ca.KeyPair{}, fmt.Errorf("the authority %q is not there", name)
			}
		}
	}
	request := ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: spec.GetCommonName()}, URIs: spec.GetUris()}
	if spec.GetCommonName() == "" && len(spec.GetUris()) == 0 {
		request.Subject.CommonName = "somebody"
	}
	if spec.GetExpired() {
		now := c.clock()
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
