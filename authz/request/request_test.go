package request_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// asked is a good CheckRequest, and then changed.
func asked(change func(*authv3.AttributeContext)) *authv3.CheckRequest {
	attributes := &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Certificate: "-----BEGIN%20"},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: "42", Method: "GET", Host: "api.example.org", Path: "/v1/persons/1?q=x",
			Headers: map[string]string{":authority": "api.example.org", "x-request-id": "d3b0-1"},
		}},
		TlsSession: &authv3.AttributeContext_TLSSession{Sni: "api.example.org"},
		ContextExtensions: map[string]string{
			checkcontext.Gateway: "edge", checkcontext.Listener: "https", checkcontext.Entry: "api.example.org",
			checkcontext.Route: "api", checkcontext.Rule: "persons", checkcontext.Policy: "partners",
			checkcontext.PolicyHash: "abc", checkcontext.Upstream: "api", checkcontext.UpstreamHash: "def",
		},
	}
	if change != nil {
		change(attributes)
	}
	return &authv3.CheckRequest{Attributes: attributes}
}

func path(p string) func(*authv3.AttributeContext) {
	return func(a *authv3.AttributeContext) { a.Request.Http.Path = p }
}

func header(name, value string) func(*authv3.AttributeContext) {
	return func(a *authv3.AttributeContext) { a.Request.Http.Headers[name] = value }
}

func context(key, value string) func(*authv3.AttributeContext) {
	return func(a *authv3.AttributeContext) { a.ContextExtensions[key] = value }
}

func TestAGoodRequestIsReadWhole(t *testing.T) {
	r, err := request.Parse(asked(nil))
	if err != nil {
		t.Fatal(err)
	}
	if r.Path != "/v1/persons/1" || r.Query != "q=x" || r.Method != http.MethodGet || r.Host != "api.example.org" || r.SNI != "api.example.org" {
		t.Errorf("read %+v", r)
	}
	if r.ID != "d3b0-1" || r.Certificate != "-----BEGIN%20" {
		t.Errorf("id %q, certificate %q", r.ID, r.Certificate)
	}
	want := request.Context{
		Gateway: "edge", Listener: "https", Entry: "api.example.org", Route: "api", Rule: "persons",
		Policy: "partners", PolicyVersion: "abc", Upstream: "api", UpstreamVersion: "def",
	}
	if r.Context != want {
		t.Errorf("context %+v", r.Context)
	}
}

func TestWhatCanBeReadInTwoWaysIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*authv3.AttributeContext)
		want   reason.Reason // empty: accepted
	}{
		"a trailing slash":                   {path("/v1/persons/"), ""},
		"an escaped slash that is kept":      {path("/v1/persons/a%2Fb"), ""},
		"an escaped space and letters":       {path("/a%20b/%C5%82"), ""},
		"a semicolon that is escaped":        {path("/a%3Bb"), ""},
		"the root":                           {path("/"), ""},
		"dots that are no dot segment":       {path("/a..b/.well-known/..."), ""},
		"a semicolon":                        {path("/v1/persons;x=1/1"), reason.RequestMalformed},
		"a dot segment with parameters":      {path("/v1/..%3Bx/admin"), reason.RequestMalformed},
		"a fragment":                         {path("/v1#x"), reason.RequestMalformed},
		"a fragment in the query":            {path("/v1?x#y"), reason.RequestMalformed},
		"dot segments":                       {path("/v1/../admin"), reason.RequestMalformed},
		"a single dot segment":               {path("/v1/./admin"), reason.RequestMalformed},
		"escaped dot segments":               {path("/v1/%2e%2E/admin"), reason.RequestMalformed},
		"dot segments behind escaped slash":  {path("/v1/x%2F..%2Fadmin"), reason.RequestMalformed},
		"dot segments behind a backslash":    {path("/v1/x%5C..%5cadmin"), reason.RequestMalformed},
		"an empty segment":                   {path("/v1//admin"), reason.RequestMalformed},
		"a backslash":                        {path(`/v1\admin`), reason.RequestMalformed},
		"a control character":                {path("/v1/\x01"), reason.RequestMalformed},
		"a space":                            {path("/v1/a b"), reason.RequestMalformed},
		"raw UTF-8":                          {path("/v1/ł"), reason.RequestMalformed},
		"an escaped NUL":                     {path("/v1/a%00b"), reason.RequestMalformed},
		"an escaped line feed":               {path("/v1/a%0Ab"), reason.RequestMalformed},
		"escapes that are not UTF-8":         {path("/v1/%ff"), reason.RequestMalformed},
		"a percent sign that escapes naught": {path("/v1/100%"), reason.RequestMalformed},
		"a path without a slash":             {path("v1"), reason.RequestMalformed},
		"no path":                            {path(""), reason.RequestMalformed},
		"an asterisk":                        {path("*"), reason.RequestMalformed},
		"an absolute path":                   {path("https://api.example.org/v1"), reason.RequestMalformed},
		"a path of 9 KiB":                    {path("/" + strings.Repeat("a", 9<<10)), reason.RequestMalformed},
		"a control character in the query":   {path("/v1?a\x00b"), reason.RequestMalformed},
		"one bearer token":                   {header("authorization", "Bearer abc"), ""},
		"two authorization headers":          {header("authorization", "Bearer a,Bearer b"), reason.RequestMalformed},
		"a host header that is the same":     {header("host", "API.example.org"), ""},
		"a host header that differs":         {header("host", "other.example.org"), reason.RequestMalformed},
		"an authority that differs":          {header(":authority", "other.example.org"), reason.RequestMalformed},
		"a header that is not UTF-8":         {header("x-any", "\xff"), reason.RequestMalformed},
		"a header with a line feed":          {header("x-any", "a\nb"), reason.RequestMalformed},
		"no host":                            {func(a *authv3.AttributeContext) { a.Request.Http.Host = "" }, reason.RequestMalformed},
		"two hosts in one": {func(a *authv3.AttributeContext) { a.Request.Http.Host = "a.example.org,b.example.org" },
			reason.RequestMalformed},
		"a user before the host": {func(a *authv3.AttributeContext) { a.Request.Http.Host = "a@b" }, reason.RequestMalformed},
		"no method":              {func(a *authv3.AttributeContext) { a.Request.Http.Method = "" }, reason.RequestMalformed},
		"a method with a space":  {func(a *authv3.AttributeContext) { a.Request.Http.Method = "GET /" }, reason.RequestMalformed},
		"no gateway":             {context(checkcontext.Gateway, ""), reason.ContextMissing},
		"no entry":               {context(checkcontext.Entry, ""), reason.ContextMissing},
		"no policy":              {context(checkcontext.Policy, ""), reason.ContextMissing},
		"no policy version":      {context(checkcontext.PolicyHash, ""), reason.ContextMissing},
		"no upstream":            {context(checkcontext.Upstream, ""), reason.ContextMissing},
		"no upstream version":    {context(checkcontext.UpstreamHash, ""), reason.ContextMissing},
		"a version of no upstream": {answering(checkcontext.AnswerWhoAmI, func(context map[string]string) { context[checkcontext.UpstreamHash] = "def" }),
			reason.ContextMissing},
		"an answer beside an upstream": {context(checkcontext.Answer, checkcontext.AnswerWhoAmI), reason.ContextMissing},
		"an answer in its place":       {answering(checkcontext.AnswerWhoAmI, nil), ""},
		"an unknown answer":            {answering("whoareyou", nil), reason.ContextMissing},
		"an answer without a policy": {answering(checkcontext.AnswerWhoAmI, func(context map[string]string) { delete(context, checkcontext.Policy) }),
			reason.ContextMissing},
		"an answer and an outcome": {answering(checkcontext.AnswerWhoAmI, func(context map[string]string) { context[checkcontext.Outcome] = checkcontext.OutcomeNoRoute }),
			reason.ContextMissing},
		"an unknown outcome": {context(checkcontext.Outcome, "fine"), reason.ContextMissing},
		"an outcome beside a route": {context(checkcontext.Outcome, checkcontext.OutcomeNoRoute),
			reason.ContextMissing},
		"no context at all": {func(a *authv3.AttributeContext) { a.ContextExtensions = nil }, reason.ContextMissing},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := request.Parse(asked(test.change))
			if r == nil {
				t.Fatal("there is no request to record")
			}
			var problem *request.Error
			errors.As(err, &problem)
			if test.want == "" && err != nil || test.want != "" && (problem == nil || problem.Reason != test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// answering puts an answer in the place of the upstream.
func answering(answer string, change func(map[string]string)) func(*authv3.AttributeContext) {
	return func(a *authv3.AttributeContext) {
		delete(a.ContextExtensions, checkcontext.Upstream)
		delete(a.ContextExtensions, checkcontext.UpstreamHash)
		a.ContextExtensions[checkcontext.Answer] = answer
		if change != nil {
			change(a.ContextExtensions)
		}
	}
}

func TestARouteThatLeadsNowhereNamesItsOutcomeAlone(t *testing.T) {
	r, err := request.Parse(asked(func(a *authv3.AttributeContext) {
		a.ContextExtensions = map[string]string{
			checkcontext.Gateway: "edge", checkcontext.Listener: "https", checkcontext.Entry: "api.example.org",
			checkcontext.Outcome: checkcontext.OutcomeMisdirected,
		}
	}))
	if err != nil || r.Outcome != checkcontext.OutcomeMisdirected {
		t.Errorf("outcome %q, error %v", r.Outcome, err)
	}
}

func TestAnEmptyMessageIsRefused(t *testing.T) {
	for _, check := range []*authv3.CheckRequest{nil, {}, {Attributes: &authv3.AttributeContext{}}} {
		if r, err := request.Parse(check); err == nil || r == nil {
			t.Errorf("%v: request %v, error %v", check, r, err)
		}
	}
}

func TestARequestIDThatSaysMoreThanAnIDIsNotTakenUp(t *testing.T) {
	for given, want := range map[string]string{
		"b3c1a9de-0f65-4c55-9a4b-2f1f7c1b6a55": "b3c1a9de-0f65-4c55-9a4b-2f1f7c1b6a55",
		"":                                     "42",
		"a\nb":                                 "42",
		strings.Repeat("a", 129):               "42",
	} {
		if r, _ := request.Parse(asked(header("x-request-id", given))); r.ID != want {
			t.Errorf("%q: id %q, want %q", given, r.ID, want)
		}
	}
}

// answeringFor is a route that leads to an answer of the service's own.
func answeringFor(answer, provider string) func(*authv3.AttributeContext) {
	return func(a *authv3.AttributeContext) {
		delete(a.ContextExtensions, checkcontext.Upstream)
		delete(a.ContextExtensions, checkcontext.UpstreamHash)
		a.ContextExtensions[checkcontext.Answer] = answer
		if provider != "" {
			a.ContextExtensions[checkcontext.Provider] = provider
		}
		a.Request.Http.Body = "grant_type=client_credentials"
	}
}

func TestAnAnswerOfAProviderNamesIt(t *testing.T) {
	for name, test := range map[string]struct {
		answer, provider string
		good             bool
		body             string
	}{
		"a token endpoint":             {checkcontext.AnswerToken, "own", true, "grant_type=client_credentials"},
		"a key set":                    {checkcontext.AnswerKeySet, "own", true, ""},
		"metadata":                     {checkcontext.AnswerIssuerMetadata, "own", true, ""},
		"who somebody is":              {checkcontext.AnswerWhoAmI, "", true, ""},
		"a token endpoint of nobody":   {checkcontext.AnswerToken, "", false, ""},
		"who somebody is, of somebody": {checkcontext.AnswerWhoAmI, "own", false, ""},
		"an answer that nobody knows":  {"tokens", "own", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := request.Parse(asked(answeringFor(test.answer, test.provider)))
			var problem *request.Error
			switch {
			case !test.good:
				if !errors.As(err, &problem) || problem.Reason != reason.ContextMissing {
					t.Errorf("error %v", err)
				}
			case err != nil || r.Answer != test.answer || r.Provider != test.provider || r.Body != test.body:
				t.Errorf("read %+v, error %v", r.Context, err)
			}
		})
	}
	if _, err := request.Parse(asked(context(checkcontext.Provider, "own"))); err == nil {
		t.Error("a route to an upstream may name a provider")
	}
	raw := asked(answeringFor(checkcontext.AnswerToken, "own"))
	raw.Attributes.Request.Http.Body, raw.Attributes.Request.Http.RawBody = "", []byte("scope=a")
	if r, err := request.Parse(raw); err != nil || r.Body != "scope=a" {
		t.Errorf("body %q, error %v", r.Body, err)
	}
	if r, err := request.Parse(asked(func(a *authv3.AttributeContext) { a.Request.Http.Body = "access_token=x" })); err != nil || r.Body != "" {
		t.Errorf("the body of a request to an upstream is read: %q, error %v", r.Body, err)
	}
}
