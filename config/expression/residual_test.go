package expression

import (
	"strings"
	"testing"
)

func TestWhatIsLeftOfACondition(t *testing.T) {
	const ownPrisons = "!has(path.prison_id) || path.prison_id in consumer.attributes.prisons"
	for name, test := range map[string]struct {
		source  string
		unknown string
		want    Outcome
		text    string
	}{
		"everything is known":          {ownPrisons, "", Holds, ""},
		"the path is not":              {ownPrisons, "path", Depends, `!has(path.prison_id) || path.prison_id in ["MDI", "LEI"]`},
		"one capture is not":           {ownPrisons, "path.prison_id", Depends, `!has(path.prison_id) || path.prison_id in ["MDI", "LEI"]`},
		"another capture is not":       {ownPrisons, "path.person_id", Holds, ""},
		"it is false in any case":      {"consumer.name == 'nsp' && path.prison_id == 'MDI'", "path", Fails, ""},
		"it is true in any case":       {"consumer.name == 'mapps' || path.prison_id == 'MDI'", "path", Holds, ""},
		"the time is not":              {"request.method == 'GET' && request.time < timestamp('2031-01-01T00:00:00Z')", "request.time", Depends, `request.time < timestamp("2031-01-01T00:00:00Z")`},
		"a field of a certificate":     {"certificate.serial == '1f' && certificate.common_name == 'mapps'", "certificate.serial", Depends, `certificate.serial == "1f"`},
		"it cannot be evaluated":       {"'x' in consumer.attributes.regions", "path", Errs, "no such key: regions"},
		"it can, where it matters":     {"path.prison_id == 'x' || int(consumer.name) > 1", "path", Depends, `path.prison_id == "x" || int("mapps") > 1`},
		"the claims are not":           {"token.provider == 'corporate' && token.claims.company == '7'", "token.claims", Depends, `token.claims.company == "7"`},
		"claims decide nothing":        {"token.provider == 'other' && token.claims.company == '7'", "token.claims", Fails, ""},
		"nor whether one is there":     {"!has(token.claims.company) || token.claims.company == 'x'", "token.claims", Depends, `!has(token.claims.company) || token.claims.company == "x"`},
		"macros are written as macros": {"consumer.roles.exists(r, r == path.role)", "path", Depends, `["alerts-reader", "person-reader"].exists(r, r == path.role)`},
	} {
		t.Run(name, func(t *testing.T) {
			var unknown []string
			if test.unknown != "" {
				unknown = strings.Fields(test.unknown)
			}
			got, text := condition(t, test.source).Residual(mapps(), unknown...)
			if got != test.want || text != test.text {
				t.Errorf("%d %s, want %d %s", got, text, test.want, test.text)
			}
		})
	}
}

// Without anything unknown, what is left of a condition is what it comes to.
func TestAResidualOfKnownFactsIsTheAnswer(t *testing.T) {
	for _, source := range []string{
		"!has(path.prison_id) || path.prison_id in consumer.attributes.prisons", "consumer.name == 'nsp'", "path.never == ''",
		"certificate.not_after > request.time", "consumer.roles.all(r, r.size() > 3)", "subject == ''",
	} {
		for _, facts := range []*Facts{mapps(), nobody()} {
			c := condition(t, source)
			holds, err := c.Holds(facts)
			outcome, _ := c.Residual(facts)
			want := map[bool]Outcome{true: Holds, false: Fails}[holds]
			if err != nil {
				want = Errs
			}
			if outcome != want {
				t.Errorf("%s: %d, want %d", source, outcome, want)
			}
		}
	}
}
