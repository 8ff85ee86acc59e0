package policy

import (
	"slices"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// TokenJudge judges what stands in the request's Authorization header, by the Providers named and for the audiences given,
// or for all of the Providers' where none is. It is asked only about a request that has such a header, once for the same
// Providers and audiences, and may take its time: it ends when the request's context does. A nil one judges nothing, so that
// every token is refused.
type TokenJudge func(providers, audiences []string) *bearer.Verdict

// judged is a verdict on the token for one method's providers and audiences.
type judged struct {
	key     string
	verdict *bearer.Verdict
}

// presentsToken tells whether the caller has sent something that may be a token. One that stands in the query or the body is
// none.
func (ev *evaluation) presentsToken() bool {
	if ev.hypothesis != nil && ev.hypothesis.Token != nil {
		return true
	}
	_, presented := ev.Request.Header("authorization")
	return presented
}

// tryToken wants one of the method's providers to have issued the token, and the caller to be the one that it is bound to.
func (ev *evaluation) tryToken(m *method) credentials {
	if !ev.presentsToken() {
		return credentials{state: absent, origin: m.origin, finding: finding{StepToken, reason.TokenMissing, "no token was presented", m.origin}}
	}
	verdict := ev.judgeToken(m)
	if refusal := verdict.Refusal; refusal != nil {
		return credentials{state: refused, origin: m.origin, finding: finding{StepToken, refusal.Reason, refusal.Detail, m.origin}}
	}
	bound, refusal := ev.judgeBinding(verdict.Token, m)
	if refusal != nil {
		return credentials{state: refused, origin: m.origin, finding: finding{StepToken, refusal.Reason, refusal.Detail, m.origin}}
	}
	return credentials{state: identified, token: verdict.Token, bound: bound, origin: m.origin, tokenOrigin: m.origin}
}

// judgeToken asks about the token, once for each choice of providers and audiences.
func (ev *evaluation) judgeToken(m *method) *bearer.Verdict {
	for _, known := range ev.tokens {
		if known.key == m.tokenKey {
			return known.verdict
		}
	}
	verdict := ev.askAboutToken(m)
	ev.tokens = append(ev.tokens, judged{m.tokenKey, verdict})
	return verdict
}

// askAboutToken never returns a verdict that says nothing, or both.
func (ev *evaluation) askAboutToken(m *method) *bearer.Verdict {
	if ev.hypothesis != nil && ev.hypothesis.Token != nil {
		return bearer.Presume(ev.hypothesis.Token, m.providers, m.audiences)
	}
	unjudged := &bearer.Verdict{Refusal: &bearer.Refusal{Reason: reason.ProviderUnavailable, Detail: "there is nobody here who could judge a token"}}
	if ev.judgeBearer == nil {
		return unjudged
	}
	verdict := ev.judgeBearer(m.providers, m.audiences)
	switch {
	case verdict == nil || verdict.Token == nil && verdict.Refusal == nil:
		return unjudged
	case verdict.Token != nil && (verdict.Refusal != nil || verdict.Token.Provider == nil):
		return unjudged
	}
	return verdict
}

// badToken says why the token is refused where no method of the version takes it; it is nil where some method does.
func (ev *evaluation) badToken(v *version) *finding {
	var worst *finding
	for _, m := range v.tokenMethods {
		found := ev.tryToken(m)
		if found.state == identified {
			return nil
		}
		if worst == nil || moreTelling(found.finding.reason, worst.reason) {
			worst = &found.finding
		}
	}
	return worst
}

// moreTelling tells whether one reason for which something is refused says more than another: that a token is not one of a
// provider's own, or not for an audience, says less than what the provider that issued it says.
func moreTelling(one, than reason.Reason) bool { return telling(one) > telling(than) }

func telling(r reason.Reason) int {
	switch r {
	case reason.TokenIssuer:
		return 0
	case reason.TokenAudience:
		return 1
	}
	return 2
}

// judgeBinding judges whether the token counts on this connection (RFC 8705, section 3). One that is bound to a certificate, or
// to a name in one, counts where the connection has that, and where a truststore vouches for it: also under a policy that has no
// certificate method. It returns those that do. Tokens of our own are always bound.
func (ev *evaluation) judgeBinding(t *bearer.Token, m *method) (vouchers []string, refusal *identity.Refusal) {
	refuse := func(detail string) ([]string, *identity.Refusal) {
		return nil, &identity.Refusal{Reason: reason.TokenBinding, Detail: detail}
	}
	if t.BoundSHA256 == "" && t.BoundURI == "" {
		if t.Provider.Mint != nil && !ev.presumesToken() {
			return refuse("a token of our own must be bound to a certificate, and this one is not")
		}
		return nil, nil
	}
	if ev.Request.Certificate == "" {
		return refuse("the token is bound to a client certificate, and none was presented")
	}
	asked, certain := ev.presenters(t, m)
	if !certain {
		return refuse("the token is bound to a name in a certificate, and the TLS entry has several truststores, of which the policy names none for that")
	}
	verdict := ev.judgeCertificate()
	vouchers, refusal = verdict.Vouchers(asked)
	switch {
	case refusal != nil && refusal.Reason.OurFault():
		return nil, refusal
	case refusal != nil:
		return refuse("the token is bound to a client certificate, and the one presented is not good: " + refusal.Detail)
	case t.BoundSHA256 != "" && t.BoundSHA256 != verdict.Certificate.SHA256:
		return refuse("the token is bound to another certificate than the one presented")
	case t.BoundURI != "" && !slices.Contains(verdict.Certificate.URIs, t.BoundURI):
		return refuse("the token is bound to a name that the presented certificate does not have")
	}
	return vouchers, nil
}

// presenters are the truststores of which one must vouch for the certificate that a token is bound to. A certificate itself is the
// same under each of the TLS entry's. A name is not: another authority may give it to anybody, so that it counts under those alone
// that the method names, or under the entry's only one.
func (ev *evaluation) presenters(t *bearer.Token, m *method) (truststores []string, certain bool) {
	switch entry := ev.trust.Names(); {
	case t.BoundURI == "":
		return entry, true
	case len(m.presenters) > 0:
		return m.presenters, true
	default:
		return entry, len(entry) <= 1
	}
}

func (ev *evaluation) presumesToken() bool { return ev.hypothesis != nil && ev.hypothesis.Token != nil }

// maxShown is how much of a subject stands in a trace, in bytes.
const maxShown = 256

// describe says whose the token is, for people.
func describe(t *bearer.Token) string {
	who := t.Subject
	if who == "" {
		who = t.ClientID
	}
	switch {
	case who == "": // of a presumed one it need not be known
		return quote(t.Provider.Name) + " issued it"
	case len(who) > maxShown:
		who = who[:maxShown] + "..."
	}
	return quote(t.Provider.Name) + " issued it to " + who
}
