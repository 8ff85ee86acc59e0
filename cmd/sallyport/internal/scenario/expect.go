// Package scenario judges the Test cases of a configuration: it makes the caller, sends the request, or simulates it, and
// compares what came of it with what was expected. It enforces nothing.
package scenario

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
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
	// Reason is the name of the decision's reason at the first gateway, and Why its particulars for people; but see Beyond.
	Reason, Why string
	// Beyond is set where a gateway behind the first one turned the request away: Why is then that one's name, reason and
	// particulars. Reason stays the first one's.
	Beyond bool
	// Upstream is the one that the first gateway sent the request to; empty if it sent it nowhere.
	Upstream string
	// Answer is the answer's headers, by name in lower case. Of an API's own, a simulation knows none.
	Answer map[string]string
	// Received is what reached the last upstream; nil if nothing did.
	Received *Received
}

// Received is a request as it reached an upstream.
type Received struct {
	Path string
	// Headers by name in lower case.
	Headers map[string]string
	// Token is what the bearer token says; nil where none arrived.
	Token map[string]any
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
	for _, name := range slices.Sorted(maps.Keys(expect.GetAnswerHeaders())) {
		if want, got := expect.GetAnswerHeaders()[name], r.Outcome.Answer[strings.ToLower(name)]; got != want {
			differ("the answer has %s: %s, not %s", name, orNone(got), orNone(want))
		}
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
		if expect.GetReceivedPath() != "" || len(expect.GetReceivedHeaders())+len(expect.GetReceivedToken()) > 0 {
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
	for _, name := range slices.Sorted(maps.Keys(expect.GetReceivedToken())) {
		if want, got := expect.GetReceivedToken()[name], received.claim(name); got != want {
			differ("the API received a token with %s: %s, not %s", name, orNone(got), orNone(want))
		}
	}
}

// claim is what the received token says under a name, or at a path, in words; empty for nothing.
func (r *Received) claim(name string) string {
	if value, found := r.Token[name]; found {
		return inWords(value)
	}
	var value any = r.Token
	for step := range strings.SplitSeq(name, ".") {
		object, _ := value.(map[string]any)
		value = object[step] // of none, nothing
	}
	return inWords(value)
}

// inWords writes a claim as a Test does: a list with commas between its elements, an object as JSON.
func inWords(claim any) string {
	switch claim := claim.(type) {
	case nil:
		return ""
	case string:
		return claim
	case []any:
		words := make([]string, len(claim))
		for i, element := range claim {
			words[i] = inWords(element)
		}
		return strings.Join(words, ",")
	}
	encoded, err := json.Marshal(claim)
	if err != nil { // it came from JSON
		return fmt.Sprint(claim)
	}
	return string(encoded)
}
