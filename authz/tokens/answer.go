package tokens

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

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
func (v *View) Answer(d *policy.Decision, now time.Time) (mint.Answer, *policy.Denial) {
	at := d.Request.Context
	rule := v.rule(at)
	if !d.Allowed || rule == nil || rule.Issuer == nil || rule.Answer != at.Answer || rule.Issuer.Name != at.Provider {
		return mint.Answer{}, &policy.Denial{Reason: reason.RuleRemoved, Detail: "the rule answers something else by now"}
	}
	issuer := v.issuers[rule.Issuer.Name]
	if issuer == nil {
		return mint.Answer{}, &policy.Denial{
			Reason: reason.TokenUnavailable, Detail: "the Provider " + quote(rule.Issuer.Name) + " has no signing keys", Origin: rule.Issuer.Origin,
		}
	}
	switch at.Answer {
	case checkcontext.AnswerKeySet:
		return mint.Document("application/jwk-set+json", issuer.KeySet(), "the key set of the Provider "+quote(rule.Issuer.Name)), nil // RFC 7517, section 8.5
	case checkcontext.AnswerIssuerMetadata:
		body := issuer.Metadata(addressesOf(v.model, rule.Issuer))
		return mint.Document("application/json", body, "the metadata of the Provider "+quote(rule.Issuer.Name)), nil // RFC 8414, section 3.2
	case checkcontext.AnswerToken:
		return v.grant(issuer, d, now), nil
	default:
		return mint.Answer{}, &policy.Denial{Reason: reason.RuleRemoved, Detail: "the rule's answer is not known"}
	}
}

// Each consumer may ask the token endpoints for so many tokens, whatever its rate_limit is: a token lasts for minutes, and each takes a
// signature. Who asks more often is answered 429. Consumers alone get tokens, so nobody else is counted.
const (
	grantsPerSecond = 5
	grantsAtOnce    = 20
)

// grantLimits make the buckets of a Model's consumers, each with what is left of it.
func grantLimits(model *config.Model, before *limit.Buckets) *limit.Buckets {
	return limit.Uniform(model.Consumers(), config.RateLimit{Requests: grantsPerSecond, Per: time.Second, Burst: grantsAtOnce}, before)
}

// grant asks the issuer for a token. A certificate counts where a truststore vouches for it.
func (v *View) grant(issuer *mint.Issuer, d *policy.Decision, now time.Time) mint.Answer {
	r := d.Request
	asked := mint.GrantRequest{Method: r.Method, Body: []byte(r.Body)}
	asked.ContentType, _ = r.Header("content-type")
	_, asked.Authorization = r.Header("authorization")
	if c := d.Certificate; c != nil && d.Truststore != "" {
		asked.Consumer = v.model.Consumer(d.Consumer)
		asked.CertificateSHA256, asked.CertificateNotAfter = c.SHA256, c.NotAfter
	}
	if asked.Consumer != nil && !v.tokens.settings.Uncounted {
		if quota := v.grants.Take(asked.Consumer.Name, now); quota != nil && quota.Exceeded() {
			return mint.TooOften(quota.RetryAfter)
		}
	}
	answer := issuer.Grant(asked, now)
	if answer.Err != nil {
		v.tokens.settings.Logger.Error("the token endpoint cannot make a token", "request_id", r.ID, "consumer", d.Consumer, "error", answer.Err)
	}
	return answer
}

// rule is the one that a request was routed by, as it is now; nil if it is not there any more.
func (v *View) rule(at request.Context) *config.Rule {
	if v.model == nil {
		return nil
	}
	route := v.model.Route(at.Route)
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
