package scenario

import (
	"strconv"
	"strings"

	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// A case, and what came of it, in the few words that a table has room for.

// Expected is what a case expects, in a word or two.
func Expected(c *config.TestCase) string {
	expect := c.Spec.GetExpect()
	if expect.GetHandshake() == sallyportv1.TestHandshake_TEST_HANDSHAKE_REFUSED {
		return "refused"
	}
	if expect.GetStatus() == 0 {
		return "any"
	}
	return strconv.Itoa(int(expect.GetStatus()))
}

// Got is what came of a case, in a word or two.
func (o Outcome) Got() string {
	if o.Refused {
		return "refused"
	}
	if o.Status == 0 {
		return "error"
	}
	return strconv.Itoa(o.Status)
}

// Caller is who calls in a case, in a word or two.
func Caller(c *config.TestCase) string {
	var words []string
	switch form := c.Spec.GetCaller().GetForm().(type) {
	case *sallyportv1.TestCaller_Consumer:
		words = append(words, form.Consumer)
	case *sallyportv1.TestCaller_Presents:
		words = append(words, "our "+form.Presents)
	case *sallyportv1.TestCaller_Certificate:
		words = append(words, certificateInWords(form.Certificate))
	}
	if token := c.Spec.GetCaller().GetToken(); token != nil {
		words = append(words, tokenInWords(token))
	}
	if len(words) == 0 {
		return "-"
	}
	return strings.Join(words, " + ")
}

func certificateInWords(m *sallyportv1.TestCertificate) string {
	name := m.GetCommonName()
	if name == "" && len(m.GetUris()) > 0 {
		name = m.GetUris()[0]
	}
	words := []string{orNone(name), "of", m.GetAuthority()}
	if m.GetExpired() {
		words = append(words, "(expired)")
	}
	if m.GetNoUsages() {
		words = append(words, "(no usages)")
	}
	for _, usage := range m.GetUsages() {
		if usage == sallyportv1.TestUsage_TEST_USAGE_SERVER {
			words = append(words, "(server)")
		}
	}
	return strings.Join(words, " ")
}

func tokenInWords(m *sallyportv1.TestToken) string {
	words := []string{"token of " + m.GetProvider()}
	if m.GetSubject() != "" {
		words[0] = m.GetSubject() + "'s " + words[0]
	}
	if m.GetExpired() {
		words = append(words, "(expired)")
	}
	if m.GetIdToken() {
		words = append(words, "(ID token)")
	}
	if m.GetUnknownKey() {
		words = append(words, "(unknown key)")
	}
	return strings.Join(words, " ")
}

// Request is the method, host and path of a case's request, on one line.
func Request(c *config.TestCase) string {
	host, path, _ := config.SplitURL(c.Spec.GetRequest().GetUrl())
	return Method(c) + " " + host + path
}

// Method is the HTTP method of a case.
func Method(c *config.TestCase) string {
	if m := c.Spec.GetRequest().GetMethod(); m != "" {
		return m
	}
	return "GET"
}

// beyond is why a gateway behind the first one turned a request away.
func beyond(gateway, reason, particulars string) string {
	words := []string{gateway}
	for _, word := range []string{reason, particulars} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, ": ")
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
