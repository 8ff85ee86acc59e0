package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// DefaultCacheSize is how many certificates of either kind are remembered, unless told otherwise. A refused one takes 1 KiB
// and for each truststore of its TLS entry half of one at most, whatever a stranger writes into it, so that all of them
// stay below 20 MiB with two truststores. One that a truststore vouches for takes 1 KiB as a rule; its names, which its
// authority has signed, are kept whole and can have 32 KiB.
const DefaultCacheSize = 10_000

// Verifier verifies certificates and remembers what came of it. A remembered verdict is the one that would be reached
// anew: it is kept under the hash of the certificate as received and of the truststores that judged it, for as long as
// no validity begins or ends. It is safe for concurrent use.
type Verifier struct {
	// Verdicts with and without a voucher are kept apart, so that strangers cannot displace partners.
	vouched, refused *lru.Cache[cacheKey, *Verdict]
}

type cacheKey struct{ certificate, trust [sha256.Size]byte }

// NewVerifier makes a verifier that remembers at most so many certificates of either kind; DefaultCacheSize if zero.
func NewVerifier(cacheSize int) (*Verifier, error) {
	if cacheSize == 0 {
		cacheSize = DefaultCacheSize
	}
	vouched, err := lru.New[cacheKey, *Verdict](cacheSize)
	if err != nil {
		return nil, fmt.Errorf("make a cache of %d certificates: %w", cacheSize, err)
	}
	refused, err := lru.New[cacheKey, *Verdict](cacheSize)
	if err != nil {
		return nil, fmt.Errorf("make a cache of %d certificates: %w", cacheSize, err)
	}
	return &Verifier{vouched: vouched, refused: refused}, nil
}

// Verify judges a certificate, URL-encoded PEM as received and not empty, by the truststores of a TLS entry at a moment.
func (v *Verifier) Verify(encoded string, trust *Trust, now time.Time) *Verdict {
	if len(encoded) > maxEncoded {
		return verify(encoded, trust, now)
	}
	key := cacheKey{certificate: sha256.Sum256([]byte(encoded)), trust: trust.key}
	for _, cache := range [...]*lru.Cache[cacheKey, *Verdict]{v.vouched, v.refused} {
		if verdict, ok := cache.Get(key); ok && verdict.holds(now) {
			return verdict
		}
	}
	verdict := verify(encoded, trust, now)
	if verdict.vouched() {
		v.vouched.Add(key, verdict)
	} else {
		v.refused.Add(key, verdict)
	}
	return verdict
}

func (v *Verdict) vouched() bool {
	for _, j := range v.judgements {
		if j.refusal == nil {
			return true
		}
	}
	return false
}

// verify judges without remembering.
func verify(encoded string, trust *Trust, now time.Time) *Verdict {
	certificate, leaf, err := parse(encoded)
	if err != nil {
		return &Verdict{refusal: &Refusal{reason.CertificateMalformed, "the certificate is malformed: " + err.Error()}}
	}
	verdict := &Verdict{Certificate: certificate}
	verdict.decide(leaf, trust, now)
	if !verdict.vouched() {
		verdict.Certificate = certificate.stranger()
	}
	return verdict
}

// decide fills in the refusal or the judgements.
func (v *Verdict) decide(leaf *x509.Certificate, trust *Trust, now time.Time) {
	switch err := ca.CheckStrength(leaf); {
	case leaf.IsCA:
		v.refusal = &Refusal{reason.CertificateIsCA, "the certificate is a certificate authority's"}
	case err != nil:
		v.refusal = &Refusal{reason.CertificateWeakKey, "the certificate is too weak: " + err.Error()}
	case now.IsZero(): // crypto/x509 would take the system's time for it
		v.refusal = &Refusal{reason.Internal, "there is no time to verify by"}
	}
	if v.refusal != nil {
		return
	}
	for _, t := range trust.truststores {
		v.judgements = append(v.judgements, judgement{t.name, v.judge(leaf, t, now)})
	}
}

// judge returns nil if the truststore vouches for the leaf now, and notes when that may change.
func (v *Verdict) judge(leaf *x509.Certificate, t truststore, now time.Time) *Refusal {
	if t.missing {
		return &Refusal{reason.TruststoreMissing, fmt.Sprintf("the truststore %q has never been good", t.name)}
	}
	refusal := &Refusal{reason.CertificateUntrusted,
		fmt.Sprintf("no authority of the truststore %q issued the certificate (%s)", t.name, v.Certificate.shownSubject())}
	for _, a := range t.anchors[string(leaf.RawIssuer)] {
		v.boundedBy(leaf.NotBefore, leaf.NotAfter, now)
		v.boundedBy(a.certificate.NotBefore, a.certificate.NotAfter, now)
		found := v.judgeBy(leaf, a, now)
		if found == nil {
			// Further anchors of the same name may matter at another time, and then the verdict is another.
			refusal = nil
			continue
		}
		if refusal != nil && telling(found.Reason) > telling(refusal.Reason) {
			refusal = found
		}
	}
	return refusal
}

// judgeBy returns nil if the anchor issued the leaf and both are valid now.
func (v *Verdict) judgeBy(leaf *x509.Certificate, a anchor, now time.Time) *Refusal {
	untrusted := func(why string) *Refusal {
		return &Refusal{reason.CertificateUntrusted, fmt.Sprintf("the certificate (%s) is not trusted: %s", v.Certificate.shownSubject(), why)}
	}
	_, err := leaf.Verify(x509.VerifyOptions{Roots: a.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		// Dates come before signatures in crypto/x509: a stranger's certificate that has also expired is a stranger's.
		if leaf.CheckSignatureFrom(a.certificate) != nil {
			return untrusted("its issuer's name is that of an authority that did not sign it")
		}
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return v.outOfTime(now, untrusted)
		}
		return untrusted("the chain does not verify: " + verifyFault(err))
	}
	switch {
	case !a.forClients:
		return untrusted("its authority may not issue certificates for clients")
	case !forClients(leaf):
		return &Refusal{reason.CertificateUsage, fmt.Sprintf("the certificate (%s) is not for clients: its extended key usage lacks clientAuth", v.Certificate.shownSubject())}
	}
	return nil
}

// outOfTime tells whose validity has ended, or has not begun.
func (v *Verdict) outOfTime(now time.Time, untrusted func(string) *Refusal) *Refusal {
	c := v.Certificate
	switch {
	case now.After(c.NotAfter):
		return &Refusal{reason.CertificateExpired, fmt.Sprintf("the certificate (%s) expired at %s", c.shownSubject(), c.NotAfter.UTC().Format(time.RFC3339))}
	case now.Before(c.NotBefore):
		return &Refusal{reason.CertificateNotYetValid, fmt.Sprintf("the certificate (%s) is valid from %s on", c.shownSubject(), c.NotBefore.UTC().Format(time.RFC3339))}
	}
	return untrusted("its authority is not valid now")
}

// verifyFault names what crypto/x509 found, without the caller's names that its errors quote.
func verifyFault(err error) string {
	var invalid x509.CertificateInvalidError
	var critical x509.UnhandledCriticalExtension
	switch {
	case errors.As(err, &critical):
		return "a critical extension is not understood"
	case errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName:
		return "the authority is not allowed to issue for this name"
	}
	return "a constraint of the authority is not met"
}
