package reply

import (
	"errors"
	"fmt"

	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/authz/policy"
)

// With is what goes into a reply beside the decision. The zero value is nothing.
type With struct {
	// Quota is the caller's, or nil; it is told on every answer to a request that counted.
	Quota *limit.Quota
	// Onward is what an admitted request has in its Authorization header when it goes on.
	Onward Onward
	// Answer is what is answered where the request's rule has no upstream; nil for whoami, which is made of the decision.
	Answer *Answer
}

// Onward is what goes on in the Authorization header. The zero value removes it.
type Onward struct {
	// Authorization, if not empty, stands there in place of whatever the caller sent. It is a secret.
	Authorization string
	// Pass lets the caller's own stand. It counts only where Authorization is empty, and only for a token that was accepted.
	Pass bool
}

// String tells what becomes of the header, and not what stands in it.
func (o Onward) String() string {
	switch {
	case o.Authorization != "":
		return "set"
	case o.Pass:
		return "pass"
	}
	return "remove"
}

// GoString is String.
func (o Onward) GoString() string { return o.String() }

// Format writes String, whatever the verb.
func (o Onward) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte(o.String())) }

// Answer is an answer of our own in place of an upstream's.
type Answer struct {
	// Status is the HTTP status.
	Status      int
	ContentType string
	// Headers are further ones, by name in lower case.
	Headers map[string]string
	// Body may hold a token: it is shown to the caller and to nobody else.
	Body string
}

const authorization = "authorization"

// maxAuthorization is the longest value that is set, in bytes: a token of 16 KiB, which is more than any of ours or of those that we
// accept, and the scheme.
const maxAuthorization = 16<<10 + len("Bearer ")

var errAuthorization = errors.New("the token for the upstream is no value of a header")

// goesOn says what becomes of the Authorization header: the value that is set, or whether the caller's own stands.
func goesOn(o Onward, d *policy.Decision) (value string, pass bool, err error) {
	if o.Authorization == "" {
		return "", o.Pass && d.Token != nil, nil
	}
	if !isVisible(o.Authorization, maxAuthorization) {
		return "", false, errAuthorization
	}
	return o.Authorization, false, nil
}
