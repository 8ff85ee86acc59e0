package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// authority, truststore and certificate check how material is referred to. The material itself is pki/inventory's: that
// a file is missing is a state of the running system and no mistake in the configuration.

func (b *builder) authority(d *document.Document, m *sallyportv1.Authority) {
	if material := m.GetSpec().GetMaterial(); material != nil {
		b.reference(d, "spec.material.certificate", material.GetCertificate(), ofCertificate)
		if material.GetPrivateKey() != "" {
			b.reference(d, "spec.material.private_key", material.GetPrivateKey(), ofSigner)
		}
	}
	b.model.authorities[d.Name] = &Authority{Header: header(d, m.GetMetadata()), Spec: m.GetSpec()}
}

func (b *builder) truststore(d *document.Document, m *sallyportv1.Truststore) {
	spec := m.GetSpec()
	if name, ok := strings.CutPrefix(spec.GetBundle(), "authority:"); ok {
		lookup(b, b.model.authorities, d, "spec.bundle", "Authority", name)
	} else {
		b.reference(d, "spec.bundle", spec.GetBundle(), ofCertificate)
	}
	if spec.GetManifest() != "" {
		b.reference(d, "spec.manifest", spec.GetManifest(), ofCertificate)
	}
	for i, signer := range spec.GetSigners() {
		at := fmt.Sprintf("spec.signers[%d]", i)
		b.reference(d, at, signer, ofCertificate)
		if strings.HasPrefix(signer, "s3:") && !strings.Contains(signer, "?version=") {
			b.fail(d, at, "whoever can write the bundle could write this object too: pin its version (s3://bucket/key?version=ID), or keep the key in a file")
		}
	}
	for i, list := range spec.GetRevocation().GetLists() {
		b.reference(d, fmt.Sprintf("spec.revocation.lists[%d]", i), list, ofList)
	}
	for i, register := range spec.GetIssuance().GetRegisters() {
		b.reference(d, fmt.Sprintf("spec.issuance.registers[%d]", i), register, ofList)
	}
	b.model.truststores[d.Name] = &Truststore{Header: header(d, m.GetMetadata()), Spec: m.GetSpec()}
}

func (b *builder) certificate(d *document.Document, m *sallyportv1.Certificate) {
	spec := m.GetSpec()
	if material := spec.GetMaterial(); material != nil {
		b.reference(d, "spec.material.certificate", material.GetCertificate(), ofCertificate)
		b.reference(d, "spec.material.private_key", material.GetPrivateKey(), ofPrivateKey)
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

// schemes are the ways to refer to material, by what is referred to. What follows a scheme is read by pki/material.
var (
	ofCertificate = []string{"file:", "env:", "s3:", "secretsmanager:"}
	// Private keys come from no bucket: too many can read one, and it keeps what was deleted.
	ofPrivateKey = []string{"file:", "env:", "secretsmanager:"}
	ofSigner     = []string{"file:", "env:", "secretsmanager:", "awskms:"}
	// Public keys are no secret, and who can write them can make any token.
	ofKeySet = []string{"file:", "env:", "s3:"}
	// Lists and registers are signed, so that an address will do.
	ofList = []string{"file:", "env:", "s3:", "https:", "http:"}

	everyScheme = []string{"file:", "env:", "s3:", "secretsmanager:", "awskms:", "https:", "http:", "authority:"}
)

// reference checks how a reference to material is written, and that its scheme is among those accepted here.
func (b *builder) reference(d *document.Document, path, value string, accepted []string) {
	written := func(scheme string) bool { return strings.HasPrefix(value, scheme) }
	known := slices.IndexFunc(everyScheme, written)
	switch {
	case known < 0:
		b.fail(d, path, "expected a reference such as file:server.pem or env:NAME, found %s", redact(value))
	case !slices.ContainsFunc(accepted, written):
		b.fail(d, path, "%s is not accepted here: use one of %s", everyScheme[known], strings.Join(accepted, ", "))
	case value == everyScheme[known]:
		b.fail(d, path, "nothing stands after %s", everyScheme[known])
	case written("s3:") && !strings.HasPrefix(value, "s3://"):
		b.fail(d, path, "a bucket and a key follow s3://")
	}
}

// redact keeps the beginning of a value that may be a secret written where its reference belongs.
func redact(value string) string {
	if len(value) <= 12 {
		return "`" + value + "`"
	}
	return "`" + value[:8] + "…`"
}
