package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/internal/terminal"
)

// tokenVerdict is what comes of judging a token.
type tokenVerdict string

const (
	// tokenGood: nothing is wrong with it, and its Provider has signed it.
	tokenGood tokenVerdict = "good"
	// tokenUnverified: nothing that was looked at is wrong, and the signature was not looked at. Anybody can make such a token.
	tokenUnverified tokenVerdict = "unverified"
	tokenNotGood    tokenVerdict = "not_good"
)

// tokenReport is what `token inspect` prints. It has neither the token nor its signature.
type tokenReport struct {
	// Header and Claims as the token has them, nil where they cannot be shown.
	Header any `json:"header"`
	Claims any `json:"claims"`
	// Problem is why no gateway would read the token; empty if one would.
	Problem string      `json:"problem,omitempty"`
	Times   []tokenTime `json:"times,omitempty"`
	// Providers whose token it may be, with what each finds.
	Providers []tokenJudgement `json:"providers,omitempty"`
	Notes     []string         `json:"notes,omitempty"`
	// Verdict is that of the Provider which finds least wrong. Good says that it is tokenGood. Both are missing where nothing was
	// judged.
	Verdict tokenVerdict `json:"verdict,omitempty"`
	Good    *bool        `json:"good,omitempty"`
}

type tokenTime struct {
	Claim string    `json:"claim"`
	Time  time.Time `json:"time"`
	Words string    `json:"words"`
}

type tokenJudgement struct {
	Provider string `json:"provider"`
	// Origin is where the Provider is written.
	Origin            string       `json:"origin"`
	Verdict           tokenVerdict `json:"verdict"`
	Good              bool         `json:"good"`
	SignatureVerified bool         `json:"signature_verified"`
	Checks            []tokenCheck `json:"checks"`
	// What the token says, read as the Provider's configuration has it, where nothing is wrong with it.
	Subject  string   `json:"subject,omitempty"`
	ClientID string   `json:"client_id,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Notes    []string `json:"notes,omitempty"`
}

type tokenCheck struct {
	Check  string `json:"check"`
	Good   bool   `json:"good"`
	Reason string `json:"reason,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (r *tokenReport) conclude(verdict tokenVerdict) {
	good := verdict == tokenGood
	r.Verdict, r.Good = verdict, &good
}

// decodeToken shows what a token says. What no gateway would read is shown as well, as far as it can be.
func decodeToken(raw string, now time.Time) *tokenReport {
	r := &tokenReport{}
	parts := strings.Split(raw, ".")
	if len(parts) >= 2 {
		r.Header = decodePart(parts[0])
	}
	if len(parts) == 2 || len(parts) == 3 { // the five parts of an encrypted token are not for us
		r.Claims = decodePart(parts[1])
	}
	read, err := jose.Parse(raw)
	if err != nil {
		r.Problem = err.Error()
		if len(parts) == 1 {
			r.Problem = "the token says nothing by itself: it is no JWT"
		}
		return r
	}
	r.Times = timesOf(read.Claims, now)
	return r
}

// decodePart is the JSON of a part, read leniently; nil if there is none.
func decodePart(part string) any {
	content, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(part), "="))
	if err != nil {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	var object map[string]any
	if decoder.Decode(&object) != nil {
		return nil
	}
	return object
}

// timesOf are the times of a token in words.
func timesOf(claims *jose.Claims, now time.Time) []tokenTime {
	var times []tokenTime
	add := func(claim string, at time.Time, past, future string) {
		if at.IsZero() {
			return
		}
		words := fmt.Sprintf(past, lasting(now.Sub(at)))
		if at.After(now) {
			words = fmt.Sprintf(future, lasting(at.Sub(now)))
		}
		times = append(times, tokenTime{Claim: claim, Time: at.UTC(), Words: words})
	}
	add("iat", claims.IssuedAt, "issued %s ago", "issued in the future, in %s: a clock is wrong")
	add("nbf", claims.NotBefore, "valid since %s", "not valid for another %s")
	add("exp", claims.Expires, "expired %s ago", "expires in %s")
	return times
}

// lasting is a duration in its largest unit, rounded down.
func lasting(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		if d >= unit.length {
			return count(int(min(d/unit.length, math.MaxInt32)), unit.name)
		}
	}
	return count(int(d/time.Second), "second")
}

// adviseOpaque says who could be asked about a token that says nothing by itself.
func (r *tokenReport) adviseOpaque(raw string, model *config.Model) {
	if strings.Count(raw, ".") == 2 {
		return
	}
	for _, p := range model.Providers() {
		if p.Introspection != nil {
			r.Notes = append(r.Notes, fmt.Sprintf("the Provider %s (%s) can be asked about such a token, by a running server: see `sallyport explain --token -`", p.Name, p.Origin))
		}
	}
}

// checkDetail says what was found good.
func checkDetail(check bearer.Check, read *jose.Token) string {
	switch check {
	case bearer.CheckIssuer:
		return read.Claims.Issuer
	case bearer.CheckAlgorithm:
		return read.Header.Algorithm
	case bearer.CheckType:
		return read.Header.Type
	case bearer.CheckAudience:
		return strings.Join(read.Claims.Audience, ", ")
	default:
		return ""
	}
}

// text prints the report for people; its last line is the verdict.
func (r *tokenReport) text(w io.Writer) error {
	for _, part := range []struct {
		name  string
		value any
	}{{"header", r.Header}, {"claims", r.Claims}} {
		if err := writePart(w, part.name, part.value); err != nil {
			return err
		}
	}
	for _, at := range r.Times {
		fmt.Fprintf(w, "%s  %s  (%s)\n", at.Claim, at.Words, at.Time.Format(time.RFC3339))
	}
	if r.Problem != "" {
		fmt.Fprintf(w, "no gateway reads it: %s\n", terminal.Safe(r.Problem))
	}
	for _, j := range r.Providers {
		if err := j.text(w); err != nil {
			return err
		}
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, note := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", terminal.Safe(note))
	}
	if r.Verdict == "" {
		return nil
	}
	_, err := fmt.Fprintf(w, "\n%s\n", terminal.Safe(r.summary()))
	return err
}

// writePart prints the JSON of a part; nothing where it cannot be shown.
func writePart(w io.Writer, name string, value any) error {
	if value == nil {
		return nil
	}
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("  ", "  ")
	if err := encoder.Encode(value); err != nil {
		return err
	}
	fmt.Fprintln(w, name)
	for line := range strings.Lines(content.String()) {
		fmt.Fprintf(w, "  %s\n", terminal.Safe(strings.TrimRight(strings.TrimPrefix(line, "  "), "\n")))
	}
	return nil
}

// text prints what one Provider finds.
func (j tokenJudgement) text(w io.Writer) error {
	fmt.Fprintf(w, "\nthe Provider %s  (%s)\n", j.Provider, j.Origin)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, check := range j.Checks {
		found := "ok"
		if !check.Good {
			found = "wrong"
		}
		fmt.Fprintf(table, "  %s\t%s\t%s\n", check.Check, found, terminal.Safe(strings.TrimPrefix(strings.TrimSuffix(check.Reason+": "+check.Detail, ": "), ": ")))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, said := range []struct{ name, value string }{
		{"subject", j.Subject}, {"client", j.ClientID}, {"roles", strings.Join(j.Roles, ", ")}, {"scopes", strings.Join(j.Scopes, ", ")},
	} {
		if said.value != "" {
			fmt.Fprintf(w, "  its %s: %s\n", said.name, terminal.Safe(said.value))
		}
	}
	for _, note := range j.Notes {
		fmt.Fprintf(w, "  note: %s\n", terminal.Safe(note))
	}
	return nil
}

// summary is the verdict in a sentence.
func (r *tokenReport) summary() string {
	var wrong []string
	for _, j := range r.Providers {
		switch {
		case j.Verdict == tokenGood:
			return "good: the Provider " + j.Provider + " issued it"
		case j.Verdict == tokenUnverified && r.Verdict == tokenUnverified: // and not where another finds it good
			return "unverified: good for the Provider " + j.Provider + " if its signature is, which was not verified"
		}
		for _, check := range j.Checks {
			if !check.Good {
				wrong = append(wrong, "by the Provider "+j.Provider+", "+check.Reason+": "+check.Detail)
				break
			}
		}
	}
	switch {
	case r.Problem != "":
		return "not good: " + r.Problem
	case len(wrong) > 0:
		return "not good: " + strings.Join(wrong, "; ")
	}
	return "not good: it belongs to no Provider of the configuration"
}
