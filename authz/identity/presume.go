package identity

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Presumed is a certificate that nobody has shown: what a Consumer is recognised by is known of it, and that an authority of
// one truststore issued it, that it is valid and that nothing speaks against it are taken for granted. It stands for a caller
// about whom somebody asks. No request of a proxy has one.
type Presumed struct {
	certificate *Certificate
	truststore  string
	anchors     []*x509.Certificate // of the truststore; none if it never was good
	// specimens are those of its names that were made up, to match a pattern.
	specimens specimens
	// serial is nil where it is not known.
	serial *big.Int
}

type specimens struct{ commonName, subject bool }

// Presume returns the certificate by which a match recognises its consumer, issued by an authority of the match's truststore as
// that is in the snapshot. The error is for patterns for which no example can be found.
func Presume(match *config.CertificateMatch, material *inventory.Snapshot) (*Presumed, error) {
	name := match.Truststore.Name
	p := &Presumed{truststore: name, anchors: anchorsOf(name, material), certificate: &Certificate{
		SHA256: match.CertificateSHA256, SPKISHA256: match.SPKISHA256,
		Subject: escape(match.SubjectDN), Issuer: escape(match.IssuerDN), CommonName: match.SubjectCommonName, Serial: match.Serial,
	}}
	if match.Serial != "" {
		p.serial, _ = new(big.Int).SetString(match.Serial, 16) // the schema wants digits
	}
	uri, dns := match.SANURI, match.SANDNS
	patterns := match.Patterns
	for _, one := range []struct {
		pattern config.Pattern
		name    *string
		madeUp  *bool
	}{
		{patterns.SubjectCommonName, &p.certificate.CommonName, &p.specimens.commonName},
		{patterns.SubjectDN, &p.certificate.Subject, &p.specimens.subject},
		{patterns.SANURI, &uri, new(bool)},
		{patterns.SANDNS, &dns, new(bool)},
	} {
		if one.pattern.IsZero() {
			continue
		}
		specimen, found := specimenOf(one.pattern)
		if !found {
			return nil, fmt.Errorf("no name could be found that matches %q (%s)", one.pattern.Text, match.Origin)
		}
		*one.name, *one.madeUp = specimen, true
	}
	if uri != "" {
		p.certificate.URIs = []string{uri}
	}
	if dns != "" {
		p.certificate.DNSNames = []string{dns}
	}
	return p, nil
}

// PresumeStranger returns a certificate of the truststore that is no consumer's.
func PresumeStranger(truststore string, material *inventory.Snapshot) *Presumed {
	return &Presumed{truststore: truststore, anchors: anchorsOf(truststore, material), certificate: &Certificate{}}
}

func anchorsOf(truststore string, material *inventory.Snapshot) []*x509.Certificate {
	if found := material.Truststores[truststore]; found != nil {
		return found.Anchors
	}
	return nil
}

// Certificate is what is known of it. What is empty is not known, and neither is all that Unknown names.
func (p *Presumed) Certificate() *Certificate { return p.certificate }

// Unknown lists what is not known, by the names that expressions have for the fields of `certificate`.
func (p *Presumed) Unknown() []string {
	c := p.certificate
	unknown := []string{"not_before", "not_after", "uris", "dns_names"} // there may be more than the one that is demanded
	for _, field := range []struct {
		name  string
		known bool
	}{
		{"subject_dn", c.Subject != "" && !p.specimens.subject}, {"common_name", c.CommonName != "" && !p.specimens.commonName},
		{"issuer_dn", c.Issuer != ""}, {"serial", c.Serial != ""}, {"sha256", c.SHA256 != ""}, {"spki_sha256", c.SPKISHA256 != ""},
	} {
		if !field.known {
			unknown = append(unknown, field.name)
		}
	}
	return unknown
}

// Verdict is what would come of verifying the certificate by the truststores of a TLS entry at a moment. A truststore that
// never was good vouches for nothing, and neither does one without a list or register that it demands, whatever is presumed.
// Another truststore than the presumed one vouches where it has every anchor of that.
func (p *Presumed) Verdict(trust *Trust, now time.Time) *Verdict {
	verdict := &Verdict{Certificate: p.certificate}
	for _, t := range trust.truststores {
		j := &judging{Verdict: verdict, truststore: t, now: now, leaf: &x509.Certificate{SerialNumber: p.serial}}
		if p.serial == nil {
			j.leaf.SerialNumber = big.NewInt(-1) // which no list has
		}
		refusal := &Refusal{reason.CertificateUntrusted, fmt.Sprintf("the certificate is of the truststore %q, and not of %q", p.truststore, t.name)}
		if t.material == nil || t.has(p.anchors) {
			refusal = j.presume()
		}
		verdict.judgements = append(verdict.judgements, judgement{truststore: t.name, refusal: refusal, note: j.note})
	}
	return verdict
}

// presume returns nil if some anchor of the truststore could have issued the certificate, as far as lists and registers say.
func (j *judging) presume() *Refusal {
	if j.material == nil {
		return j.judge()
	}
	refusal := &Refusal{reason.CertificateUntrusted, fmt.Sprintf("no authority of the truststore %q has the name of the certificate's issuer", j.name)}
	for _, anchors := range j.anchors {
		for _, a := range anchors {
			if issuer := j.Certificate.Issuer; issuer != "" && issuer != nameOf(a.certificate) {
				continue
			}
			found := j.judgePath([]*x509.Certificate{j.leaf, a.certificate})
			if found == nil || found.Reason == reason.CertificateUnregistered && j.Certificate.SHA256 == "" {
				return nil
			}
			refusal = moreTelling(refusal, found)
		}
	}
	return refusal
}

// nameOf is the subject of an authority as certificates name their issuer; empty if it cannot be read.
func nameOf(authority *x509.Certificate) string {
	name, err := parseName(authority.RawSubject)
	if err != nil {
		return ""
	}
	return escape(name.String())
}

// has tells whether every one of the anchors, of which there must be some, is one of the truststore's.
func (t *truststore) has(anchors []*x509.Certificate) bool {
	for _, wanted := range anchors {
		if !slices.ContainsFunc(t.anchors[string(wanted.RawSubject)], func(a anchor) bool { return a.certificate.Equal(wanted) }) {
			return false
		}
	}
	return len(anchors) > 0
}
