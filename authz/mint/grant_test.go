package mint

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/config"
)

const formType = "application/x-www-form-urlencoded"

// asked is a good request of a Consumer.
func asked(by *config.Consumer, body string) GrantRequest {
	return GrantRequest{
		Method: http.MethodPost, ContentType: formType, Body: []byte(body),
		Consumer: by, CertificateSHA256: certificate, CertificateNotAfter: noon.Add(24 * time.Hour),
	}
}

// header is the value of a header of an answer.
func (a Answer) header(name string) string {
	for _, h := range a.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func TestAConsumerGetsATokenThatIsBoundToItsCertificate(t *testing.T) {
	for name, test := range map[string]struct {
		request  GrantRequest
		audience string
		scope    string
	}{
		"for the usual audience":         {asked(nsp, "grant_type=client_credentials"), "visits", "visits:read"},
		"for an audience":                {asked(nsp, "grant_type=client_credentials&audience=prisons"), "prisons", "visits:read"},
		"for a resource":                 {asked(nsp, "grant_type=client_credentials&resource=prisons"), "prisons", "visits:read"},
		"by both names":                  {asked(nsp, "grant_type=client_credentials&resource=prisons&audience=prisons"), "prisons", "visits:read"},
		"by several grants":              {asked(mapps, "grant_type=client_credentials&audience=prisons"), "prisons", "prisons:read visits:read"},
		"for one scope":                  {asked(mapps, "grant_type=client_credentials&audience=prisons&scope=prisons:read"), "prisons", "prisons:read"},
		"for scopes in another order":    {asked(mapps, "grant_type=client_credentials&audience=prisons&scope=visits:read+prisons:read"), "prisons", "prisons:read visits:read"},
		"for a scope twice":              {asked(nsp, "grant_type=client_credentials&scope=visits:read%20visits:read"), "visits", "visits:read"},
		"with its client_id":             {asked(nsp, "client_id=nsp&grant_type=client_credentials"), "visits", "visits:read"},
		"with something that is unknown": {asked(nsp, "grant_type=client_credentials&prompt=none"), "visits", "visits:read"},
		"with parameters without values": {asked(nsp, "grant_type=client_credentials&scope=&client_secret=&audience="), "visits", "visits:read"},
		"with a charset": {func() GrantRequest {
			r := asked(nsp, "grant_type=client_credentials")
			r.ContentType = `Application/X-WWW-Form-Urlencoded; charset="UTF-8"`
			return r
		}(), "visits", "visits:read"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, partners())
			answer := i.Grant(test.request, noon)
			if !answer.Issued() || answer.Audience != test.audience {
				t.Fatalf("%v", answer)
			}
			if answer.header("cache-control") != "no-store" || answer.header("pragma") != "no-cache" || answer.header("content-type") != "application/json" {
				t.Errorf("headers %v", answer.Headers)
			}
			var body struct {
				Token     string `json:"access_token"`
				Type      string `json:"token_type"`
				ExpiresIn int    `json:"expires_in"`
				Scope     string `json:"scope"`
			}
			if err := json.Unmarshal(answer.Body, &body); err != nil {
				t.Fatal(err)
			}
			if body.Type != "Bearer" || body.ExpiresIn != 300 || body.Scope != test.scope {
				t.Errorf("%s %d %q", body.Type, body.ExpiresIn, body.Scope)
			}
			token := verify(t, i, body.Token)
			claims := token.Claims
			scope, _ := claims.Lookup([]string{"scope"})
			if token.Header.Type != "at+jwt" || claims.Subject != "consumer:"+test.request.Consumer.Name || claims.ClientID != test.request.Consumer.Name ||
				!slices.Equal(claims.Audience, []string{test.audience}) || claims.Confirmation["x5t#S256"] != thumbprint || scope != test.scope {
				t.Errorf("%+v %v", token.Header, claims.All())
			}
		})
	}
}

func TestATokenEndsWithTheCertificateAndTheConsumer(t *testing.T) {
	r := asked(nsp, "grant_type=client_credentials")
	r.CertificateNotAfter = noon.Add(time.Minute)
	if answer := newIssuer(t, partners()).Grant(r, noon); !answer.Expires.Equal(noon.Add(time.Minute)) {
		t.Errorf("%v", answer)
	}
	leaving := *nsp
	leaving.ValidUntil = noon.Add(30 * time.Second)
	r.Consumer = &leaving
	if answer := newIssuer(t, partners()).Grant(r, noon); !answer.Expires.Equal(noon.Add(30 * time.Second)) {
		t.Errorf("%v", answer)
	}
}

func TestTheTokenEndpointRefuses(t *testing.T) {
	const good = "grant_type=client_credentials"
	changed := func(change func(*GrantRequest)) GrantRequest {
		r := asked(nsp, good)
		change(&r)
		return r
	}
	for name, test := range map[string]struct {
		request GrantRequest
		status  int
		code    string
	}{
		"another method":        {changed(func(r *GrantRequest) { r.Method = http.MethodGet }), 405, "invalid_request"},
		"no media type":         {changed(func(r *GrantRequest) { r.ContentType = "" }), 400, "invalid_request"},
		"JSON":                  {changed(func(r *GrantRequest) { r.ContentType = "application/json" }), 400, "invalid_request"},
		"multipart":             {changed(func(r *GrantRequest) { r.ContentType = "multipart/form-data; boundary=x" }), 400, "invalid_request"},
		"another charset":       {changed(func(r *GrantRequest) { r.ContentType = formType + "; charset=utf-16" }), 400, "invalid_request"},
		"a long body":           {asked(nsp, good+"&x="+strings.Repeat("x", MaxBody)), 400, "invalid_request"},
		"a broken escape":       {asked(nsp, good+"&scope=%zz"), 400, "invalid_request"},
		"semicolons":            {asked(nsp, good+";scope=a"), 400, "invalid_request"},
		"what is no UTF-8":      {asked(nsp, good+"&scope=%ff"), 400, "invalid_request"},
		"an empty body":         {asked(nsp, ""), 400, "invalid_request"},
		"no grant_type":         {asked(nsp, "scope=visits:read"), 400, "invalid_request"},
		"a grant_type twice":    {asked(nsp, good+"&"+good), 400, "invalid_request"},
		"a scope twice":         {asked(nsp, good+"&scope=visits:read&scope=visits:read"), 400, "invalid_request"},
		"an unknown one twice":  {asked(nsp, good+"&x=1&x=2"), 400, "invalid_request"},
		"another grant":         {asked(nsp, "grant_type=authorization_code&code=x"), 400, "unsupported_grant_type"},
		"a password":            {asked(nsp, "grant_type=password&username=a&password=b"), 400, "unsupported_grant_type"},
		"an exchange":           {asked(nsp, "grant_type=urn:ietf:params:oauth:grant-type:token-exchange"), 400, "unsupported_grant_type"},
		"an Authorization":      {changed(func(r *GrantRequest) { r.Authorization = true }), 401, "invalid_client"},
		"a secret":              {asked(nsp, good+"&client_secret=s"), 401, "invalid_client"},
		"an assertion":          {asked(nsp, good+"&client_assertion=a"), 401, "invalid_client"},
		"another's client_id":   {asked(nsp, good+"&client_id=mapps"), 401, "invalid_client"},
		"nobody":                {asked(nil, good), 401, "invalid_client"},
		"no certificate":        {changed(func(r *GrantRequest) { r.CertificateSHA256 = "" }), 401, "invalid_client"},
		"who is granted none":   {asked(other, good), 400, "unauthorized_client"},
		"another audience":      {asked(nsp, good+"&audience=payroll"), 400, "invalid_target"},
		"another resource":      {asked(nsp, good+"&resource=https://payroll.example.org"), 400, "invalid_target"},
		"audience and resource": {asked(nsp, good+"&audience=visits&resource=prisons"), 400, "invalid_target"},
		"two resources":         {asked(nsp, good+"&resource=visits&resource=prisons"), 400, "invalid_target"},
		"another scope":         {asked(nsp, good+"&scope=admin"), 400, "invalid_scope"},
		"a scope too many":      {asked(nsp, good+"&scope=visits:read+admin"), 400, "invalid_scope"},
		"another grant's scope": {asked(mapps, good+"&audience=visits&scope=prisons:read"), 400, "invalid_scope"},
		"scopes with a gap":     {asked(nsp, good+"&scope=visits:read++visits:read"), 400, "invalid_scope"},
		"scopes with a tab":     {asked(nsp, good+"&scope=visits:read%09visits:read"), 400, "invalid_scope"},
		"a certificate that has run out": {
			changed(func(r *GrantRequest) { r.CertificateNotAfter = noon.Add(-time.Second) }), 503, "temporarily_unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := newIssuer(t, partners()).Grant(test.request, noon)
			if answer.Status != test.status || answer.Error != test.code || answer.Issued() {
				t.Fatalf("%v", answer)
			}
			var body map[string]string
			if err := json.Unmarshal(answer.Body, &body); err != nil {
				t.Fatal(err)
			}
			if len(body) != 2 || body["error"] != test.code || body["error_description"] == "" || strings.ContainsAny(body["error_description"], `"\`) {
				t.Errorf("%v", body)
			}
			if answer.header("cache-control") != "no-store" || answer.header("pragma") != "no-cache" {
				t.Errorf("headers %v", answer.Headers)
			}
			if (answer.header("www-authenticate") != "") != (test.status == 401) || (answer.header("allow") != "") != (test.status == 405) {
				t.Errorf("headers %v", answer.Headers)
			}
		})
	}
}

func TestWhoAsksTooOftenIsToldWhenToTryAgain(t *testing.T) {
	for wait, want := range map[time.Duration]string{time.Nanosecond: "1", 200 * time.Millisecond: "1", time.Second: "1", 1001 * time.Millisecond: "2"} {
		answer := TooOften(wait)
		if answer.Status != 429 || answer.Error != "temporarily_unavailable" || answer.Issued() || answer.header("retry-after") != want || answer.header("cache-control") != "no-store" {
			t.Errorf("after %v: %v, headers %v", wait, answer, answer.Headers)
		}
	}
}

func TestADocumentMayBeKeptAndHoldsNoToken(t *testing.T) {
	answer := Document("application/jwk-set+json", []byte("{}"), "the key set")
	if answer.Status != 200 || answer.Issued() || answer.String() != "the key set" ||
		answer.header("content-type") != "application/jwk-set+json" || answer.header("cache-control") != "public, max-age=300" {
		t.Errorf("%v, headers %v", answer, answer.Headers)
	}
}

func TestAnAnswerIsPrintedWithoutItsToken(t *testing.T) {
	answer := newIssuer(t, partners()).Grant(asked(nsp, "grant_type=client_credentials"), noon)
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if printed := fmt.Sprintf(format, answer); strings.Contains(printed, "eyJ") || strings.Contains(printed, "101 121 74") {
			t.Errorf("%s: %s", format, printed)
		}
	}
}

func FuzzGrant(f *testing.F) {
	i := newIssuer(f, partners())
	f.Add("grant_type=client_credentials", formType)
	f.Add("grant_type=client_credentials&scope=visits:read&audience=visits&client_id=nsp", formType+"; charset=utf-8")
	f.Add("grant_type=client_credentials&grant_type=password;%00=%zz", formType)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		r := asked(nsp, body)
		r.ContentType = contentType
		answer := i.Grant(r, noon)
		if !json.Valid(answer.Body) || answer.Status != http.StatusOK && answer.Error == "" {
			t.Fatalf("%v", answer)
		}
		if answer.Issued() && (!slices.Contains([]string{"visits", "prisons"}, answer.Audience) || !slices.Equal(answer.Scopes, []string{"visits:read"})) {
			t.Fatalf("%v", answer)
		}
	})
}
