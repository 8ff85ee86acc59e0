package config

import (
	"strings"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// authority, truststore and certificate check how material is referred to. The material itself is pki/inventory's: that
// a file is missing is a state of the running system and no mistake in the configuration.

func (b *builder) authority(d *document.Document, m *sallyportv1.Authority) {
	if material := m.GetSpec().GetMaterial(); material != nil {
		b.reference(d, "spec.material.certificate", material.GetCertificate())
		if material.GetPrivateKey() != "" {
			b.reference(d, "spec.material.private_key", material.GetPrivateKey())
		}
	}
	b.model.authorities[d.Name] = &Authority{Header: header(d, m.GetMetadata()), Spec: m.GetSpec()}
}

func (b *builder) truststore(d *document.Document, m *sallyportv1.Truststore) {
	bundle := m.GetSpec().GetBundle()
	if name, ok := strings.CutPrefix(bundle, "authority:"); ok {
		lookup(b, b.model.authorities, d, "spec.bundle", "Authority", name)
	} else {
		b.reference(d, "spec.bundle", bundle)
	}
	b.model.truststores[d.Name] = &Truststore{Header: header(d, m.GetMetadata()), Spec: m.GetSpec()}
}

func (b *builder) certificate(d *document.Document, m *sallyportv1.Certificate) {
	spec := m.GetSpec()
	if material := spec.GetMaterial(); material != nil {
		b.reference(d, "spec.material.certificate", material.GetCertificate())
		b.reference(d, "spec.material.private_key", material.GetPrivateKey())
	}
	if issued := spec.GetIssued(); issued != nil {
		authority, found := lookup(b, b.model.authorities, d, "spec.issued.authority", "Authority", issued.GetAuthority())
		if material := authorityMaterial(authority); found && material != nil && material.GetPrivateKey() == "" {
			b.fail(d, "spec.issued.authority", "the Authority %q has no private_key (%s) and cannot issue", authority.Name, authority.Origin)
		}
		server := issued.GetProfile() == sallyportv1.CertificateProfile_CERTIFICATE_PROFILE_SERVER
		if server && len(issued.GetDnsNames())+len(issued.GetIpAddresses()) == 0 {
			b.fail(d, "spec.issued", "a server certificate needs dns_names or ip_addresses")
		}
		if !server && issued.GetCommonName() == "" && len(issued.GetUris())+len(issued.GetDnsNames()) == 0 {
			b.fail(d, "spec.issued", "a client certificate needs a name: common_name, uris or dns_names")
		}
	}
	b.model.certificates[d.Name] = &Certificate{Header: header(d, m.GetMetadata()), Spec: spec}
}

func authorityMaterial(a *Authority) *sallyportv1.AuthorityMaterial {
	if a == nil {
		return nil
	}
	return a.Spec.GetMaterial()
}

// schemes are the ways to refer to material, and whether they work yet.
var schemes = []struct {
	prefix    string
	supported bool
}{
	{"file:", true}, {"env:", true}, {"s3:", false}, {"secretsmanager:", false}, {"awskms:", false},
}

// reference checks how a reference to material is written.
func (b *builder) reference(d *document.Document, path, value string) {
	for _, scheme := range schemes {
		if rest, ok := strings.CutPrefix(value, scheme.prefix); ok {
			switch {
			case !scheme.supported:
				b.fail(d, path, "%s references are not supported yet", scheme.prefix)
			case rest == "":
				b.fail(d, path, "nothing stands after %s", scheme.prefix)
			}
			return
		}
	}
	b.fail(d, path, "expected a reference such as file:server.pem or env:NAME, found %s", redact(value))
}

// redact keeps the beginning of a value that may be a secret written where its reference belongs.
func redact(value string) string {
	if len(value) <= 12 {
		return "`" + value + "`"
	}
	return "`" + value[:8] + "…`"
}
