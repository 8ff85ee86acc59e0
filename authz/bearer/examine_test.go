package bearer_test

import (
	"slices"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// What is examined is what Judge refuses or accepts, for the same reason.
func TestAnExaminationFindsFirstWhatJudgeFinds(t *testing.T) {
	confirmed := func(value object) object { return object{"cnf": value} }
	for name, c := range map[string]struct {
		provider  *config.Provider
		audiences []string
		token     string
		wrong     []bearer.Check
	}{
		"a good token":           {corporate(), nil, sign(oneKey(), nil, claims()), nil},
		"of another key":         {corporate(), nil, sign(twoKey().named("one"), nil, claims()), []bearer.Check{bearer.CheckSignature}},
		"of an unknown key":      {corporate(), nil, sign(twoKey(), nil, claims()), []bearer.Check{bearer.CheckSignature}},
		"of another issuer":      {corporate(), nil, sign(oneKey(), nil, claims(object{"iss": "https://other.example.org"})), []bearer.Check{bearer.CheckIssuer}},
		"of another algorithm":   {corporate(func(p *config.Provider) { p.Algorithms = []string{"RS256"} }), nil, sign(oneKey(), nil, claims()), []bearer.Check{bearer.CheckAlgorithm}},
		"of another type":        {corporate(), nil, sign(oneKey(), object{"typ": "hop+jwt"}, claims()), []bearer.Check{bearer.CheckType}},
		"an ID token":            {corporate(), nil, sign(oneKey(), nil, claims(object{"nonce": "n"})), []bearer.Check{bearer.CheckKind}},
		"without what it needs":  {corporate(func(p *config.Provider) { p.RequiredClaims = []config.ClaimName{"company"} }), nil, sign(oneKey(), nil, claims()), []bearer.Check{bearer.CheckClaims}},
		"without a subject":      {corporate(), nil, sign(oneKey(), nil, claims(object{"sub": nil, "client_id": nil})), []bearer.Check{bearer.CheckClaims}},
		"bound otherwise":        {corporate(), nil, sign(oneKey(), nil, claims(confirmed(object{"jkt": "x"}))), []bearer.Check{bearer.CheckBinding}},
		"revoked":                {corporate(func(p *config.Provider) { p.Revoked = []config.RevokedToken{{ID: "id-1"}} }), nil, sign(oneKey(), nil, claims()), []bearer.Check{bearer.CheckDenyList}},
		"expired":                {corporate(), nil, sign(oneKey(), nil, claims(object{"exp": noon.Add(-time.Hour).Unix()})), []bearer.Check{bearer.CheckTimes}},
		"for another audience":   {corporate(), nil, sign(oneKey(), nil, claims(object{"aud": "them"})), []bearer.Check{bearer.CheckAudience}},
		"for none of the method": {corporate(), []string{"other-api"}, sign(oneKey(), nil, claims()), []bearer.Check{bearer.CheckAudience}},
		"all that can be wrong": {
			corporate(), nil, sign(twoKey(), object{"typ": "x"}, claims(object{"iss": "https://other.example.org", "nonce": "n", "exp": 1, "aud": "them"})),
			[]bearer.Check{bearer.CheckIssuer, bearer.CheckType, bearer.CheckSignature, bearer.CheckKind, bearer.CheckTimes, bearer.CheckAudience},
		},
		"of our own, not bound": {edge(sallyportv1.TokenClass_TOKEN_CLASS_HOP), []string{"api"}, sign(oneKey(), object{"typ": "hop+jwt"}, claims(object{"iss": edgeIssuer})), []bearer.Check{bearer.CheckBinding}},
	} {
		t.Run(name, func(t *testing.T) {
			set := setOf(oneKey()).KeySet
			read, err := jose.Parse(c.token)
			if err != nil {
				t.Fatal(err)
			}
			examined := bearer.Examine(c.provider, c.audiences, set, read, noon)
			var wrong []bearer.Check
			for _, finding := range examined.Findings {
				if finding.Refusal != nil {
					wrong = append(wrong, finding.Check)
				}
			}
			if !slices.Equal(wrong, c.wrong) {
				t.Errorf("found %v, want %v", wrong, c.wrong)
			}
			in := newKeys()
			in.put(c.provider.Name, oneKey())
			verifier := asks(t, in, nil, 0)
			verifier.Apply([]*config.Provider{c.provider})
			verdict := verifier.Judge(t.Context(), []string{c.provider.Name}, c.audiences, c.token, noon)
			switch refusal := examined.Refusal(); {
			case (refusal == nil) != (verdict.Refusal == nil):
				t.Errorf("examined: %v, judged: %v", refusal, verdict.Refusal)
			case refusal != nil && refusal.Reason != verdict.Refusal.Reason:
				t.Errorf("examined: %s, judged: %s", refusal.Reason, verdict.Refusal.Reason)
			case refusal == nil && (examined.Token().Subject != verdict.Token.Subject || !slices.Equal(examined.Token().Roles, verdict.Token.Roles)):
				t.Errorf("examined: %+v, judged: %+v", examined.Token(), verdict.Token)
			}
		})
	}
}

func TestWithoutKeysTheSignatureIsNotJudged(t *testing.T) {
	read, err := jose.Parse(sign(twoKey(), nil, claims()))
	if err != nil {
		t.Fatal(err)
	}
	examined := bearer.Examine(corporate(), nil, nil, read, noon)
	signed := slices.ContainsFunc(examined.Findings, func(f bearer.Finding) bool { return f.Check == bearer.CheckSignature })
	if examined.Refusal() != nil || signed || examined.Token().Raw != "" {
		t.Errorf("findings %+v", examined.Findings)
	}
	if examined := bearer.Examine(corporate(), nil, setOf(oneKey()).KeySet, read, noon); examined.Refusal() == nil || examined.Refusal().Reason != reason.TokenKeyUnknown || examined.Token() != nil {
		t.Errorf("with keys: %+v", examined.Findings)
	}
}
