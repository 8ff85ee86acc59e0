package mint

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Answer is what an issuer of our own answers: its token endpoint, or with a document. It may hold a token: print its String, never its
// Body.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Headers are the answer's headers, with names in lower case.
	Headers []Header
	// Body is JSON.
	Body []byte

	// Error is the error code of RFC 6749 section 5.2; empty where there is no error. Detail says more, in fixed words; it is empty
	// where a token was issued.
	Error, Detail string
	// Err is why no token could be made although one was due; nil otherwise. It is for the log and not for the caller.
	Err error
	// ID, Audience, Scopes and Expires are those of the token that was issued; zero where none was.
	ID, Audience string
	Scopes       []string
	Expires      time.Time
}

// Header is a header of an answer.
type Header struct{ Name, Value string }

// Issued tells whether there is a token in it.
func (a Answer) Issued() bool { return !a.Expires.IsZero() }

// String tells what was answered, without the token.
func (a Answer) String() string {
	switch {
	case a.Issued():
		return fmt.Sprintf("%d, the token %s for %s with the scopes %q until %s", a.Status, a.ID, a.Audience, a.Scopes, a.Expires.UTC().Format(time.RFC3339))
	case a.Error != "":
		return fmt.Sprintf("%d %s: %s", a.Status, a.Error, a.Detail)
	}
	return a.Detail
}

// GoString keeps the token out of %#v.
func (a Answer) GoString() string { return "mint.Answer{" + a.String() + "}" }

// Document answers with what everybody may read, and keep for a time that is short beside that for which keys are published before
// they sign. The detail says what it is.
func Document(contentType string, body []byte, detail string) Answer {
	return Answer{
		Status: http.StatusOK, Body: body, Detail: detail,
		Headers: []Header{{"content-type", contentType}, {"cache-control", "public, max-age=300"}},
	}
}

// TooOften answers who asks for more tokens than it may, and can ask again after a time. RFC 6749 has no code for it: this one says
// of those that there are what a client is to do.
func TooOften(retryAfter time.Duration) Answer {
	answer := (&refusal{http.StatusTooManyRequests, temporarilyUnavailable, "the client asks for tokens too often"}).answer()
	wait := max(1, int64(math.Ceil(retryAfter.Seconds()))) // rounded up, so that who waits for so long has waited long enough
	answer.Headers = append(answer.Headers, Header{"retry-after", strconv.FormatInt(wait, 10)})
	return answer
}

// temporarilyUnavailable is borrowed from RFC 6749 section 4.1.2.1: section 5.2 has no code for what will pass.
const temporarilyUnavailable = "temporarily_unavailable"

// refusal is why there is no token. Its texts are fixed: none quotes the request, and a description has no quotation marks and
// backslashes (RFC 6749, section 5.2).
type refusal struct {
	status      int
	code        string
	description string
}

func invalidRequest(description string) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_request", description}
}

func invalidClient(description string) *refusal {
	return &refusal{http.StatusUnauthorized, "invalid_client", description}
}

// invalidTarget is RFC 8707's, section 2.
func invalidTarget(description string) *refusal {
	return &refusal{http.StatusBadRequest, "invalid_target", description}
}

func (r *refusal) answer() Answer {
	answer := Answer{
		Status: r.status, Error: r.code, Detail: r.description, Headers: headers(),
		Body: encodeBody(struct {
			Error       string `json:"error"`
			Description string `json:"error_description"`
		}{r.code, r.description}),
	}
	switch r.status {
	case http.StatusMethodNotAllowed:
		answer.Headers = append(answer.Headers, Header{"allow", http.MethodPost})
	case http.StatusUnauthorized:
		// RFC 9110 section 15.5.2 wants a challenge, and there is no scheme for certificates: this one says who refused.
		answer.Headers = append(answer.Headers, Header{"www-authenticate", `Basic realm="no password is accepted here: use the client certificate"`})
	}
	return answer
}

// granted is RFC 6749's section 5.1. The scopes are always told: who asked for none got them all.
func granted(token string, expires time.Time, made entitlement, now time.Time) Answer {
	return Answer{
		Status: http.StatusOK, Headers: headers(), Audience: made.audience, Scopes: made.scopes, Expires: expires,
		Body: encodeBody(struct {
			Token     string `json:"access_token"`
			Type      string `json:"token_type"`
			ExpiresIn int64  `json:"expires_in"`
			Scope     string `json:"scope,omitempty"`
		}{token, "Bearer", int64(expires.Sub(now) / time.Second), strings.Join(made.scopes, " ")}),
	}
}

// headers keep an answer out of every cache (RFC 6749, section 5.1).
func headers() []Header {
	return []Header{{"content-type", "application/json"}, {"cache-control", "no-store"}, {"pragma", "no-cache"}}
}

func encodeBody(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		return []byte("{}") // texts and numbers can always be written
	}
	return append(text, '\n')
}
