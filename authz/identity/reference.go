package identity

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Reference names a certificate that somebody whom we believe has verified: one of our own proxies, which says in a token for
// whom it speaks. The certificate itself is not here.
type Reference struct {
	// Truststore that vouched for it.
	Truststore string
	// SHA256 of the certificate, in lower-case hexadecimal; empty where it is not known.
	SHA256 string
	// Issuer and Serial are as a Certificate has them.
	Issuer, Serial string
}

// References judges again, at each use, certificates of which there is no more than a Reference. It is immutable.
type References struct{ truststores map[string]truststore }

// NewReferences takes all truststores as they are in a snapshot.
func NewReferences(named []*config.Truststore, material *inventory.Snapshot) *References {
	r := &References{truststores: make(map[string]truststore, len(named))}
	for _, t := range named {
		if found := material.Truststores[t.Name]; found != nil && len(found.Anchors) > 0 {
			r.truststores[t.Name] = newTruststore(t.Name, found)
		} else {
			r.truststores[t.Name] = truststore{name: t.Name}
		}
	}
	return r
}

// Judge returns nil if nothing is known against the certificate now: its issuer is still an authority of the truststore, and
// neither that one's revocation list nor its register refuses it, as for a certificate that is presented. Of one that an
// intermediate issued, which is not here to prove its lists, it knows only whether one of the lists in its name has it.
func (r *References) Judge(ref Reference, now time.Time) *Refusal {
	t, found := r.truststores[ref.Truststore]
	if !found {
		return &Refusal{reason.CertificateUntrusted, fmt.Sprintf("the truststore %q, which vouched for the certificate, is not there any more", cut(escape(ref.Truststore)))}
	}
	certificate := &Certificate{SHA256: ref.SHA256, Subject: "serial number " + ref.Serial, Issuer: ref.Issuer, Serial: ref.Serial}
	j := &judging{Verdict: &Verdict{Certificate: certificate}, truststore: t, now: now}
	serial, ok := new(big.Int).SetString(ref.Serial, 16)
	switch {
	case t.material == nil:
		return j.judge()
	case !ok || ref.Issuer == "":
		return &Refusal{reason.CertificateMalformed, "the certificate that the token names has no issuer and serial number by which it could be judged"}
	}
	j.leaf = &x509.Certificate{SerialNumber: serial}
	return j.judgeReference()
}

func (j *judging) judgeReference() *Refusal {
	refusal := j.untrusted("its issuer is no authority of the truststore any more")
	for _, anchors := range j.anchors {
		for _, a := range anchors {
			if nameOf(a.certificate) != j.Certificate.Issuer {
				continue
			}
			found := j.judgePath([]*x509.Certificate{j.leaf, a.certificate})
			if found == nil || found.Reason == reason.CertificateUnregistered && j.Certificate.SHA256 == "" {
				return nil
			}
			refusal = moreTelling(refusal, found)
		}
	}
	if j.pool == nil || refusal.Reason != reason.CertificateUntrusted {
		return refusal
	}
	// The intermediate's certificate is not here to prove a list by; one that is given in its name counts against it all the same.
	for _, list := range j.material.Revocation.Lists.Unproven() {
		if entry, listed := list.Find(j.leaf.SerialNumber); listed && escape(list.Issuer) == j.Certificate.Issuer {
			return j.revoked(j.leaf, entry)
		}
	}
	return nil
}
