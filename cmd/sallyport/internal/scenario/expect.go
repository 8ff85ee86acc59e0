// Package scenario judges the Test cases of a configuration: it makes the caller, sends the request, or simulates it, and
// compares what came of it with what was expected. It enforces nothing.
package scenario

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Outcome is what came of a request.
type Outcome struct {
	// Refused is set where the TLS handshake failed; nothing else is set then, but Why.
	Refused bool
	// Status of the answer; 0 where there was none.
	Status int
	// Reason is the name of the decision's reason at the first gateway, and Why its particulars for people.
	Reason, Why string
	// Upstream is the one that the first gateway sent the request to; empty if it sent it nowhere.
	Upstream string
	// Received is what reached the last upstream; nil if nothing did.
	Received *Received
}

// Received is a request as it reached an upstream.
type Received struct {
	Path string
	// Headers by name in lower case.
	Headers map[string]string
}

// Cases are all cases of a model's Tests, in the order of the files.
func Cases(model *config.Model) []*config.TestCase {
	var cases []*config.TestCase
	for _, test := range model.Tests() {
		cases = append(cases, test.Cases...)
	}
	slices.SortStableFunc(cases, func(a, b *config.TestCase) int { return a.Origin.Compare(b.Origin) })
	return cases
}

// Result is a case and what came of it.
type Result struct {
	Case    *config.TestCase
	Outcome Outcome
	// Mismatches say what was otherwise than expected; empty for a case that passed.
	Mismatches []string
}

// Passed tells whether everything came out as expected.
func (r Result) Passed() bool { return len(r.Mismatches) == 0 }

// judge compares an outcome with what a case expects. A case that names no upstream expects that none is reached.
func judge(c *config.TestCase, got Outcome) Result {
	expect := c.Spec.GetExpect()
	r := Result{Case: c, Outcome: got}
	differ := func(format string, args ...any) { r.Mismatches = append(r.Mismatches, fmt.Sprintf(format, args...)) }
	refused := expect.GetHandshake() == sallyportv1.TestHandshake_TEST_HANDSHAKE_REFUSED
	if refused != got.Refused {
		if got.Refused {
			differ("the handshake was refused: %s", got.Why)
		} else {
			differ("the handshake was accepted")
		}
	}
	if want := int(expect.GetStatus()); want != 0 && want != got.Status {
		differ("status %d, not %d", got.Status, want)
	}
	if want := expect.GetReason(); want != "" && want != got.Reason {
		differ("reason %s, not %s", orNone(got.Reason), want)
	}
	if want := expect.GetUpstream(); want != got.Upstream {
		differ("upstream %s, not %s", orNone(got.Upstream), orNone(want))
	}
	if expect.GetUpstream() == "" && got.Received != nil {
		differ("the request reached an API at %s", got.Received.Path)
	}
	r.compareReceived(expect, differ)
	return r
}

// unjudged is the result of a case of which nothing came, for this reason.
func unjudged(c *config.TestCase, reason error) Result {
	return Result{Case: c, Outcome: Outcome{Why: reason.Error()}, Mismatches: []string{"it could not be judged: " + reason.Error()}}
}

// compareReceived compares what reached the last upstream.
func (r *Result) compareReceived(expect *sallyportv1.TestExpectation, differ func(string, ...any)) {
	received := r.Outcome.Received
	if received == nil {
		if expect.GetReceivedPath() != "" || len(expect.GetReceivedHeaders()) > 0 {
			differ("nothing reached an API")
		}
		return
	}
	if want := expect.GetReceivedPath(); want != "" && want != received.Path {
		differ("the API received %s, not %s", received.Path, want)
	}
	for _, name := range slices.Sorted(maps.Keys(expect.GetReceivedHeaders())) {
		want := expect.GetReceivedHeaders()[name]
		if got, ok := received.Headers[strings.ToLower(name)]; !ok || got != want {
			differ("the API received %s: %s, not %s", name, orNone(got), want)
		}
	}
	for _, name := range expect.GetAbsentHeaders() {
		if got, ok := received.Headers[strings.ToLower(name)]; ok {
			differ("the API received %s: %s", name, got)
		}
	}
}

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
	switch form := c.Spec.GetCaller().GetForm().(type) {
	case *sallyportv1.TestCaller_Consumer:
		return form.Consumer
	case *sallyportv1.TestCaller_Presents:
		return "our " + form.Presents
	case *sallyportv1.TestCaller_Certificate:
		spec := form.Certificate
		name := spec.GetCommonName()
		if name == "" && len(spec.GetUris()) > 0 {
			name = spec.GetUris()[0]
		}
		words := []string{orNone(name), "of", spec.GetAuthority()}
		if spec.GetExpired() {
			words = append(words, "(expired)")
		}
		if spec.GetNoUsages() {
			words = append(words, "(no usages)")
		}
		for _, usage := range spec.GetUsages() {
			if usage == sallyportv1.TestUsage_TEST_USAGE_SERVER {
				words = append(words, "(server)")
			}
		}
		return strings.Join(words, " ")
	}
	return "-"
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

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
