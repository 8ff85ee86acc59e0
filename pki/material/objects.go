package material

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var (
	// ErrConflict is wrapped by the error of a Put whose condition does not hold: somebody else was first.
	ErrConflict = errors.New("somebody else has written it meanwhile")
	// ErrNoVersions is wrapped by the error for a place that keeps no versions.
	ErrNoVersions = errors.New("the place keeps no versions")
)

// Objects publishes: it writes whole objects, each in one step, and reads them back. Files and S3 have one each, so that
// whoever publishes does not care which it is.
type Objects interface {
	// Get returns what is there now, or the version that the reference pins. An error wraps fs.ErrNotExist where there is
	// nothing.
	Get(ctx context.Context, reference Reference) (Content, error)
	// Put replaces the whole object, or makes it, and returns its new version. A reader meanwhile sees what was there before
	// or what is there after. Where the condition does not hold, nothing is written, and the error wraps ErrConflict; one of
	// IfAbsent wraps fs.ErrExist too. If what stands there is the very data, though, it is taken for written: an answer that
	// was lost on its way is asked for again. What is not Publishable is refused.
	Put(ctx context.Context, reference Reference, data []byte, condition Condition) (Version, error)
	// Versions returns the versions of an object, the latest first. The error of a place without any wraps ErrNoVersions.
	Versions(ctx context.Context, reference Reference) ([]Version, error)
}

// Content is what an object holds.
type Content struct {
	Data []byte
	Version
}

// Version is one content of an object.
type Version struct {
	// ID is what a reference can be pinned to (Reference.AtVersion); empty where there are no versions.
	ID string
	// ETag is what a Condition can ask for. It is opaque, and holds its quotes.
	ETag string
	// Modified is when it was written, as the place tells the time.
	Modified time.Time
	// Size is in bytes.
	Size int64
	// Latest says that nothing was written after it. A version that was deleted is none.
	Latest bool
}

// Condition is what must hold for a Put. The zero value is no condition.
type Condition struct {
	// IfMatch is the ETag of what is to be replaced.
	IfMatch string
	// IfAbsent says that there must be nothing yet.
	IfAbsent bool
}

// Publishable reports why bytes cannot be published: nobody here would read them.
func Publishable(data []byte) error {
	switch {
	case len(data) == 0:
		return errEmpty
	case len(data) > MaxSize:
		return TooLarge(MaxSize)
	}
	return nil
}

// ByScheme publishes by whichever Objects there are for a reference's scheme.
type ByScheme map[Scheme]Objects

// Get implements Objects.
func (b ByScheme) Get(ctx context.Context, reference Reference) (Content, error) {
	objects, err := b.of(reference)
	if err != nil {
		return Content{}, err
	}
	return objects.Get(ctx, reference)
}

// Put implements Objects.
func (b ByScheme) Put(ctx context.Context, reference Reference, data []byte, condition Condition) (Version, error) {
	objects, err := b.of(reference)
	if err != nil {
		return Version{}, err
	}
	return objects.Put(ctx, reference, data, condition)
}

// Versions implements Objects.
func (b ByScheme) Versions(ctx context.Context, reference Reference) ([]Version, error) {
	objects, err := b.of(reference)
	if err != nil {
		return nil, err
	}
	return objects.Versions(ctx, reference)
}

func (b ByScheme) of(reference Reference) (Objects, error) {
	objects := b[reference.Scheme]
	if objects == nil {
		return nil, fmt.Errorf("%s is no place to publish at: use file:PATH or s3://BUCKET/KEY", reference)
	}
	return objects, nil
}
