package expression

import (
	"errors"
	"strings"
	"testing"
)

func TestAConditionHoldsOfWhatItDescribes(t *testing.T) {
	const ownPrisons = "!has(path.prison_id) || path.prison_id in consumer.attributes.prisons"
	another, elsewhere := mapps(), mapps()
	another.Path = map[string]string{"prison_id": "BXI"}
	elsewhere.Path = map[string]string{}
	for name, test := range map[string]struct {
		source string
		facts  *Facts
		want   bool
	}{
		"its own prison":                    {ownPrisons, mapps(), true},
		"another prison":                    {ownPrisons, another, false},
		"no prison":                         {ownPrisons, elsewhere, true},
		"no prison, and nobody's":           {ownPrisons, nobody(), true},
		"a capture with a hyphen":           {"path['hmpps-id'] == 'A1234BC'", mapps(), true},
		"a role":                            {"'alerts-reader' in consumer.roles", mapps(), true},
		"some role":                         {"consumer.roles.exists(r, r.endsWith('-reader'))", mapps(), true},
		"a label":                           {"consumer.labels.team == 'police'", mapps(), true},
		"a label that may be there":         {"has(consumer.labels.region)", mapps(), false},
		"an attribute that is empty":        {"consumer.attributes.none.size() == 0", mapps(), true},
		"every field of a certificate":      {"certificate.issuer_dn + certificate.common_name + certificate.sha256 + certificate.spki_sha256 == 'CN=partnersmappsc1k1'", mapps(), true},
		"a name of a certificate":           {"'mapps.example.org' in certificate.dns_names && certificate.uris[0].startsWith('spiffe:')", mapps(), true},
		"a certificate that lasts":          {"certificate.not_after - request.time > duration('72h')", mapps(), true},
		"a certificate that is fresh":       {"request.time - certificate.not_before < duration('1h')", mapps(), false},
		"an hour, by the clock of a place":  {"request.time.getHours('Europe/London') == 12 && request.time.getHours('Asia/Tokyo') == 21", mapps(), true},
		"a request":                         {"request.method == 'GET' && request.host == 'api.example.org' && request.path.startsWith('/v1/') && request.gateway == 'edge' && request.route == 'api'", mapps(), true},
		"a regular expression":              {"path.prison_id.matches('^[A-Z]{3}$')", mapps(), true},
		"a subject":                         {"subject == 'consumer:mapps'", mapps(), true},
		"nobody's subject":                  {"subject == ''", nobody(), true},
		"somebody who is a consumer":        {"has(consumer.name)", mapps(), true},
		"nobody, who is none":               {"has(consumer.name) || has(certificate.serial) || has(certificate.not_after)", nobody(), false},
		"a token's facts":                   {"token.subject == 'alice' && token.issuer.startsWith('https:') && token.provider == 'corporate' && token.client_id == 'app'", mapps(), true},
		"a token's lists":                   {"'api' in token.audiences && 'vessel.write' in token.roles && 'read' in token.scopes && token.expires > request.time", mapps(), true},
		"a claim":                           {"token.claims.company == '7' && token.claims['https://example.org/tenant'] == 't1'", mapps(), true},
		"a claim of another type":           {"token.claims.company == 7", mapps(), false},
		"a claim that is a number":          {"token.claims.level == 3 && token.claims.level >= 2.5 && token.claims.share < 1", mapps(), true},
		"a claim that is a truth value":     {"token.claims.staff == true && token.claims.company != true", mapps(), true},
		"a claim that is nothing":           {"token.claims.nothing == null && has(token.claims.nothing)", mapps(), true},
		"a claim in a claim":                {"token.claims.address.country == 'NO' && token.claims.address.lines[1].b == 1", mapps(), true},
		"an item of a claim":                {"'captains' in token.claims.groups && token.claims.groups.exists(g, g.startsWith('cler'))", mapps(), true},
		"a claim that may be there":         {"has(token.claims.region)", mapps(), false},
		"a token that nobody has":           {"has(token.subject) || has(token.claims) || has(token.expires)", nobody(), false},
		"a moment that a token leaves out":  {"has(token.issued_at)", mapps(), false},
		"what is wrong in what is not read": {"true || consumer.attributes.never[0] == 'x'", mapps(), true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := condition(t, test.source).Holds(test.facts)
			if err != nil || got != test.want {
				t.Errorf("%t, error %v, want %t", got, err, test.want)
			}
		})
	}
}

func TestAConditionThatCannotBeEvaluatedDoesNotHold(t *testing.T) {
	for name, test := range map[string]struct {
		source string
		facts  *Facts
		want   string
	}{
		"an attribute that the consumer has not": {"'MDI' in consumer.attributes.regions", mapps(), "no such key: regions"},
		"a capture that the path has not":        {"path.person_id == '1'", mapps(), "no such key: person_id"},
		"a consumer that nobody is":              {"consumer.name != 'nsp'", nobody(), "the caller is none of our consumers"},
		"a certificate that nobody has":          {"certificate.common_name != 'nsp'", nobody(), "the caller has no certificate that a truststore vouches for"},
		"a token that nobody has":                {"token.subject != 'mallory'", nobody(), "the caller has no token"},
		"a claim that nobody has":                {"token.claims.company != '8'", nobody(), "the caller has no token"},
		"a claim that the token has not":         {"token.claims.region == 'north'", mapps(), "no such key: region"},
		"a claim in what is no object":           {"token.claims.company.name == 'x'", mapps(), "no such key: name"},
		"an item of what is no list":             {"'7' in token.claims.company", mapps(), "a value is of another type than its place takes"},
		"an order of text and number":            {"token.claims.company > 3", mapps(), "a value is of another type than its place takes"},
		"a claim that is no truth value":         {"token.claims.company || false", mapps(), "a value is of another type than its place takes"},
		"a moment that the token leaves out":     {"token.issued_at < request.time", mapps(), "the token does not say when it was issued"},
		"a number that is none":                  {"int(path.prison_id) > 3", mapps(), "type conversion error from 'string' to 'int'"},
		"a division by nothing":                  {"1 / consumer.attributes.none.size() == 1", mapps(), "division by zero"},
		"an item beyond the end":                 {"certificate.uris[7] == ''", mapps(), "index out of bounds: 7"},
	} {
		t.Run(name, func(t *testing.T) {
			holds, err := condition(t, test.source).Holds(test.facts)
			if holds || err == nil || err.Error() != test.want {
				t.Errorf("%t, error %v, want %s", holds, err, test.want)
			}
		})
	}
}

func TestWhatACallerWroteIsNotToldAtLength(t *testing.T) {
	long := mapps()
	long.Path["prison_id"] = strings.Repeat("x", 8000)
	_, err := condition(t, "consumer.attributes[path.prison_id].size() == 1").Holds(long)
	if err == nil || len(err.Error()) > maxFault+len("...") {
		t.Errorf("error %v", err)
	}
}

func TestTheCostOfAnEvaluationIsBounded(t *testing.T) {
	many := make([]string, 100_000) // more than the configuration accepts
	facts := mapps()
	facts.Consumer = NewConsumer("mapps", nil, map[string][]string{"prisons": many}, nil)
	holds, err := condition(t, "consumer.attributes.prisons.all(p, p.size() < 7 && p.startsWith(''))").Holds(facts)
	if holds || err == nil || !strings.Contains(err.Error(), "cost limit") {
		t.Errorf("%t, error %v", holds, err)
	}
}

func TestATextIsWhatAHeaderSays(t *testing.T) {
	for source, want := range map[string]string{
		"consumer.name":                          "mapps",
		"certificate.subject_dn":                 "CN=mapps,O=police",
		"certificate.serial":                     "1f",
		"certificate.not_after":                  "2030-01-05T12:00:00Z",
		"subject":                                "consumer:mapps",
		"token.subject":                          "alice",
		"string(token.claims.company)":           "7",
		"token.scopes.join(' ')":                 "vessels.own read",
		"consumer.roles.join(',')":               "alerts-reader,person-reader",
		"consumer.attributes.prisons[0]":         "MDI",
		"'prison/' + path.prison_id":             "prison/MDI",
		"request.time":                           "2030-01-02T12:00:00Z",
		"string(consumer.roles.size())":          "2",
		"has(consumer.labels.x) ? 'yes' : 'no'":  "no",
		"path.prison_id.lowerAscii()":            "mdi",
		"consumer.attributes.prisons.join('; ')": "MDI; LEI",
	} {
		got, err := textOf(t, source).Value(mapps())
		if err != nil || got != want {
			t.Errorf("%s: %q, error %v, want %q", source, got, err, want)
		}
	}
	if got, err := textOf(t, "consumer.name").Value(nobody()); err == nil {
		t.Errorf("nobody is called %q", got)
	}
}

func TestPlainFactsNeedNoEvaluation(t *testing.T) {
	for source, want := range map[string]Plain{
		"consumer.name": ConsumerName, " consumer . name ": ConsumerName, "certificate.not_after": CertificateNotAfter, "subject": Subject, "token.subject": TokenSubject,
		"consumer.name + ''": "", "request.method": "", "consumer.labels.name": "", "consumer.attributes.name[0]": "",
	} {
		if got := textOf(t, source).Plain(); got != want {
			t.Errorf("%s is plainly %q, want %q", source, got, want)
		}
	}
}

func TestAMistakeIsToldWithItsPlaceAndTheNearestName(t *testing.T) {
	for source, want := range map[string]string{
		"consumer.nme == 'a'":                     "at character 9: `consumer` has no `nme`, but name, roles, attributes, labels; did you mean `name`?",
		"consmer.name == 'a'":                     "at character 1: there is no `consmer`; an expression is over consumer, certificate, token, request, path, subject; did you mean `consumer`?",
		"has(certificate.sereal)":                 "at character 4: `certificate` has no `sereal`, but subject_dn, issuer_dn, common_name, serial, sha256, spki_sha256, not_before, not_after, uris, dns_names; did you mean `serial`?",
		"consumer.name == 'a' &&\n  consumer.nam": "at character 11 of line 2: `consumer` has no `nam`, but name, roles, attributes, labels; did you mean `name`?",
		"request.headers.x == ''":                 "at character 8: `request` has no `headers`, but method, host, path, gateway, route, time",
		"consumer.name == 1":                      "at character 15: `==` does not go with (string, int)",
		"consumer.name ==":                        "at character 17: the expression ends too early",
		"consumer.name = 'a'":                     "at character 15: this is no expression: token recognition error at: '= '",
		"consumer.name.matches('(a')":             "at character 23: this is no regular expression (RE2)",
		"consumer.name.among(['a'])":              "at character 20: there is no function `among`",
		"now() > request.time":                    "at character 4: there is no function `now`",
		"timestamp('yesterday') < request.time":   "at character 11: invalid timestamp argument",
		"consumer.name":                           "is no condition: it is a text, and must be true or false",
		"consumer.roles":                          "is no condition: it is a list, and must be true or false",
		"token.sub == 'a'":                        "at character 6: `token` has no `sub`, but subject, issuer, provider, client_id, audiences, roles, scopes, issued_at, expires, claims",
		"token == token":                          "uses the whole `token`; name one of its fields: subject, issuer, provider, client_id, audiences, roles, scopes, issued_at, expires, claims",
		"token.claims.staff":                      "is no condition: it is something whose type is only known when it is evaluated, and must be true or false",
		"consumer == consumer":                    "uses the whole `consumer`; name one of its fields: name, roles, attributes, labels",
		"[consumer, consumer].size() == 2":        "uses the whole `consumer`; name one of its fields: name, roles, attributes, labels",
		"dyn(consumer.name)":                      "is no condition: it is something whose type is only known when it is evaluated, and must be true or false",
		"":                                        "at character 1: the expression ends too early",
		strings.Repeat("(", 60) + "true":          "",
		strings.Repeat("true || ", 2000) + "true": "",
		"request.path.replace('', path.x) == ''":  "",
		"request.path.matches(path.x)":            "",
		"request.path.matches(path.x + path.y)":   "",
		"consumer.attributes.a.all(x, consumer.attributes.b.all(y, x == y))": "",
	} {
		c, err := CompileCondition(source)
		var told *Error
		if c != nil || !errors.As(err, &told) {
			t.Errorf("%.60s: compiled, or error %v", source, err)
			continue
		}
		if want != "" && err.Error() != want {
			t.Errorf("%.60s:\n got %s\nwant %s", source, err, want)
		}
	}
	for source, want := range map[string]string{
		"consumer":       "uses the whole `consumer`; name one of its fields: name, roles, attributes, labels",
		"consumer.roles": "is no text: it is a list; join it, as `consumer.roles.join(',')`",
		"path":           "is no text: it is a map; name one of its entries",
		"1 > 0":          "is no text: it is a truth value; make it one with `string(…)`",
	} {
		if _, err := CompileText(source); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}

func TestWhatCouldCostTooMuchIsRefused(t *testing.T) {
	_, err := CompileCondition("consumer.attributes.a.all(x, consumer.attributes.b.all(y, x == y))")
	if err == nil || !strings.HasPrefix(err.Error(), "could cost too much for each request, up to ") {
		t.Errorf("error %v", err)
	}
}

func TestAnExpressionKnowsWhatItReads(t *testing.T) {
	c := condition(t, "(!has(path.prison_id) || path['prison-id'] in consumer.attributes.prisons) && [certificate.serial].exists(s, s == consumer.labels['team']) && "+
		"{'a': request.method}.a == consumer.attributes[path.x][0]")
	want := "path.prison_id path.prison-id consumer.attributes.prisons certificate.serial consumer.labels.team request.method consumer.attributes path.x"
	if got := strings.Join(c.Depends(), " "); got != want {
		t.Errorf("depends on\n%s, want\n%s", got, want)
	}
	if got := strings.Join(c.Captures(), " "); got != "prison_id prison-id x" {
		t.Errorf("captures %s", got)
	}
	if got := strings.Join(c.Attributes(), " "); got != "prisons" {
		t.Errorf("attributes %s", got)
	}
	if !c.ReadsPath() || !c.ReadsCaller() || condition(t, "consumer.name == ''").ReadsCaller() || !condition(t, "path.size() == 0").ReadsPath() {
		t.Error("it does not know whether it reads the path")
	}
}

func FuzzCompileCondition(f *testing.F) {
	f.Add("!has(path.prison_id) || path.prison_id in consumer.attributes.prisons")
	f.Add("consumer.roles.exists(r, r.matches('a+'))")
	f.Add("certificate.not_after - request.time > duration('1h')")
	f.Add("{'a': [1]}.a[0] == 1 ? true : has(consumer.name)")
	f.Fuzz(func(t *testing.T, source string) {
		c, err := CompileCondition(source)
		if err != nil {
			return
		}
		for _, facts := range []*Facts{mapps(), nobody()} {
			if holds, err := c.Holds(facts); err != nil && holds {
				t.Errorf("%s holds, with the error %v", source, err)
			}
			c.Residual(facts, "path", "certificate")
		}
	})
}

// Nobody knows before a token is there how large its claims are, or of which type; what is sensible must still be accepted.
func TestConditionsOnClaimsAreNotTooDear(t *testing.T) {
	for _, source := range []string{
		"token.claims.company == path.company_id", "'clerks' in token.claims.groups", "path.company_id in token.claims.companies",
		"token.claims.realm_access.roles.exists(r, r == 'clerk' || r.startsWith('clerk-'))", "token.claims.company in consumer.attributes.companies",
		"token.claims.groups.exists(g, g == path.company_id)", "token.claims.email.endsWith('@example.org')", "token.claims.email.matches('^[a-z.]+@example[.]org$')",
		"token.scopes.exists(s, s.startsWith('vessels.'))", "token.roles.all(r, r in ['a', 'b'])", "token.audiences.size() == 1",
	} {
		condition(t, source)
	}
	if _, err := CompileCondition("token.claims.a.all(x, token.claims.b.all(y, x == y))"); err == nil {
		t.Error("lists within lists are accepted")
	}
}
