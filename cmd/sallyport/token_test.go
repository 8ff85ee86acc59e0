package main

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

func TestATokenIsReadFromStandardInputHoweverItWasCopied(t *testing.T) {
	for typed, want := range map[string]string{
		"a.b.c":                               "a.b.c",
		"  a.b.c \n\n":                        "a.b.c",
		"Bearer a.b.c\n":                      "a.b.c",
		"authorization: bearer a.b.c\r\n":     "a.b.c",
		"Authorization:Bearer a.b.c":          "a.b.c",
		"bearer":                              "bearer",
		strings.Repeat("x", maxTypedToken):    strings.Repeat("x", maxTypedToken),
		"":                                    "",
		" \n":                                 "",
		strings.Repeat("x", maxTypedToken+10): "",
	} {
		got, err := readToken(streams{in: strings.NewReader(typed), err: io.Discard})
		if got != want || (err != nil) != (want == "") {
			t.Errorf("of %.40q: %.40q, %v", typed, got, err)
		}
		if usage := (usageError{}); err != nil && !errors.As(err, &usage) {
			t.Errorf("of %.40q: %v is no mistake of the user", typed, err)
		}
	}
}

func TestTimesOfATokenAreInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                              "0 seconds",
		time.Second:                    "1 second",
		59 * time.Second:               "59 seconds",
		3*time.Minute + 59*time.Second: "3 minutes",
		time.Hour:                      "1 hour",
		47 * time.Hour:                 "1 day",
		49 * time.Hour:                 "2 days",
	} {
		if got := lasting(d); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
}

func TestWhatIsShownOfATokenHasNoSignature(t *testing.T) {
	const signature = "c2lnbmF0dXJl"
	for _, raw := range []string{"eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0." + signature, "eyJhbGciOiJFUzI1NiJ9.x." + signature, "x.y." + signature, signature, "eyJhbGciOiJFUzI1NiJ9.a.b.c." + signature} {
		r := decodeToken(raw, time.Now())
		var b strings.Builder
		if err := r.text(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), signature) || strings.Contains(b.String(), raw) {
			t.Errorf("the report shows too much: %s", b.String())
		}
		if r.Problem == "" {
			t.Errorf("%q is taken for good", raw)
		}
	}
}

func TestVerdictsAreSummedUpByPolicyAndRule(t *testing.T) {
	noon := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	tally := newVerdictTally(time.Hour, noon)
	for _, line := range []string{
		`{"time":"2030-01-02T11:30:00Z","request_id":"1","allowed":true,"consumer":"b","shadow":[{"policy":"p","rule":"r","would_allow":false,"reason":"scope_missing"},{"policy":"p","rule":"a","would_allow":true}]}`,
		`{"time":"2030-01-02T11:31:00Z","request_id":"2","allowed":true,"consumer":"b","shadow":[{"policy":"p","rule":"r","would_allow":false,"reason":"scope_missing"}]}`,
		`{"time":"2030-01-02T11:32:00Z","request_id":"3","allowed":true,"token_provider":"idp","token_subject":"a","shadow":[{"policy":"p","rule":"r","would_allow":false,"reason":"scope_missing"}]}`,
		`{"time":"2030-01-02T11:33:00Z","request_id":"4","allowed":false,"shadow":[{"policy":"p","rule":"r","would_allow":true,"reason":"scope_held"}]}`,
		`{"time":"2030-01-02T10:00:00Z","request_id":"5","allowed":false,"shadow":[{"policy":"p","rule":"r","would_allow":true}]}`,
		`{"time":"2030-01-02T11:34:00Z","request_id":"6","allowed":true}`,
		`not JSON`,
	} {
		tally.line([]byte(line))
	}
	s := tally.summary()
	if s.Requests != 4 || tally.unreadable != 1 || len(s.Rules) != 2 || s.Rules[0].Rule != "a" || s.Rules[0].Kept != 1 {
		t.Fatalf("summary %+v", s)
	}
	r := s.Rules[1]
	if r.Asked != 4 || r.Kept != 0 || r.Lost != 3 || r.Gained != 1 || r.Neither != 0 || r.LostExample.RequestID != "3" || r.GainedExample.RequestID != "4" {
		t.Errorf("rule %+v", r)
	}
	if len(r.LostCallers) != 2 || r.LostCallers[0] != (callerCount{"b", 2}) || r.LostCallers[1] != (callerCount{"idp:a", 1}) || r.GainedCallers[0].Caller != "(nobody in particular)" {
		t.Errorf("callers %v %v", r.LostCallers, r.GainedCallers)
	}
}
