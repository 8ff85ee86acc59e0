package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Segments are where an ObjectStore keeps what was appended, such as the objects of an S3 bucket under one prefix. It is
// safe for concurrent use.
type Segments interface {
	// Read returns an object's bytes. The error for one that is not there wraps fs.ErrNotExist.
	Read(ctx context.Context, name string) ([]byte, error)
	// Create makes an object that must not be there yet, else the error wraps fs.ErrExist and the one that is there stays.
	Create(ctx context.Context, name string, data []byte) error
}

// maxSegment is the most that one Append may write, in bytes: an object must be readable by whoever limits what he reads.
const maxSegment = 1 << 20

// readAhead is how many segments are fetched at once.
const readAhead = 16

// ObjectStore keeps a register in numbered objects, one for each Append: 0000000001.jsonl and so on. Objects are created
// and never replaced, so that of two operators who append at once the one who comes second reads again and takes the next
// number.
type ObjectStore struct {
	segments Segments
	config   Config

	mu       sync.Mutex
	register *Register
	// count is how many segments the register holds.
	count uint64
}

// NewObjectStore keeps a register in objects.
func NewObjectStore(segments Segments, config Config) *ObjectStore {
	return &ObjectStore{segments: segments, config: config.withDefaults(), register: &Register{verify: config.Verify}}
}

func segmentName(number uint64) string { return fmt.Sprintf("%010d.jsonl", number) }

// Load fetches the segments that have come since it was called last.
func (s *ObjectStore) Load(ctx context.Context) (*Register, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.catchUp(ctx); err != nil {
		return nil, fmt.Errorf("read the register: %w", err)
	}
	return s.register, nil
}

// Append writes all records or none. Where it cannot find out which of the two has happened, the error says so; the next
// Load tells. Of several who append the very same records in the same second, each is told that they are kept; they are
// kept once.
func (s *ObjectStore) Append(ctx context.Context, propose Proposal) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		entries, done, err := s.tryAppend(ctx, propose)
		if err != nil {
			return nil, fmt.Errorf("append to the register: %w", err)
		}
		if done {
			return entries, nil
		}
	}
}

// tryAppend is done unless somebody else was first.
func (s *ObjectStore) tryAppend(ctx context.Context, propose Proposal) (entries []Entry, done bool, err error) {
	if err := s.catchUp(ctx); err != nil {
		return nil, false, err
	}
	records, err := propose(s.register)
	if err != nil || len(records) == 0 {
		return nil, true, err
	}
	entries, lines, err := s.register.extend(records, s.config.Clock())
	if err != nil {
		return nil, false, err
	}
	if len(lines) > maxSegment {
		return nil, false, fmt.Errorf("%d bytes at once are too many: append fewer than %d records at a time", len(lines), len(records))
	}
	kept, err := s.create(ctx, segmentName(s.count+1), lines)
	if err != nil || !kept {
		return nil, false, err
	}
	return entries, true, s.take(lines)
}

// create reports whether a segment was kept; if not, somebody else's is there. After any error it looks again, because an
// answer can be lost after the object was written.
func (s *ObjectStore) create(ctx context.Context, name string, lines []byte) (kept bool, err error) {
	cause := s.segments.Create(ctx, name, lines)
	if cause == nil {
		return true, nil
	}
	there, err := s.segments.Read(ctx, name)
	switch {
	case err == nil:
		return bytes.Equal(there, lines), nil
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("write %s: %w", name, cause)
	default:
		return false, fmt.Errorf("write %s, and find out whether it was written: %w", name, errors.Join(cause, err))
	}
}

// catchUp fetches segments until one is missing.
func (s *ObjectStore) catchUp(ctx context.Context) error {
	batch := 1
	for {
		segments, err := s.fetch(ctx, s.count+1, batch)
		if err != nil {
			return err
		}
		for _, lines := range segments {
			if err := s.take(lines); err != nil {
				return err
			}
		}
		if len(segments) < batch {
			return nil
		}
		batch = readAhead
	}
}

// fetch returns consecutive segments, fewer than asked for where the last one is reached.
func (s *ObjectStore) fetch(ctx context.Context, first uint64, count int) ([][]byte, error) {
	segments, missing := make([][]byte, count), make([]bool, count)
	group, ctx := errgroup.WithContext(ctx)
	for i := range segments {
		number := first
		first++
		group.Go(func() error {
			data, err := s.segments.Read(ctx, segmentName(number))
			if errors.Is(err, fs.ErrNotExist) {
				missing[i] = true
				return nil
			}
			segments[i] = data
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if end := slices.Index(missing, true); end >= 0 {
		segments = segments[:end]
	}
	return segments, nil
}

// take adds a segment's lines to the register, all of them or none.
func (s *ObjectStore) take(lines []byte) error {
	if len(lines) == 0 || !bytes.HasSuffix(lines, []byte("\n")) {
		return &BrokenError{Line: s.register.Head().Count + 1, Reason: fmt.Sprintf("its end is missing in %s", segmentName(s.count+1))}
	}
	if err := s.register.read(lines); err != nil {
		return err
	}
	s.count++
	return nil
}
