package inventory

import (
	"github.com/sallyport-project/sallyport/pki/material"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Specs are the resources of one revision of the configuration, by name. They belong to the Keeper once applied: do not
// change them.
type Specs struct {
	Authorities  map[string]*sallyportv1.AuthoritySpec
	Truststores  map[string]*sallyportv1.TruststoreSpec
	Certificates map[string]*sallyportv1.CertificateSpec

	// CertificateHosts are the DNS names and IP addresses that a Certificate serves. Used in substitute mode only, for
	// those by material: with hosts such a one becomes a server's certificate, without any a client's.
	CertificateHosts map[string][]string
	// CertificateTruststores names the Truststore against which others verify a Certificate. Used in substitute mode only,
	// for those by material: the authority of that Truststore issues it. Without one, an authority of its own does.
	CertificateTruststores map[string]string
}

// signs reports whether an authority's private key is needed.
func (s Specs) signs(authority string) bool {
	for _, spec := range s.Certificates {
		if issued := spec.GetIssued(); issued != nil && issued.GetAuthority() == authority {
			return true
		}
	}
	return false
}

// texts are all references that stand in the resources and are read, malformed ones included.
func (s Specs) texts(truststoresOnly bool) []string {
	var texts []string
	for name, spec := range s.Authorities {
		if source := spec.GetMaterial(); source != nil {
			texts = append(texts, source.GetCertificate())
			if !truststoresOnly && s.signs(name) {
				texts = append(texts, source.GetPrivateKey())
			}
		}
	}
	for _, spec := range s.Truststores {
		texts = append(texts, spec.GetBundle())
	}
	if truststoresOnly {
		return texts
	}
	for _, spec := range s.Certificates {
		if source := spec.GetMaterial(); source != nil {
			texts = append(texts, source.GetCertificate(), source.GetPrivateKey())
		}
	}
	return texts
}

// references are the well-formed ones among texts, resolved against a folder.
func references(texts []string, folder string) []material.Reference {
	var found []material.Reference
	for _, text := range texts {
		if reference, err := material.Parse(text); err == nil {
			found = append(found, reference.In(folder))
		}
	}
	return found
}
