package inventory

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func (l *look) lookAtCertificate(name string, spec *sallyportv1.CertificateSpec) {
	found, err := l.findCertificate(name, spec)
	if err == nil && !l.config.AllowDevelopment && ca.IsDevelopment(found.Leaf) {
		err = errDevelopment
	}
	lastGood := l.memory.pairs[name]
	switch {
	case err == nil:
		l.pairs[name] = found
		l.due(found.Leaf.NotAfter.Add(soonest))
		return
	case lastGood != nil:
		l.pairs[name] = lastGood
		if issuance, known := l.memory.issued[name]; known {
			l.issued[name] = issuance
		}
	}
	l.problem(KindCertificate, name, err, lastGood != nil)
}

func (l *look) findCertificate(name string, spec *sallyportv1.CertificateSpec) (*KeyPair, error) {
	switch {
	case spec.GetIssued() != nil:
		return l.issueCertificate(name, spec.GetIssued())
	case spec.GetMaterial() != nil && l.config.Substitute:
		return l.substituteCertificate(name)
	case spec.GetMaterial() != nil:
		return l.certificateByMaterial(name, spec.GetMaterial())
	default:
		return nil, errors.New("it has no source that is supported")
	}
}

func (l *look) certificateByMaterial(name string, source *sallyportv1.CertificateMaterial) (*KeyPair, error) {
	chainPEM, err := l.read(source.GetCertificate())
	if err != nil {
		return nil, fmt.Errorf("its certificate: %w", err)
	}
	keyPEM, err := l.read(source.GetPrivateKey())
	if err != nil {
		return nil, fmt.Errorf("its private key: %w", err)
	}
	return ParseKeyPair(name, chainPEM, keyPEM, l.now)
}

func (l *look) issueCertificate(name string, spec *sallyportv1.IssuedCertificate) (*KeyPair, error) {
	issuer := l.authorities[spec.GetAuthority()]
	if issuer == nil || issuer.signer == nil {
		return nil, fmt.Errorf("there is no good Authority %q with a key", spec.GetAuthority())
	}
	request, err := toRequest(spec)
	if err != nil {
		return nil, err
	}
	return l.issue(name, issuer.signer, request)
}

func toRequest(spec *sallyportv1.IssuedCertificate) (ca.Request, error) {
	request := ca.Request{
		Subject:  pkix.Name{CommonName: spec.GetCommonName()},
		DNSNames: spec.GetDnsNames(),
		URIs:     spec.GetUris(),
		Lifetime: ca.DefaultLifetime,
	}
	switch profile := spec.GetProfile(); profile {
	case sallyportv1.CertificateProfile_CERTIFICATE_PROFILE_SERVER:
		request.Profile = ca.Server
	case sallyportv1.CertificateProfile_CERTIFICATE_PROFILE_CLIENT:
		request.Profile = ca.Client
	default:
		return ca.Request{}, fmt.Errorf("the profile %s is not supported", profile)
	}
	if lifetime := spec.GetLifetime(); lifetime != nil {
		if err := lifetime.CheckValid(); err != nil || lifetime.AsDuration() < time.Minute {
			return ca.Request{}, errors.New("the lifetime must be at least one minute")
		}
		request.Lifetime = lifetime.AsDuration()
	}
	for _, text := range spec.GetIpAddresses() {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return ca.Request{}, fmt.Errorf("%q is not an IP address", text)
		}
		request.IPAddresses = append(request.IPAddresses, address)
	}
	return request, nil
}

// substituteCertificate stands in for a key pair that nobody has here. What it will be used for is known only in part, so
// it may be presented by a server and by a client.
func (l *look) substituteCertificate(name string) (*KeyPair, error) {
	signer := l.anchors[l.specs.CertificateTruststores[name]]
	if signer == nil {
		issuer, err := l.developmentAuthority(developmentKey{ofCertificates, "certificates"})
		if err != nil {
			return nil, err
		}
		signer = issuer.signer
	}
	request := ca.Request{
		Profile:  ca.Client,
		Subject:  pkix.Name{CommonName: name},
		Lifetime: ca.DefaultLifetime,
		Usages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	for _, host := range l.specs.CertificateHosts[name] {
		request.Profile = ca.Server
		if address, err := netip.ParseAddr(host); err == nil {
			request.IPAddresses = append(request.IPAddresses, address)
		} else {
			request.DNSNames = append(request.DNSNames, host)
		}
	}
	return l.issue(name, signer, request)
}
