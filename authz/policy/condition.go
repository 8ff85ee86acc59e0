package policy

import (
	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config/expression"
)

// meets asks the condition of a rule whose form describes the caller. Where the rule has none, or it holds, both results are
// empty. Where it does not hold the finding says why; a condition that cannot be evaluated is not one that holds. Where it
// depends on what is not known of a hypothetical caller, left is what is left of it.
func (ev *evaluation) meets(r *rule, c caller) (failed *finding, left string) {
	if r.when == nil {
		return nil, ""
	}
	facts, err := ev.facts(c), error(nil)
	if r.when.ReadsPath() {
		facts.Path, err = ev.captures(r, c)
	}
	if err != nil {
		return ev.faulty(r, err.Error()), ""
	}
	if ev.hypothesis != nil {
		return ev.meetsPerhaps(r, facts)
	}
	switch holds, err := r.when.Holds(facts); {
	case err != nil:
		return ev.faulty(r, err.Error()), ""
	case !holds:
		return ev.unmet(r), ""
	}
	return nil, ""
}

func (ev *evaluation) meetsPerhaps(r *rule, facts *expression.Facts) (failed *finding, left string) {
	switch outcome, text := r.when.Residual(facts, ev.hypothesis.unknown(facts)...); outcome {
	case expression.Holds:
		return nil, ""
	case expression.Depends:
		return nil, text
	case expression.Errs:
		return ev.faulty(r, text), ""
	}
	return ev.unmet(r), ""
}

func (ev *evaluation) unmet(r *rule) *finding {
	return &finding{StepAuthorize, reason.ConditionNotMet,
		"the rule " + quote(r.name) + " would let the caller in, but its condition does not hold: " + r.when.String(), r.whenOrigin}
}

func (ev *evaluation) faulty(r *rule, why string) *finding {
	return &finding{StepAuthorize, reason.ConditionError,
		"the rule " + quote(r.name) + " would let the caller in, but its condition cannot be evaluated: " + why, r.whenOrigin}
}

// facts are what an expression sees of the request and its caller, but for the path's captures.
func (ev *evaluation) facts(c caller) *expression.Facts {
	r := ev.Request
	f := &expression.Facts{Request: expression.Request{
		Method: r.Method, Host: r.Host, Path: r.Path, Gateway: r.Gateway, Route: r.Route, Time: ev.now,
	}}
	if c.identified() {
		f.Subject = ev.Subject()
	}
	if len(c.vouchers) > 0 {
		f.Certificate = certificateFacts(ev.Certificate)
	}
	if c.token != nil {
		f.Token = tokenFacts(c.token)
	}
	if c.consumer != nil {
		f.Consumer = c.consumer.Facts
	}
	return f
}

func certificateFacts(c *identity.Certificate) *expression.Certificate {
	return &expression.Certificate{
		SubjectDN: c.Subject, IssuerDN: c.Issuer, CommonName: c.CommonName, Serial: c.Serial, SHA256: c.SHA256, SPKISHA256: c.SPKISHA256,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, URIs: c.URIs, DNSNames: c.DNSNames,
	}
}

func tokenFacts(t *bearer.Token) *expression.Token {
	return &expression.Token{
		Provider: t.Provider.Name, Issuer: t.Issuer, Subject: t.Subject, ClientID: t.ClientID, Audiences: t.Audiences,
		Roles: t.Roles, Scopes: t.Scopes, IssuedAt: t.IssuedAt, Expires: t.Expires, Claims: t.Claims,
	}
}
