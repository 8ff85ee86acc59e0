package config

import (
	"fmt"
	"net/url"

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
	switch caller := c.GetCaller().GetForm().(type) {
	case *sallyportv1.TestCaller_Consumer:
		consumer, ok := lookup(b, b.model.consumers, d, at+".caller.consumer", "Consumer", caller.Consumer)
		if ok && !hasNamedCertificate(consumer) {
			b.fail(d, at+".caller.consumer", "the Consumer %q is recognised by fingerprints, serial numbers or patterns alone: no certificate can be made for a test", caller.Consumer)
		}
	case *sallyportv1.TestCaller_Certificate:
		name := caller.Certificate.GetAuthority()
		_, isTruststore := b.model.truststores[name]
		if name != UnknownAuthority && !isTruststore {
			lookup(b, b.model.authorities, d, at+".caller.certificate.authority", "Authority", name)
		}
	case *sallyportv1.TestCaller_Presents:
		lookup(b, b.model.certificates, d, at+".caller.presents", "Certificate", caller.Presents)
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
