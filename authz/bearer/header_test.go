package bearer_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
)

func TestTheAuthorizationHeaderIsOneBearerToken(t *testing.T) {
	for name, one := range map[string]struct {
		header, token string
		refused       reason.Reason
	}{
		"a token":                     {"Bearer abc.def.ghi", "abc.def.ghi", ""},
		"small letters":               {"bearer abc", "abc", ""},
		"capitals":                    {"BEARER abc", "abc", ""},
		"all letters of a b64token":   {"Bearer aZ09-._~+/==", "aZ09-._~+/==", ""},
		"the longest":                 {"Bearer " + strings.Repeat("a", jose.MaxTokenSize), strings.Repeat("a", jose.MaxTokenSize), ""},
		"no header":                   {"", "", reason.TokenMissing},
		"basic":                       {"Basic YTpi", "", reason.CredentialsNotAccepted},
		"negotiate":                   {"Negotiate abc", "", reason.CredentialsNotAccepted},
		"DPoP":                        {"DPoP abc", "", reason.CredentialsNotAccepted},
		"a scheme that begins alike":  {"BearerX abc", "", reason.CredentialsNotAccepted},
		"a token without scheme":      {"abc.def.ghi", "", reason.CredentialsNotAccepted},
		"a space before":              {" Bearer abc", "", reason.CredentialsNotAccepted},
		"a tab between":               {"Bearer\tabc", "", reason.CredentialsNotAccepted},
		"a letter that folds to an s": {"Bearer\u017f abc", "", reason.CredentialsNotAccepted},
		"another scheme, then ours":   {"Basic YTpi, Bearer abc", "", reason.CredentialsNotAccepted},
		"no token":                    {"Bearer", "", reason.TokenMalformed},
		"nothing after the space":     {"Bearer ", "", reason.TokenMalformed},
		"two spaces":                  {"Bearer  abc", "", reason.TokenMalformed},
		"a space after":               {"Bearer abc ", "", reason.TokenMalformed},
		"two tokens":                  {"Bearer abc def", "", reason.TokenMalformed},
		"two headers joined":          {"Bearer abc,Bearer def", "", reason.TokenMalformed},
		"a comma":                     {"Bearer abc,", "", reason.TokenMalformed},
		"parameters":                  {`Bearer token="abc"`, "", reason.TokenMalformed},
		"an equals sign inside":       {"Bearer a=b", "", reason.TokenMalformed},
		"equals signs alone":          {"Bearer ==", "", reason.TokenMalformed},
		"a line feed":                 {"Bearer abc\n", "", reason.TokenMalformed},
		"a letter beyond ASCII":       {"Bearer abcé", "", reason.TokenMalformed},
		"too long":                    {"Bearer " + strings.Repeat("a", jose.MaxTokenSize+1), "", reason.TokenMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			token, refusal := bearer.Parse(one.header)
			if token != one.token {
				t.Errorf("token %q, want %q", token, one.token)
			}
			if got := reasonOf(&bearer.Verdict{Refusal: refusal}); got != one.refused {
				t.Errorf("refused for %q, want %q", got, one.refused)
			}
		})
	}
}

// FuzzParseAuthorization looks for a header that is accepted and is not exactly a scheme and a b64token, and for a refusal that
// quotes what was sent.
func FuzzParseAuthorization(f *testing.F) {
	for _, seed := range []string{"", "Bearer a.b.c", "bearer a==", "Bearer  a", "Basic a", "Bearer a,Bearer b", "Bearer \x00", "Bearer a=b"} {
		f.Add(seed)
	}
	whole := regexp.MustCompile(`\A(?i:bearer) [A-Za-z0-9._~+/-]+=*\z`)
	f.Fuzz(func(t *testing.T, header string) {
		token, refusal := bearer.Parse(header)
		accepted := whole.MatchString(header) && len(token) <= jose.MaxTokenSize && token != ""
		if accepted != (refusal == nil) {
			t.Fatalf("%q: token %q, refusal %v", header, token, refusal)
		}
		switch {
		case accepted && header[len("Bearer "):] != token:
			t.Fatalf("%q: token %q", header, token)
		case !accepted && (token != "" || refusal.Detail == ""):
			t.Fatalf("%q: refused with token %q, %+v", header, token, refusal)
		}
	})
}

func reasonOf(v *bearer.Verdict) reason.Reason {
	if v.Refusal == nil {
		return ""
	}
	return v.Refusal.Reason
}
