package config

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// UnknownAuthority is what a Test's certificate names as its authority to be issued by a CA that nobody trusts.
const UnknownAuthority = "unknown"

func (b *builder) test(d *document.Document, m *sallyportv1.Test) {
	t := &Test{Header: header(d, m.GetMetadata())}
	t.Gateway, _ = lookup(b, b.model.gateways, d, "spec.via", "Gateway", m.GetSpec().GetVia())
	names := map[string]bool{}
	for i, c := range m.GetSpec().GetCases() {
		at := fmt.Sprintf("spec.cases[%d]", i)
		if names[c.GetName()] {
			b.fail(d, at+".name", "there are two cases of this name in this test")
		}
		names[c.GetName()] = true
		b.testCase(d, c, at)
		t.Cases = append(t.Cases, &TestCase{Test: t, Origin: origin(d, at), Spec: c})
	}
	b.model.tests[d.Name] = t
}

func (b *builder) testCase(d *document.Document, c *sallyportv1.TestCase, at string) {
	if u, err := url.Parse(c.GetRequest().GetUrl()); err != nil || u.Hostname() == "" {
		// The path may be anything; what comes before it may not.
		if _, _, ok := SplitURL(c.GetRequest().GetUrl()); !ok {
			b.fail(d, at+".request.url", "expected a URL such as https://api.example.org/v1/status, found %q", c.GetRequest().GetUrl())
		}
	}
	if name := c.GetExpect().GetUpstream(); name != "" {
		lookup(b, b.model.upstreams, d, at+".expect.upstream", "Upstream", name)
	}
	for name := range c.GetExpect().GetAnswerHeaders() {
		if name != strings.ToLower(name) {
			b.fail(d, fmt.Sprintf("%s.expect.answer_headers[%q]", at, name), "write the names of headers in lower case")
		}
	}
	b.testCaller(d, c.GetCaller(), at+".caller")
	if c.GetCaller().GetToken() != nil {
		b.testToken(d, c.GetCaller().GetToken(), at+".caller.token")
		for name := range c.GetRequest().GetHeaders() {
			if strings.EqualFold(name, "authorization") {
				b.fail(d, fmt.Sprintf("%s.request.headers[%q]", at, name), "stands beside the caller's `token`, which is sent in this header: give one of the two")
			}
		}
	}
}

func (b *builder) testCaller(d *document.Document, m *sallyportv1.TestCaller, at string) {
	switch caller := m.GetForm().(type) {
	case nil:
		if m != nil && m.GetToken() == nil {
			b.fail(d, at, "says nothing: give a form, a `token`, or both; leave it out for a caller who shows neither")
		}
	case *sallyportv1.TestCaller_Consumer:
		consumer, ok := lookup(b, b.model.consumers, d, at+".consumer", "Consumer", caller.Consumer)
		if ok && !hasNamedCertificate(consumer) {
			b.fail(d, at+".consumer", "the Consumer %q is recognised by fingerprints, serial numbers or patterns alone: no certificate can be made for a test", caller.Consumer)
		}
	case *sallyportv1.TestCaller_Certificate:
		name := caller.Certificate.GetAuthority()
		_, isTruststore := b.model.truststores[name]
		if name != UnknownAuthority && !isTruststore {
			lookup(b, b.model.authorities, d, at+".certificate.authority", "Authority", name)
		}
	case *sallyportv1.TestCaller_Presents:
		lookup(b, b.model.certificates, d, at+".presents", "Certificate", caller.Presents)
	}
}

// testToken checks that such a token can be made.
func (b *builder) testToken(d *document.Document, m *sallyportv1.TestToken, at string) {
	p, found := lookup(b, b.model.providers, d, at+".provider", "Provider", m.GetProvider())
	if found && p.Mint != nil {
		if m.GetAudience() == "" {
			b.fail(d, at+".audience", "is missing: the Provider %q (%s) is ourselves, and has no audiences of its own", p.Name, p.Origin)
		}
		if m.GetIdToken() {
			b.fail(d, at+".id_token", "cannot be: the Provider %q (%s) is ourselves, and makes no ID tokens", p.Name, p.Origin)
		}
	}
	b.testBinding(d, m.GetBoundTo(), at+".bound_to")
}

// testBinding checks that there is one certificate of the name to which a token is to be bound.
func (b *builder) testBinding(d *document.Document, name, at string) {
	if name == "" {
		return
	}
	consumer, isConsumer := b.model.consumers[name]
	certificate, isCertificate := b.model.certificates[name]
	switch {
	case isConsumer && isCertificate:
		b.fail(d, at, "is the name of a Consumer (%s) and of a Certificate (%s)", consumer.Origin, certificate.Origin)
	case isConsumer && !hasNamedCertificate(consumer):
		b.fail(d, at, "the Consumer %q is recognised by fingerprints, serial numbers or patterns alone: no certificate can be made for a test", name)
	case !isConsumer && !isCertificate && b.complete && b.documents["Consumer"][name] == nil && b.documents["Certificate"][name] == nil:
		names := slices.Concat(slices.Sorted(maps.Keys(b.documents["Consumer"])), slices.Sorted(maps.Keys(b.documents["Certificate"])))
		b.fail(d, at, "there is no Consumer and no Certificate %q%s", name, document.DidYouMean(name, names))
	}
}

// hasNamedCertificate tells whether a certificate can be made that is the consumer's.
func hasNamedCertificate(c *Consumer) bool {
	for _, m := range c.Certificates {
		if m.Named() {
			return true
		}
	}
	return false
}

// Named tells whether the match is by names alone, so that another certificate with those names would match as well.
func (m *CertificateMatch) Named() bool {
	return m.SPKISHA256 == "" && m.CertificateSHA256 == "" && m.Serial == "" && m.SubjectDN == "" && !m.Patterns.Any()
}
