package material

import (
	"context"
	"time"
)

// Fetcher gets what remote references of a scheme point to. A Store calls it from several goroutines.
type Fetcher interface {
	// Fetch returns what is there now, within the context. An error wraps fs.ErrNotExist where the place answers that there
	// is nothing, and fs.ErrPermission where it answers that we may not look. Its text is the same for the same fault, so it
	// holds no request id and no time, and it never holds what was fetched.
	Fetch(ctx context.Context, request Request) (Fetched, error)
}

// Request says what to get.
type Request struct {
	// Reference is well-formed and of the Fetcher's scheme. Of a secret, the whole is asked for: it has no field.
	Reference Reference
	// ExpectedOwner is the AWS account that must own the bucket; empty for any.
	ExpectedOwner string
	// Known is what came with the bytes that are held already; zero if there are none. Where they are still the same, they
	// need not be sent again.
	Known Validator
	// Limit is the most bytes that are read. More is an error from TooLarge.
	Limit int64
}

// Validator tells one content of a place from another, as the place itself does (RFC 9110, 8.8).
type Validator struct {
	// ETag is opaque, and written with its quotes.
	ETag string
	// Modified is when the content changed last; zero if the place does not say.
	Modified time.Time
	// Version is the object's or secret's version; empty if there are none.
	Version string
}

// Fetched is the answer to a Request.
type Fetched struct {
	// Unchanged says that the content is what the request's Known came with. Data is empty then.
	Unchanged bool
	Data      []byte
	Validator
}

// Meaning gives an error a meaning for errors.Is, and leaves what it says as it is.
func Meaning(err, meaning error) error { return meant{err, meaning} }

type meant struct{ err, meaning error }

// Error is the text of the error alone.
func (m meant) Error() string { return m.err.Error() }

// Unwrap returns both.
func (m meant) Unwrap() []error { return []error{m.err, m.meaning} }
