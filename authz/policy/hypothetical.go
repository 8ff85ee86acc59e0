package policy

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config/expression"
)

// Hypothesis is a caller about whom somebody asks, and of whom not everything is known. No request of a proxy has one.
type Hypothesis struct {
	// Presumed is the caller's certificate; nil for a caller without one.
	Presumed *identity.Presumed
	// Token is what is presumed of the caller's token; nil for a caller of whom none is presumed. It has a Provider. What is empty is
	// not known, but for its roles and scopes, and neither are its claims and times; that it is good, and for the right audience where it
	// has none, is taken for granted.
	Token *bearer.Token
	// At is the moment.
	At time.Time
	// AnyTime leaves the moment open where a condition looks at it.
	AnyTime bool
}

// presumedCertificate stands in a request for a certificate that nobody has shown. It is no certificate, so that whoever
// parsed it would refuse it.
const presumedCertificate = "presumed"

// EvaluateAs is Evaluate for a hypothetical caller: what the request says of certificates counts for nothing, and what it says of
// tokens only where none is presumed. It goes down the same ladder.
func (e *Engine) EvaluateAs(r *request.Request, h Hypothesis, tokens TokenJudge) *Decision {
	asked := *r
	if asked.Certificate = ""; h.Presumed != nil {
		asked.Certificate = presumedCertificate
	}
	return e.evaluate(&evaluation{Decision: newDecision(&asked), engine: e, now: h.At, hypothesis: &h, judgeBearer: tokens})
}

// unknown are the facts that are not known of a hypothetical caller: what its certificate, if that counts, would say beside the
// names by which it is recognised, what its token would say beside what is presumed of it, and the moment if that is left open.
func (h *Hypothesis) unknown(among *expression.Facts) []string {
	var names []string
	if h.AnyTime {
		names = append(names, "request.time")
	}
	names = append(names, h.unknownOfToken(among)...)
	if among.Certificate == nil {
		return names
	}
	if among.Consumer == nil && among.Token == nil && among.Certificate.SubjectDN == "" {
		names = append(names, expression.NameSubject) // it names the certificate
	}
	for _, field := range h.Presumed.Unknown() {
		names = append(names, expression.NameCertificate+"."+field)
	}
	return names
}

func (h *Hypothesis) unknownOfToken(among *expression.Facts) []string {
	if among.Token == nil || h.Token == nil {
		return nil
	}
	var names []string
	for _, field := range []struct {
		name  string
		known bool
	}{
		{"claims", false}, {"issued_at", false}, {"expires", !h.Token.Expires.IsZero()}, {"issuer", h.Token.Issuer != ""},
		{"subject", h.Token.Subject != ""}, {"client_id", h.Token.ClientID != ""}, {"audiences", len(h.Token.Audiences) > 0},
	} {
		if !field.known {
			names = append(names, expression.NameToken+"."+field.name)
		}
	}
	if among.Consumer == nil && h.Token.Subject == "" {
		names = append(names, expression.NameSubject) // it names the token
	}
	return names
}
