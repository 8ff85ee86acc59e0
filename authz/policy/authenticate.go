package policy

import (
	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// credentials are what came of one method.
type credentials struct {
	state credentialState
	// vouchers are the truststores that vouch for the certificate; empty unless a method identified the caller by it.
	vouchers []string
	// certificate is where the method stands that did.
	certificate config.Origin
	// token identified the caller; nil if none did.
	token *bearer.Token
	// bound are the truststores that vouch for the certificate to which the token is bound; empty where it is bound to none.
	bound []string
	// tokenOrigin is where the method stands that took it.
	tokenOrigin config.Origin
	// together is set where certificate and token were both demanded, and so must belong to one caller.
	together bool
	// finding is why the caller is not identified: what is wrong, of refused ones, and what is missing, of absent ones.
	finding finding
	origin  config.Origin
}

type credentialState int

const (
	// absent: nothing was presented that the method asks for.
	absent credentialState = iota
	// anonymous: the method asks for nothing.
	anonymous
	// identified: by certificate, by token, or by both.
	identified
	// refused: what was presented is bad.
	refused
)

// authenticate finds out who is calling, by the methods of a policy. A policy that has no certificate method ignores the
// certificate, unless the caller's token is bound to it. A token is never ignored: one that no method takes is refused,
// whoever else the caller may be.
func (ev *evaluation) authenticate(v *version) (caller, *finding) {
	presented := ev.presentsToken()
	if presented && !v.usesTokens() {
		return caller{}, &finding{StepCredentials, reason.CredentialsNotAccepted,
			"the request has an Authorization header, and the policy names no provider who could vouch for it", v.origin}
	}
	if !v.usesCertificates && !v.usesTokens() {
		return caller{}, nil
	}
	found := ev.try(&v.method)
	switch found.state {
	case identified, anonymous:
		if presented && found.token == nil {
			if bad := ev.badToken(v); bad != nil {
				return caller{}, bad
			}
		}
		return ev.callerOf(v, found), nil
	default:
		return caller{}, &found.finding
	}
}

// callerOf notes who was identified.
func (ev *evaluation) callerOf(v *version, found credentials) caller {
	c := caller{vouchers: found.vouchers, certified: len(found.vouchers) > 0, token: found.token, bound: found.bound, together: found.together}
	if c.certified {
		ev.note(StepCertificate, Passed, ev.trusted(found.vouchers[0]), found.certificate)
	} else if v.usesCertificates {
		ev.note(StepCertificate, Absent, ev.uncertified(), found.origin)
	}
	if c.token != nil {
		ev.Token = c.token
		if len(c.vouchers) == 0 {
			c.vouchers = found.bound // the certificate to which it is bound is known, too
		}
		ev.note(StepToken, Passed, describe(c.token), found.tokenOrigin)
	} else if v.usesTokens() {
		ev.note(StepToken, Absent, "no token was presented", found.origin)
	}
	if len(c.vouchers) > 0 {
		ev.Truststore = c.vouchers[0]
	}
	return c
}

func (ev *evaluation) uncertified() string {
	if ev.Request.Certificate == "" {
		return "no certificate was presented"
	}
	return "the certificate identifies nobody"
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

func (ev *evaluation) try(m *method) credentials {
	switch {
	case len(m.truststores) > 0:
		return ev.tryCertificate(m)
	case len(m.providers) > 0:
		return ev.tryToken(m)
	case m.anonymous:
		return credentials{state: anonymous, origin: m.origin}
	case len(m.anyOf) > 0:
		return ev.tryAny(m)
	case len(m.allOf) > 0:
		return ev.tryAll(m)
	}
	return credentials{state: absent, origin: m.origin, finding: finding{StepCredentials, reason.NotAuthorized, "the policy names no way to authenticate", m.origin}}
}

// tryAny takes the first method that identifies the caller, and what others of them add: a caller that has shown both a good
// certificate and a good token has both. If none does, what was presented and refused by one is never passed over in favour of
// being anonymous, whatever the order.
func (ev *evaluation) tryAny(m *method) credentials {
	best := credentials{state: absent, origin: m.origin}
	for i := range m.anyOf {
		found := ev.try(&m.anyOf[i])
		switch {
		case found.state == identified && best.state == identified:
			best.add(found)
		case found.state == identified:
			best = found
		case best.state == identified:
		case found.state == refused && (best.state != refused || moreTelling(found.finding.reason, best.finding.reason)):
			best = found
		case found.state == anonymous && best.state == absent:
			best = found
		case found.state == absent && best.state == absent && (best.finding.reason == "" || found.finding.reason == reason.TokenMissing):
			best = found
		}
	}
	return best
}

// add takes over what another method has found that this one has not.
func (c *credentials) add(other credentials) {
	if len(c.vouchers) == 0 {
		c.vouchers, c.certificate = other.vouchers, other.certificate
	}
	if c.token == nil {
		c.token, c.bound, c.tokenOrigin = other.token, other.bound, other.tokenOrigin
	}
	c.together = c.together || other.together
}

// tryAll wants every method. Truststores of several certificate methods must all vouch for the one certificate, and every
// method for tokens must take the one token.
func (ev *evaluation) tryAll(m *method) credentials {
	all := credentials{state: anonymous, origin: m.origin}
	for i := range m.allOf {
		found := ev.try(&m.allOf[i])
		switch found.state {
		case absent, refused:
			return found
		case identified:
			all.state = identified
			all.vouchers = append(all.vouchers, found.vouchers...)
			all.certificate = firstOrigin(all.certificate, found.certificate)
			if found.token != nil {
				all.token, all.tokenOrigin = found.token, firstOrigin(all.tokenOrigin, found.tokenOrigin)
				all.bound = found.bound
			}
			all.together = all.together || found.together
		}
	}
	all.together = all.together || len(all.vouchers) > 0 && all.token != nil
	return all
}

func firstOrigin(found, next config.Origin) config.Origin {
	if found != (config.Origin{}) {
		return found
	}
	return next
}

// tryCertificate wants one of the method's truststores, which must be the TLS entry's as well, to vouch for the
// certificate.
func (ev *evaluation) tryCertificate(m *method) credentials {
	if ev.Request.Certificate == "" {
		return credentials{state: absent, origin: m.origin,
			finding: finding{StepCertificate, reason.CertificateMissing, "no client certificate was presented", m.origin}}
	}
	vouchers, refusal := ev.judgeCertificate().Vouchers(m.truststores)
	if refusal != nil {
		return credentials{state: refused, origin: m.origin, finding: finding{StepCertificate, refusal.Reason, refusal.Detail, m.origin}}
	}
	return credentials{state: identified, vouchers: vouchers, origin: m.origin, certificate: m.origin}
}

// judgeCertificate asks all truststores of the TLS entry, once. There must be a certificate.
func (ev *evaluation) judgeCertificate() *identity.Verdict {
	if ev.verdict == nil {
		ev.verdict = ev.verify()
		ev.Certificate = ev.verdict.Certificate
	}
	return ev.verdict
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

func quote(name string) string { return `"` + name + `"` }
