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
	// Providers, with lifetimes, leeways and rotations filled in where they are made of what they mint.
	Providers map[string]*sallyportv1.ProviderSpec

	// CertificateHosts are the DNS names and IP addresses that a Certificate serves. Used in substitute mode only, for
	// those by material: with hosts such a one becomes a server's certificate, without any a client's.
	CertificateHosts map[string][]string
	// CertificateTruststores names the Truststore against which others verify a Certificate. Used in substitute mode only,
	// for those by material: the authority of that Truststore issues it. Without one, an authority of its own does.
	CertificateTruststores map[string]string
}

// narrowed is the part of the specs that a process is concerned with: the Certificates that it presents, to anybody or to the
// Providers that it asks, and the Providers if it uses any.
func (s Specs) narrowed(config Config) Specs {
	if !config.Providers {
		s.Providers = nil
	}
	if !config.TruststoresOnly {
		return s
	}
	all := s.Certificates
	s.Certificates = make(map[string]*sallyportv1.CertificateSpec)
	for _, spec := range s.Providers {
		name := spec.GetClient().GetCertificate()
		if certificate, found := all[name]; found {
			s.Certificates[name] = certificate
		}
	}
	return s
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

// sources are all references that stand in the resources and are read, resolved against a folder. Malformed ones are left
// out: they become problems of their resources.
func (s Specs) sources(folder string) []material.Source {
	found := sources{folder: folder}
	for name, spec := range s.Authorities {
		if source := spec.GetMaterial(); source != nil {
			found.add(material.Source{}, material.Parse, source.GetCertificate())
			if s.signs(name) {
				found.add(material.Source{}, material.Parse, source.GetPrivateKey())
			}
		}
	}
	for _, spec := range s.Truststores {
		like := material.Source{Refresh: spec.GetRefresh().AsDuration(), ExpectedOwner: spec.GetExpectedBucketOwner()}
		found.add(like, material.Parse, spec.GetBundle())
		if manifest, err := manifestReference(spec.GetBundle(), spec.GetManifest()); err == nil && len(spec.GetSigners()) > 0 {
			found.add(like, material.Parse, manifest.String())
		}
		found.add(like, material.Parse, spec.GetSigners()...)
		found.add(like, material.ParseList, spec.GetRevocation().GetLists()...)
		found.add(like, material.ParseList, spec.GetIssuance().GetRegisters()...)
	}
	for _, spec := range s.Certificates {
		if source := spec.GetMaterial(); source != nil {
			found.add(material.Source{}, material.Parse, source.GetCertificate(), source.GetPrivateKey())
		}
	}
	for _, spec := range s.Providers {
		found.add(material.Source{}, material.Parse, spec.GetKeySet(), spec.GetClient().GetSecret(), spec.GetClient().GetPrivateKey())
		found.add(material.Source{}, material.Parse, spec.GetMint().GetKeys()...)
	}
	return found.all
}

// sources collects what is to be watched.
type sources struct {
	folder string
	all    []material.Source
}

// add collects the well-formed ones among texts, to be watched like a source.
func (s *sources) add(like material.Source, parse func(string) (material.Reference, error), texts ...string) {
	for _, text := range texts {
		if reference, err := parse(text); err == nil {
			like.Reference = reference.In(s.folder)
			s.all = append(s.all, like)
		}
	}
}
