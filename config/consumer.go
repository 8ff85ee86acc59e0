package config

import (
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/config/expression"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// DefaultRateWindow is the time in which a Consumer may make its requests, unless its rate_limit says otherwise.
const DefaultRateWindow = time.Second

func (b *builder) consumer(d *document.Document, m *sallyportv1.Consumer) {
	spec := m.GetSpec()
	c := &Consumer{
		Header: header(d, m.GetMetadata()), Contact: spec.GetContact(),
		Suspended: spec.GetSuspended(), SuspendedOrigin: origin(d, "spec.suspended"),
		ValidFrom: timeOf(spec.GetValidFrom()), ValidUntil: timeOf(spec.GetValidUntil()),
		RateLimit: rateLimit(d, spec.GetRateLimit()),
	}
	if !c.ValidFrom.IsZero() && !c.ValidUntil.IsZero() && !c.ValidFrom.Before(c.ValidUntil) {
		b.fail(d, "spec.valid_until", "is not after valid_from")
	}
	c.Roles = lookupAll(b, b.model.roles, d, "spec.roles", "Role", spec.GetRoles())
	for i, match := range spec.GetCertificates() {
		at := fmt.Sprintf("spec.certificates[%d]", i)
		truststore, _ := lookup(b, b.model.truststores, d, at+".truststore", "Truststore", match.GetTruststore())
		c.Certificates = append(c.Certificates, &CertificateMatch{
			Consumer: c, Origin: origin(d, at), Truststore: truststore,
			SubjectCommonName: match.GetSubjectCommonName(), SubjectDN: match.GetSubjectDn(),
			SANURI: match.GetSanUri(), SANDNS: match.GetSanDns(),
			SPKISHA256: match.GetSpkiSha256(), CertificateSHA256: match.GetCertificateSha256(),
			IssuerDN: match.GetIssuerDn(), Serial: match.GetSerial(),
			Patterns: b.patterns(d, match, at),
		})
	}
	for i, match := range spec.GetTokens() {
		at := fmt.Sprintf("spec.tokens[%d]", i)
		provider, found := lookup(b, b.model.providers, d, at+".provider", "Provider", match.GetProvider())
		if found && provider.Mint != nil {
			b.fail(d, at+".provider", "the Provider %q (%s) is ourselves: its tokens name the Consumer", provider.Name, provider.Origin)
		}
		c.Tokens = append(c.Tokens, &TokenMatch{
			Consumer: c, Origin: origin(d, at), Provider: provider, ClientID: match.GetClientId(), Subject: match.GetSubject(),
		})
	}
	c.Facts = b.facts(d, c, spec.GetAttributes())
	b.model.consumers[d.Name] = c
}

// facts are what expressions see of a consumer.
func (b *builder) facts(d *document.Document, c *Consumer, attributes map[string]*sallyportv1.AttributeValues) *expression.Consumer {
	values := make(map[string][]string, len(attributes))
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		values[name] = attributes[name].GetValues()
		at := fmt.Sprintf("spec.attributes[%q]", name)
		if len(values[name]) > expression.MaxValues {
			b.fail(d, at, "has %d values; at most %d are accepted", len(values[name]), expression.MaxValues)
		}
		for _, value := range values[name] {
			if len(value) > expression.MaxValueLength {
				b.fail(d, at, "has a value of %d bytes; at most %d are accepted", len(value), expression.MaxValueLength)
				break
			}
		}
	}
	roles := make([]string, len(c.Roles))
	for i, role := range c.Roles {
		roles[i] = role.Name
	}
	return expression.NewConsumer(c.Name, roles, values, c.Labels)
}

// rateLimit completes a rate limit; nil where there is none.
func rateLimit(d *document.Document, m *sallyportv1.RateLimit) *RateLimit {
	if m == nil {
		return nil
	}
	limit := &RateLimit{Requests: int(m.GetRequests()), Per: DefaultRateWindow, Burst: int(m.GetBurst()), Origin: origin(d, "spec.rate_limit")}
	if m.GetPer() != nil {
		limit.Per = m.GetPer().AsDuration()
	}
	if limit.Burst == 0 {
		limit.Burst = limit.Requests
	}
	return limit
}

// patterns compiles the patterns of a match.
func (b *builder) patterns(d *document.Document, m *sallyportv1.CertificateMatch, at string) CertificatePatterns {
	var compiled CertificatePatterns
	written := m.GetPatterns()
	if written == nil {
		return compiled
	}
	given := false
	for _, one := range []struct {
		name, text, exact string
		pattern           *Pattern
	}{
		{"subject_common_name", written.GetSubjectCommonName(), m.GetSubjectCommonName(), &compiled.SubjectCommonName},
		{"subject_dn", written.GetSubjectDn(), m.GetSubjectDn(), &compiled.SubjectDN},
		{"san_uri", written.GetSanUri(), m.GetSanUri(), &compiled.SANURI},
		{"san_dns", written.GetSanDns(), m.GetSanDns(), &compiled.SANDNS},
	} {
		where := at + ".patterns." + one.name
		if one.text == "" {
			continue
		}
		given = true
		if one.exact != "" {
			b.fail(d, where, "stands beside the exact %s %q: give one of the two", one.name, one.exact)
			continue
		}
		var err error
		if *one.pattern, err = ParsePattern(one.text); err != nil {
			b.fail(d, where, "%v", err)
		}
	}
	if !given {
		b.fail(d, at+".patterns", "is empty: give at least one of subject_common_name, subject_dn, san_uri, san_dns")
	}
	return compiled
}

// ParsePattern compiles a regular expression (RE2) that a whole name must match. The error says what is wrong with it.
func ParsePattern(text string) (Pattern, error) {
	// By itself first: `a)|(?:b` would only be one between brackets, and would match less than the whole.
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return Pattern{}, fmt.Errorf("%q is no regular expression (RE2): %s", text, strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	whole, err := regexp.Compile(`\A(?:` + text + `)\z`)
	if err != nil {
		return Pattern{}, fmt.Errorf("%q cannot be matched as a whole: %w", text, err)
	}
	return Pattern{Text: text, whole: whole}, nil
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}
