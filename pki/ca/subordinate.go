package ca

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"time"
)

// AuthorityRequest is what an authority is asked to make of a subordinate one. Nothing comes into its certificate that
// is not written here.
type AuthorityRequest struct {
	// CommonName is required: 1 to 64 bytes.
	CommonName string
	// Organization, OrganizationalUnit and Country (two capital letters) may be empty. Below a development authority the
	// organization is always DevelopmentOrganization.
	Organization, OrganizationalUnit, Country string
	// Lifetime is counted from now, DefaultIssuingLifetime if zero, MaxIssuingLifetime at most, and cut where the issuer's
	// own validity ends.
	Lifetime time.Duration
	// PathLength is how many further authorities may stand between this one and a leaf. Zero, the default, is none.
	PathLength int
	// NameConstraints bind what the authority, and those below it, may issue.
	NameConstraints NameConstraints
	// CRLAddresses, if not nil, replace the issuer's own (WithCRLAddresses): where the list is found that says whether this
	// authority was revoked.
	CRLAddresses []string
	// PublicKey, if not nil, is the new authority's key. Otherwise an ECDSA P-256 key is made.
	PublicKey crypto.PublicKey
}

// IssueAuthority makes an authority that is subordinate to this one, which needs a path length of one or more. LoadWith,
// given the key pair's ChainPEM, makes an Authority of it. The key pair has a private key only where one was made here.
// What was signed has been read again, verified and compared with the request.
func (a *Authority) IssueAuthority(request AuthorityRequest) (KeyPair, error) {
	pair, err := a.issueAuthority(request)
	if err != nil {
		return KeyPair{}, fmt.Errorf("issue the authority %q by %q: %w", request.CommonName, a.pair.Certificate.Subject, err)
	}
	return pair, nil
}

func (a *Authority) issueAuthority(request AuthorityRequest) (KeyPair, error) {
	template, err := a.subordinateTemplate(request)
	if err != nil {
		return KeyPair{}, err
	}
	return a.certify(template, request.PublicKey, checkSignedAuthority)
}

func (a *Authority) subordinateTemplate(request AuthorityRequest) (*x509.Certificate, error) {
	if limit := a.pathLength(); limit >= 0 && request.PathLength >= limit {
		return nil, fmt.Errorf("its issuer's path length allows %d authorities below it: a root that has intermediates is made with a path length of 1 or more", limit)
	}
	name := authorityName{request.CommonName, request.Organization, request.OrganizationalUnit, request.Country}
	template, err := authorityTemplate(name, a.IsDevelopment(), request.PathLength, request.NameConstraints)
	if err != nil {
		return nil, err
	}
	lifetime, err := issuingRules.lifetimeOf(request.Lifetime)
	if err != nil {
		return nil, err
	}
	validity, err := a.validityFromNow(lifetime)
	if err != nil {
		return nil, err
	}
	template.NotBefore, template.NotAfter = validity.NotBefore, validity.NotAfter
	template.CRLDistributionPoints, err = a.crlAddresses(request.CRLAddresses)
	return template, err
}

// pathLength is how many authorities may stand below this one, by its own certificate and those above it; negative where
// there is no limit.
func (a *Authority) pathLength() int {
	limit := -1
	for above, certificate := range a.Chain() {
		if certificate.MaxPathLen < 0 {
			continue
		}
		if own := max(0, certificate.MaxPathLen-above); limit < 0 || own < limit {
			limit = own
		}
	}
	return limit
}

// authorityName is the subject of an authority.
type authorityName struct{ commonName, organization, unit, country string }

func (n authorityName) subject(development bool) (pkix.Name, error) {
	if n.commonName == "" {
		return pkix.Name{}, fmt.Errorf("the common name must have 1 to %d bytes", maxNameBytes)
	}
	subject := pkix.Name{CommonName: n.commonName}
	if development {
		n.organization = DevelopmentOrganization
	} else if n.organization == DevelopmentOrganization {
		return pkix.Name{}, fmt.Errorf("the organization %q is for development authorities", DevelopmentOrganization)
	}
	for _, part := range []struct {
		what, text string
		field      *[]string
	}{
		{"organization", n.organization, &subject.Organization},
		{"organizational unit", n.unit, &subject.OrganizationalUnit},
		{"country", n.country, &subject.Country},
	} {
		if part.text == "" {
			continue
		}
		if err := checkNamePart(part.what, part.text); err != nil {
			return pkix.Name{}, err
		}
		*part.field = []string{part.text}
	}
	if n.country != "" && !isCountry(n.country) {
		return pkix.Name{}, fmt.Errorf("the country %q is not two capital letters (ISO 3166)", n.country)
	}
	return subject, checkNamePart("common name", n.commonName)
}

func isCountry(text string) bool {
	return len(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' && text[1] <= 'Z'
}

// authorityTemplate is what roots and subordinate authorities have in common: all but their time and their list.
func authorityTemplate(name authorityName, development bool, pathLength int, constraints NameConstraints) (*x509.Certificate, error) {
	subject, err := name.subject(development)
	if err != nil {
		return nil, err
	}
	if pathLength < 0 {
		return nil, errors.New("the path length must not be negative")
	}
	var policies []x509.OID
	if development {
		policies = []x509.OID{developmentPolicy}
	}
	template := &x509.Certificate{
		SerialNumber:          newSerial(),
		Subject:               subject,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            pathLength,
		MaxPathLenZero:        pathLength == 0,
		Policies:              policies,
		// The subject key identifier is made by crypto/x509 from the public key (RFC 7093, section 2, method 1).
	}
	return template, constraints.apply(template)
}

// checkSignedAuthority compares a signed authority with what was meant, beyond what checkSigned does.
func checkSignedAuthority(certificate, template *x509.Certificate) error {
	switch {
	case certificate.MaxPathLen != template.MaxPathLen:
		return errors.New("another path length was signed")
	case len(certificate.SubjectKeyId) == 0:
		return errors.New("it has no subject key identifier")
	case IsDevelopment(certificate) != (len(template.Policies) > 0):
		return errors.New("the mark of development is wrong")
	case !sameConstraints(certificate, template):
		return errors.New("other name constraints were signed")
	}
	return CheckAuthority(certificate)
}
