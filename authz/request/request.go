package request

import (
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// Context is where a request stands, as the proxy's route says (context_extensions). A caller can write none of it.
type Context struct {
	Gateway, Listener, Entry string
	// Route, Rule, Policy, PolicyVersion, Upstream and UpstreamVersion are empty where Outcome is set.
	Route, Rule, Policy string
	// PolicyVersion is the version of the policy that the proxy's route was made with.
	PolicyVersion string
	// Upstream is empty where Answer is set.
	Upstream string
	// UpstreamVersion is the version of the upstream to which the proxy's route leads; empty exactly where Upstream is.
	UpstreamVersion string
	// Answer is empty, or what is answered without an upstream: one of the values of checkcontext.
	Answer string
	// Provider is whose answer it is; empty where Answer is, or is whoami.
	Provider string
	// Outcome is empty, or why the request leads nowhere: one of the values of checkcontext.
	Outcome string
}

// Request is one request that a proxy asks about. It is read-only.
type Request struct {
	Context
	// ID is the request's id: x-request-id, which the proxy makes, or else the id of the stream.
	ID     string
	Method string
	// Host is the authority in lower case, as the proxy left it: without port and trailing dot.
	Host string
	// Path is the normalised path without the query; %2F is part of a segment.
	Path string
	// Query is what follows the first question mark.
	Query string
	// Certificate is the peer's leaf certificate, URL-encoded PEM, exactly as received and not looked at; empty if there
	// is none.
	Certificate string
	// SNI is the server name of the TLS handshake; empty without one.
	SNI string
	// Body is what was sent to a token endpoint; empty on every other route, where nobody looks at it. It may hold secrets.
	Body string

	headers map[string]string
}

// Header returns a header by its name in lower case. Several of one name come as one, joined by commas. Nobody's
// identity may be taken from here: a caller writes what it likes.
func (r *Request) Header(name string) (value string, ok bool) {
	value, ok = r.headers[name]
	return value, ok
}

// Error says why a request is refused before anybody is judged.
type Error struct {
	// Reason is reason.RequestMalformed, or reason.ContextMissing where the proxy is to blame.
	Reason reason.Reason
	// Detail is for the log, and for callers where a policy discloses it. It has no text of the caller's.
	Detail string
}

// Error is the reason and the detail.
func (e *Error) Error() string { return string(e.Reason) + ": " + e.Detail }

func malformed(detail string) *Error { return &Error{Reason: reason.RequestMalformed, Detail: detail} }

func contextMissing(detail string) *Error {
	return &Error{Reason: reason.ContextMissing, Detail: detail}
}

// Parse reads a CheckRequest. The Request is never nil; with an error, which is always an *Error, it holds what could be
// read, for the record of the refusal and for nothing else.
//
// CheckRequest's own query field is always empty: Envoy leaves the query in the path.
func Parse(check *authv3.CheckRequest) (*Request, error) {
	r := read(check)
	for _, problem := range [...]*Error{r.checkContext(), r.checkMethod(), r.checkHost(), checkPath(r.Path), checkQuery(r.Query), r.checkHeaders()} {
		if problem != nil {
			return r, problem
		}
	}
	return r, nil
}

// read copies what is there and judges nothing.
func read(check *authv3.CheckRequest) *Request {
	attributes := check.GetAttributes()
	http := attributes.GetRequest().GetHttp()
	context := attributes.GetContextExtensions()
	path, query, _ := strings.Cut(http.GetPath(), "?")
	return &Request{
		Context: Context{
			Gateway: context[checkcontext.Gateway], Listener: context[checkcontext.Listener], Entry: context[checkcontext.Entry],
			Route: context[checkcontext.Route], Rule: context[checkcontext.Rule],
			Policy: context[checkcontext.Policy], PolicyVersion: context[checkcontext.PolicyHash],
			Upstream: context[checkcontext.Upstream], UpstreamVersion: context[checkcontext.UpstreamHash],
			Answer: context[checkcontext.Answer], Provider: context[checkcontext.Provider], Outcome: context[checkcontext.Outcome],
		},
		ID:          requestID(http),
		Method:      http.GetMethod(),
		Host:        strings.ToLower(http.GetHost()),
		Path:        path,
		Query:       query,
		Certificate: attributes.GetSource().GetCertificate(),
		SNI:         attributes.GetTlsSession().GetSni(),
		Body:        body(http, context[checkcontext.Answer]),
		headers:     http.GetHeaders(),
	}
}

// body is that of a request to a token endpoint; Envoy sends it as text, or as bytes where it was told to.
func body(http *authv3.AttributeContext_HttpRequest, answer string) string {
	switch {
	case answer != checkcontext.AnswerToken:
		return ""
	case http.GetBody() != "":
		return http.GetBody()
	}
	return string(http.GetRawBody())
}

// maxRequestID is the longest request id that is taken up, in bytes. Envoy's own have 36.
const maxRequestID = 128

// requestID is the id by which a caller, the log and the proxies all know the request.
func requestID(http *authv3.AttributeContext_HttpRequest) string {
	for _, id := range [...]string{http.GetHeaders()["x-request-id"], http.GetId()} {
		if id != "" && len(id) <= maxRequestID && !strings.ContainsFunc(id, notInRequestID) {
			return id
		}
	}
	return ""
}

func notInRequestID(c rune) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("-._:", c):
		return false
	}
	return true
}

// checkContext wants either a way to an upstream, or to an answer of ours, or an outcome, and never two of them.
func (r *Request) checkContext() *Error {
	if r.Gateway == "" || r.Listener == "" || r.Entry == "" {
		return contextMissing("the route does not name its gateway, listener and entry")
	}
	end := r.Upstream
	if r.Answer != "" {
		if !knownAnswer(r.Answer) || r.Upstream != "" {
			return contextMissing("the route's answer is not known, or it has an upstream as well")
		}
		end = r.Answer
	}
	if (r.Upstream != "") != (r.UpstreamVersion != "") {
		return contextMissing("the route names an upstream without its version, or the other way round")
	}
	if ofProvider := r.Answer != "" && r.Answer != checkcontext.AnswerWhoAmI; ofProvider != (r.Provider != "") {
		return contextMissing("the route's answer is a provider's, and the route names none, or the other way round")
	}
	way := [...]string{r.Route, r.Rule, r.Policy, r.PolicyVersion, end}
	switch r.Outcome {
	case checkcontext.OutcomeNoRoute, checkcontext.OutcomeMisdirected:
		for _, name := range way {
			if name != "" {
				return contextMissing("the route leads nowhere and yet names where it leads")
			}
		}
	case "":
		for _, name := range way {
			if name == "" {
				return contextMissing("the route does not name its route, rule, policy, policy version and upstream")
			}
		}
	default:
		return contextMissing("the route's outcome is not known")
	}
	return nil
}

func knownAnswer(answer string) bool {
	switch answer {
	case checkcontext.AnswerWhoAmI, checkcontext.AnswerToken, checkcontext.AnswerKeySet, checkcontext.AnswerIssuerMetadata:
		return true
	}
	return false
}
