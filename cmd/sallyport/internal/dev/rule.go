package dev

import (
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// ruleForConsumer is what to call at an entry with a consumer's certificate: the first rule that lets the consumer in, or else the
// first that asks for its certificate, whose answer says more than that there is no route. It is nil for none.
func ruleForConsumer(entry *config.Entry, consumer *config.Consumer) *target {
	for _, suits := range []func(*config.Rule) bool{
		func(r *config.Rule) bool {
			return recognises(r.Policy.Authenticate, consumer) && letsIn(r.Policy, consumer)
		},
		func(r *config.Rule) bool { return recognises(r.Policy.Authenticate, consumer) },
	} {
		for _, host := range entry.VirtualHosts {
			i := slices.IndexFunc(host.Rules, func(r *config.Rule) bool { return spelled(r) && suits(r) })
			if i >= 0 && !strings.HasPrefix(host.Hostname, "*") {
				return &target{entry, host.Hostname, host.Rules[i].Match.Path, formFor(host.Rules[i])}
			}
		}
	}
	return nil
}

// spelled tells whether a request that the rule matches can be read off it: a GET, or a form that is posted.
func spelled(r *config.Rule) bool {
	method := http.MethodGet
	if formFor(r) != "" {
		method = http.MethodPost
	}
	return r.Match.Kind != config.MatchTemplate && len(r.Match.Headers) == 0 &&
		(len(r.Match.Methods) == 0 || slices.Contains(r.Match.Methods, method))
}

// formFor is the form that a rule's answer wants: a token endpoint's is that of RFC 6749, section 4.4.2. It is empty for none.
func formFor(r *config.Rule) string {
	if r.Answer == checkcontext.AnswerToken {
		return "grant_type=client_credentials"
	}
	return ""
}

// recognises tells whether a certificate of the consumer's is enough to authenticate so.
func recognises(a config.Authenticate, consumer *config.Consumer) bool {
	one := func(m config.Authenticate) bool { return recognises(m, consumer) }
	switch {
	case len(a.AnyOf) > 0:
		return slices.ContainsFunc(a.AnyOf, one)
	case len(a.AllOf) > 0:
		return !slices.ContainsFunc(a.AllOf, func(m config.Authenticate) bool { return !one(m) })
	}
	return slices.ContainsFunc(a.Certificate, func(t *config.Truststore) bool {
		return slices.ContainsFunc(consumer.Certificates, func(m *config.CertificateMatch) bool { return m.Truststore == t })
	})
}

// letsIn tells whether a policy lets the consumer in by its name or by a role, whatever it asks for. Of conditions and permissions
// that cannot be told.
func letsIn(p *config.Policy, consumer *config.Consumer) bool {
	return slices.ContainsFunc(p.Authorize, func(r *config.AuthorizeRule) bool {
		if r.Shadow || r.When != nil {
			return false
		}
		holds := func(role *config.Role) bool { return slices.Contains(consumer.Roles, role) }
		return r.Everyone || slices.Contains(r.Consumers, consumer) || slices.ContainsFunc(r.ConsumerRoles, holds)
	})
}
