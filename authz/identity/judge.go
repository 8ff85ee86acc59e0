package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
)

// judging is one truststore's judgement of a leaf.
//
// Whatever an answer depends on that can change with time must be noted in the verdict, by boundedBy or changesAt, before
// the answer is used. Then it does no harm to stop at the first answer that suffices: it is the same for as long as the
// verdict holds.
type judging struct {
	*Verdict
	truststore
	leaf  *x509.Certificate
	chain []*x509.Certificate // that the caller has sent
	now   time.Time

	// note is what people should know although the certificate is accepted.
	note string
	// unregistered is set for a certificate that a register should know and does not.
	unregistered bool
}

// judge returns nil if the truststore vouches for the leaf now, and notes when that may change.
func (j *judging) judge() *Refusal {
	if j.material == nil {
		return &Refusal{reason.TruststoreMissing, fmt.Sprintf("the truststore %q has never been good", j.name)}
	}
	refusal := &Refusal{reason.CertificateUntrusted,
		fmt.Sprintf("no authority of the truststore %q issued the certificate (%s)", j.name, j.Certificate.shownSubject())}
	for _, a := range j.anchors[string(j.leaf.RawIssuer)] {
		j.boundedBy(j.leaf.NotBefore, j.leaf.NotAfter, j.now)
		j.boundedBy(a.certificate.NotBefore, a.certificate.NotAfter, j.now)
		found := j.judgeBy(a)
		if found == nil {
			found = j.judgePath([]*x509.Certificate{j.leaf, a.certificate})
		}
		if found == nil {
			return nil
		}
		refusal = moreTelling(refusal, found)
	}
	if j.pool != nil && len(j.chain) > 0 {
		found := j.judgeChain()
		if found == nil {
			return nil
		}
		refusal = moreTelling(refusal, found)
	}
	return refusal
}

// moreTelling is the one of two refusals that says more; the first, if they say as much.
func moreTelling(first, second *Refusal) *Refusal {
	if telling(second.Reason) > telling(first.Reason) {
		return second
	}
	return first
}

func (j *judging) untrusted(why string) *Refusal {
	return &Refusal{reason.CertificateUntrusted, fmt.Sprintf("the certificate (%s) is not trusted: %s", j.Certificate.shownSubject(), why)}
}

// judgeBy returns nil if the anchor issued the leaf and both are valid now.
func (j *judging) judgeBy(a anchor) *Refusal {
	_, err := j.leaf.Verify(x509.VerifyOptions{Roots: a.pool, CurrentTime: j.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		// Dates come before signatures in crypto/x509: a stranger's certificate that has also expired is a stranger's.
		if j.leaf.CheckSignatureFrom(a.certificate) != nil {
			return j.untrusted("its issuer's name is that of an authority that did not sign it")
		}
		var invalid x509.CertificateInvalidError
		if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
			return j.outOfTime()
		}
		return j.untrusted("the chain does not verify: " + verifyFault(err))
	}
	if !a.forClients {
		return j.untrusted("its authority may not issue certificates for clients")
	}
	return j.usage()
}

func (j *judging) usage() *Refusal {
	if forClients(j.leaf) {
		return nil
	}
	return &Refusal{reason.CertificateUsage, fmt.Sprintf("the certificate (%s) is not for clients: its extended key usage lacks clientAuth", j.Certificate.shownSubject())}
}

// outOfTime tells whose validity has ended, or has not begun.
func (j *judging) outOfTime() *Refusal {
	c := j.Certificate
	switch {
	case j.now.After(c.NotAfter):
		return &Refusal{reason.CertificateExpired, fmt.Sprintf("the certificate (%s) expired at %s", c.shownSubject(), shownTime(c.NotAfter))}
	case j.now.Before(c.NotBefore):
		return &Refusal{reason.CertificateNotYetValid, fmt.Sprintf("the certificate (%s) is valid from %s on", c.shownSubject(), shownTime(c.NotBefore))}
	}
	return j.untrusted("its authority is not valid now")
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

// shownTime is a moment as people are told of it.
func shownTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
