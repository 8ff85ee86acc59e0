package policy

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// credentials are what came of one method.
type credentials struct {
	state    credentialState
	vouchers []string          // of identified ones
	refusal  *identity.Refusal // of refused ones
	origin   config.Origin
}

type credentialState int

const (
	// absent: nothing was presented that the method asks for.
	absent credentialState = iota
	// anonymous: the method asks for nothing.
	anonymous
	// identified: by certificate.
	identified
	// refused: what was presented is bad.
	refused
)

// authenticate finds out who is calling, by the methods of a policy. A policy that has no certificate method ignores the
// certificate.
func (ev *evaluation) authenticate(v *version) (caller, *finding) {
	if !v.usesCertificates {
		return caller{}, nil
	}
	found := ev.try(v.method)
	switch found.state {
	case identified:
		ev.Truststore = found.vouchers[0]
		ev.note(StepCertificate, Passed, ev.trusted(found.vouchers[0]), found.origin)
		return caller{vouchers: found.vouchers}, nil
	case anonymous:
		ev.note(StepCertificate, Absent, "no certificate was presented", found.origin)
		return caller{}, nil
	case refused:
		return caller{}, &finding{StepCertificate, found.refusal.Reason, found.refusal.Detail, found.origin}
	default:
		return caller{}, &finding{StepCertificate, reason.CertificateMissing, "no client certificate was presented", found.origin}
	}
}

// trusted names the certificate, and says what people should know although the truststore vouches for it.
func (ev *evaluation) trusted(voucher string) string {
	name := "presumed, of the truststore " + quote(voucher)
	if ev.hypothesis == nil {
		name = ev.Certificate.Name()
	}
	if note := ev.verdict.Note(voucher); note != "" {
		return name + "; " + note
	}
	return name
}

func (ev *evaluation) try(m method) credentials {
	switch {
	case len(m.truststores) > 0:
		return ev.tryCertificate(m)
	case m.anonymous:
		return credentials{state: anonymous, origin: m.origin}
	case len(m.anyOf) > 0:
		return ev.tryAny(m)
	case len(m.allOf) > 0:
		return ev.tryAll(m)
	}
	return credentials{state: absent, origin: m.origin}
}

// tryAny takes the first method that identifies the caller. If none does, what was presented and refused by one is never
// passed over in favour of being anonymous, whatever the order.
func (ev *evaluation) tryAny(m method) credentials {
	best := credentials{state: absent, origin: m.origin}
	for _, one := range m.anyOf {
		switch found := ev.try(one); found.state {
		case identified:
			return found
		case refused:
			if best.state != refused {
				best = found
			}
		case anonymous:
			if best.state == absent {
				best = found
			}
		}
	}
	return best
}

// tryAll wants every method. Truststores of several certificate methods must all vouch for the one certificate.
func (ev *evaluation) tryAll(m method) credentials {
	all := credentials{state: anonymous, origin: m.origin}
	for _, one := range m.allOf {
		found := ev.try(one)
		switch found.state {
		case absent, refused:
			return found
		case identified:
			all.state = identified
			all.vouchers = append(all.vouchers, found.vouchers...)
		}
	}
	return all
}

// tryCertificate wants one of the method's truststores, which must be the TLS entry's as well, to vouch for the
// certificate.
func (ev *evaluation) tryCertificate(m method) credentials {
	if ev.Request.Certificate == "" {
		return credentials{state: absent, origin: m.origin}
	}
	if ev.verdict == nil {
		ev.verdict = ev.verify()
		ev.Certificate = ev.verdict.Certificate
	}
	vouchers, refusal := ev.verdict.Vouchers(m.truststores)
	if refusal != nil {
		return credentials{state: refused, refusal: refusal, origin: m.origin}
	}
	return credentials{state: identified, vouchers: vouchers, origin: m.origin}
}

// verify judges the certificate.
func (ev *evaluation) verify() *identity.Verdict {
	if ev.hypothesis != nil {
		return ev.hypothesis.Presumed.Verdict(ev.trust, ev.now)
	}
	presented := identity.Presented{Certificate: ev.Request.Certificate}
	if ev.trust.TakesChain() {
		presented.Chain = ev.Request.CertificateChain()
	}
	return ev.engine.verifier.Verify(presented, ev.trust, ev.now)
}

// admit finds the consumer whose certificate it is, and refuses one that may do nothing at all. A certificate that is
// nobody's is no reason to refuse yet: a rule may let everyone in.
func (ev *evaluation) admit(c *caller) *finding {
	if !c.identified() {
		return nil
	}
	match, other := ev.engine.consumers.Find(ev.Certificate, c.vouchers)
	switch {
	case match == nil:
		ev.note(StepConsumer, Absent, "no consumer has this certificate", config.Origin{})
		return nil
	case other != nil:
		return &finding{StepConsumer, reason.ConsumerAmbiguous,
			"the certificate is claimed by the consumers " + quote(match.Consumer.Name) + " and " + quote(other.Consumer.Name), match.Origin}
	}
	consumer := match.Consumer
	ev.Consumer, c.consumer = consumer.Name, consumer
	switch {
	case consumer.Suspended:
		return &finding{StepConsumer, reason.ConsumerSuspended, "the consumer " + quote(consumer.Name) + " is suspended", consumer.SuspendedOrigin}
	case !consumer.ValidFrom.IsZero() && ev.now.Before(consumer.ValidFrom):
		return &finding{StepConsumer, reason.ConsumerNotYetValid,
			"the consumer " + quote(consumer.Name) + " is admitted from " + consumer.ValidFrom.UTC().Format(time.RFC3339) + " on", consumer.Origin}
	case !consumer.ValidUntil.IsZero() && !ev.now.Before(consumer.ValidUntil):
		return &finding{StepConsumer, reason.ConsumerExpired,
			"the consumer " + quote(consumer.Name) + " was admitted until " + consumer.ValidUntil.UTC().Format(time.RFC3339), consumer.Origin}
	}
	ev.note(StepConsumer, Passed, consumer.Name, match.Origin)
	return nil
}

func quote(name string) string { return `"` + name + `"` }
