package ca

import (
	"crypto/x509"
	"slices"
)

// DevelopmentOrganization is the subject organization of a development authority, and so the issuer organization of
// everything that it issues.
const DevelopmentOrganization = "Sallyport development CA"

// developmentPolicy marks a development authority. It is the object identifier of a UUID (2.25.<uuid>, ITU-T X.667) in
// the certificate policies extension, which is not critical: others may ignore it. It stands there and not as an
// extension of its own because an extension's identifier of 128 bits cannot be parsed by crypto/x509.
var developmentPolicy = mustOID("2.25.85713103238208552875159156086412883836")

func mustOID(text string) x509.OID {
	oid, err := x509.ParseOID(text)
	if err != nil {
		panic(err) // a constant of this file
	}
	return oid
}

// IsDevelopment reports whether a certificate is a development authority's own, or names one as its issuer. It relies on
// marks that our own development authorities carry: it keeps development material out of earnest use by mistake, and
// is no proof against somebody who makes an unmarked authority.
func IsDevelopment(certificate *x509.Certificate) bool {
	return slices.ContainsFunc(certificate.Policies, developmentPolicy.Equal) ||
		slices.Contains(certificate.Subject.Organization, DevelopmentOrganization) ||
		slices.Contains(certificate.Issuer.Organization, DevelopmentOrganization)
}
