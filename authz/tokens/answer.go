package tokens

import (
	"net/http"
	"time"

	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// Answer is what an issuer of our own answers. It may hold a token: print its String, never its Body.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Headers have names in lower case.
	Headers []mint.Header
	// Body is JSON.
	Body []byte
	// Told says what is answered, in words for records.
	Told string
	// Issued is set if there is a token in it.
	Issued bool
}

// String tells what is answered, without a token.
func (a Answer) String() string { return a.Told }

// GoString keeps a token out of %#v.
func (a Answer) GoString() string { return "tokens.Answer{" + a.Told + "}" }

// document answers with what everybody may read, and keep for a time that is short beside that for which keys are published before
// they sign.
func document(contentType string, body []byte, told string) Answer {
	return Answer{
		Status: http.StatusOK, Body: body, Told: told,
		Headers: []mint.Header{{Name: "content-type", Value: contentType}, {Name: "cache-control", Value: "public, max-age=300"}},
	}
}

// Answers tells whether an answer is one of ours.
func Answers(answer string) bool {
	switch answer {
	case checkcontext.AnswerToken, checkcontext.AnswerKeySet, checkcontext.AnswerIssuerMetadata:
		return true
	}
	return false
}

// Answer answers an admitted request to a rule of an issuer of our own. Where the rule is another one by now, or the issuer has no
// keys, there is a denial instead. A token is given to the Consumer that the decision has found by its certificate, and to nobody
// else.
func (t *Tokens) Answer(d *policy.Decision, now time.Time) (Answer, *policy.Denial) {
	applied, at := t.applied.Load(), d.Request.Context
	rule := applied.rule(at)
	if !d.Allowed || rule == nil || rule.Issuer == nil || rule.Answer != at.Answer || rule.Issuer.Name != at.Provider {
		return Answer{}, &policy.Denial{Reason: reason.RuleRemoved, Detail: "the rule answers something else by now"}
	}
	issuer := applied.issuers[rule.Issuer.Name]
	if issuer == nil {
		return Answer{}, &policy.Denial{
			Reason: reason.TokenUnavailable, Detail: "the Provider " + quote(rule.Issuer.Name) + " has no signing keys", Origin: rule.Issuer.Origin,
		}
	}
	switch at.Answer {
	case checkcontext.AnswerKeySet:
		return document("application/jwk-set+json", issuer.KeySet(), "the key set of the Provider "+quote(rule.Issuer.Name)), nil // RFC 7517, section 8.5
	case checkcontext.AnswerIssuerMetadata:
		body := issuer.Metadata(addressesOf(applied.model, rule.Issuer))
		return document("application/json", body, "the metadata of the Provider "+quote(rule.Issuer.Name)), nil // RFC 8414, section 3.2
	case checkcontext.AnswerToken:
		return t.grant(issuer, d, now), nil
	default:
		return Answer{}, &policy.Denial{Reason: reason.RuleRemoved, Detail: "the rule's answer is not known"}
	}
}

// grant asks the issuer for a token. A certificate counts where a truststore vouches for it.
func (t *Tokens) grant(issuer *mint.Issuer, d *policy.Decision, now time.Time) Answer {
	r := d.Request
	asked := mint.GrantRequest{Method: r.Method, Body: []byte(r.Body)}
	asked.ContentType, _ = r.Header("content-type")
	_, asked.Authorization = r.Header("authorization")
	if c := d.Certificate; c != nil && d.Truststore != "" {
		asked.Consumer = t.applied.Load().model.Consumer(d.Consumer)
		asked.CertificateSHA256, asked.CertificateNotAfter = c.SHA256, c.NotAfter
	}
	got := issuer.Grant(asked, now)
	if got.Err != nil {
		t.settings.Logger.Error("the token endpoint cannot make a token", "request_id", r.ID, "consumer", d.Consumer, "error", got.Err)
	}
	return Answer{Status: got.Status, Headers: got.Headers, Body: got.Body, Told: got.String(), Issued: got.Issued()}
}

// rule is the one that a request was routed by, as it is now; nil if it is not there any more.
func (a *applied) rule(at request.Context) *config.Rule {
	if a.model == nil {
		return nil
	}
	route := a.model.Route(at.Route)
	if route == nil {
		return nil
	}
	for _, rule := range route.Rules {
		if rule.Name == at.Rule {
			return rule
		}
	}
	return nil
}

func quote(name string) string { return `"` + name + `"` }
