package idp

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Kind says whose fault a failed exchange is.
type Kind int

// The kinds of failures.
const (
	// Unreachable: there was no connection, or it broke.
	Unreachable Kind = iota + 1
	// Timeout: there was no whole answer in time, or the caller gave up waiting. The error wraps the context's.
	Timeout
	// BadAnswer: what came cannot be used: a server's error, a redirect, garbage, too much.
	BadAnswer
	// Refused: the provider understood, and said no. Code says why.
	Refused
	// Misconfigured: nothing was asked, since what is configured, or the metadata, does not allow it.
	Misconfigured
)

// String is the kind in small letters, as "bad answer".
func (k Kind) String() string {
	switch k {
	case Unreachable:
		return "unreachable"
	case Timeout:
		return "timeout"
	case BadAnswer:
		return "bad answer"
	case Refused:
		return "refused"
	case Misconfigured:
		return "misconfigured"
	}
	return "unknown"
}

// Error is the only type of error that a Provider's methods return. Its text is for operators: it holds no secret, no
// token and no free text of the provider.
type Error struct {
	Kind Kind
	// Status is the HTTP status, or 0 if there was no answer.
	Status int
	// Code is the OAuth error code of a refusal (RFC 6749, section 5.2), in lower-case letters, digits and underscores.
	Code string
	// Claims is the JSON object that a refusal asks the user's client to present at the authorization endpoint (step-up),
	// in visible ASCII; or empty.
	Claims string
	// RetryAfter is how long the provider wants to be left alone, or 0.
	RetryAfter time.Duration

	doing  string
	detail string
	cause  error
}

func (e *Error) Error() string {
	if e.doing == "" {
		return e.detail
	}
	return e.doing + ": " + e.detail
}

// Unwrap returns what context or configuration gave as the reason, or nil.
func (e *Error) Unwrap() error { return e.cause }

func badAnswer(format string, arguments ...any) *Error {
	return &Error{Kind: BadAnswer, detail: fmt.Sprintf(format, arguments...)}
}

func misconfigured(format string, arguments ...any) *Error {
	err := fmt.Errorf(format, arguments...)
	return &Error{Kind: Misconfigured, detail: err.Error(), cause: errors.Unwrap(err)}
}

// failure makes an Error of what an exchange ended with. Errors of net/http can quote addresses with their queries and what
// a server sent, so only texts that are known to hold neither are passed on.
func failure(doing string, err error) *Error {
	var ours *Error
	if errors.As(err, &ours) {
		named := *ours
		if named.doing == "" {
			named.doing = doing
		}
		return &named
	}
	named := &Error{Kind: Unreachable, doing: doing}
	var timeout net.Error
	var operation *net.OpError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, context.Canceled):
		named.Kind, named.cause, named.detail = Timeout, context.Canceled, "nobody waits for the answer any more"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		named.Kind, named.cause, named.detail = Timeout, context.DeadlineExceeded, "there was no whole answer in time"
	case errors.As(err, &operation):
		named.detail = fmt.Sprintf("the connection failed (%s): %v", operation.Op, operation.Err)
	case errors.As(err, &certificate):
		named.detail = "its certificate is not accepted: " + certificate.Err.Error()
	case errors.As(err, &record):
		named.detail = "what answers there does not speak TLS"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		named.detail = "the connection was closed before the answer was whole"
	default:
		named.Kind, named.detail = BadAnswer, "the connection broke, or what it sends is no HTTP"
	}
	return named
}

// maxClaims is the longest claims challenge that is passed on, in bytes.
const maxClaims = 4 << 10

// errorCode is what an error code looks like. RFC 6749 allows more; but no code that is registered has it, and a provider that
// repeats what it was sent must not bring a secret into an error.
var errorCode = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// refusal reads an answer that is no success: an OAuth error (RFC 6749, section 5.2), or something else.
func refusal(status int, header http.Header, body []byte) *Error {
	refused := &Error{Kind: BadAnswer, Status: status, RetryAfter: retryAfter(header)}
	refused.detail = strings.TrimSpace(fmt.Sprintf("the server answers %d %s", status, http.StatusText(status)))
	var answer struct {
		Error      string `json:"error"`
		Claims     string `json:"claims"`
		ErrorCodes []int  `json:"error_codes"` // Entra's own numbers, which its documentation explains
	}
	// Some providers have numbers of another form; the rest of the answer is still what it is.
	if err := json.Unmarshal(body, &answer); err != nil && answer.Error == "" || !errorCode.MatchString(answer.Error) {
		return refused
	}
	if status >= http.StatusInternalServerError || status == http.StatusTooManyRequests {
		refused.detail += " (" + answer.Error + ")"
		return refused
	}
	refused.Kind, refused.Code = Refused, answer.Error
	refused.detail = fmt.Sprintf("the provider refuses with %s (status %d)", answer.Error, status)
	if len(answer.ErrorCodes) > 0 {
		numbers := make([]string, 0, len(answer.ErrorCodes))
		for _, number := range answer.ErrorCodes[:min(len(answer.ErrorCodes), 4)] {
			numbers = append(numbers, strconv.Itoa(number))
		}
		refused.detail += ", error_codes " + strings.Join(numbers, ", ")
	}
	if challenge(answer.Claims) {
		refused.Claims = answer.Claims
	}
	return refused
}

// challenge reports whether a text is a JSON object that can be passed to a browser.
func challenge(text string) bool {
	var object map[string]json.RawMessage
	return len(text) <= maxClaims && within(text, ' ', '~') && json.Unmarshal([]byte(text), &object) == nil
}

// retryAfter reads seconds of RFC 9110, section 10.2.3, up to an hour. Dates are not looked at.
func retryAfter(header http.Header) time.Duration {
	seconds, err := strconv.Atoi(header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}

// within reports whether all bytes of a text lie between two.
func within(text string, first, last byte) bool {
	return !slices.ContainsFunc([]byte(text), func(b byte) bool { return b < first || b > last })
}

func lower(text string) string { return strings.ToLower(text) }
