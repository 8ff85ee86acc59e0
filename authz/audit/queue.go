package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

// WhenFull is what becomes of a request whose record finds the queue full.
type WhenFull string

// The choices.
const (
	// Drop lets the request go on and loses its record, which is counted.
	Drop WhenFull = "drop"
	// Deny turns away requests that would have passed. The records of denials are lost as with Drop, and counted.
	Deny WhenFull = "deny"
)

// DefaultQueueSize is how many records a queue holds unless told otherwise. One takes half a KiB as a rule.
const DefaultQueueSize = 8192

// ErrFull is a queue's refusal of a record.
var ErrFull = errors.New("audit: the queue is full")

// QueueConfig is what a Queue needs.
type QueueConfig struct {
	// Logger is told when records are lost, and when they no longer are. Silent if nil.
	Logger hclog.Logger
	// Writer takes the lines, several in one call. Required. Only Run uses it.
	Writer io.Writer
	// Size in records; DefaultQueueSize if zero.
	Size int
	// WhenFull is Drop if empty.
	WhenFull WhenFull
	// RetryAfter is how long Run waits after a write that failed; one second if zero.
	RetryAfter time.Duration
}

// Queue is a Sink that keeps records as JSON, one on a line, without holding up whoever records: Run writes them. Their
// traces are left out. It is safe for concurrent use.
type Queue struct {
	config  QueueConfig
	records chan Record
	lost    atomic.Uint64
	failed  atomic.Uint64
	// losing is set from the first record that is lost until one is written again.
	losing atomic.Bool

	lines lineWriter
	// ended is set when Run ends; from then on whoever records also writes, one at a time.
	ended     atomic.Bool
	finishing sync.Mutex
}

// NewQueue makes a queue. Nothing is written until Run.
func NewQueue(config QueueConfig) (*Queue, error) {
	if config.Writer == nil || config.Size < 0 || config.RetryAfter < 0 {
		return nil, errors.New("audit: a queue needs a writer, and neither size nor pause may be negative")
	}
	switch config.WhenFull {
	case "":
		config.WhenFull = Drop
	case Drop, Deny:
	default:
		return nil, fmt.Errorf("audit: expected %s or %s for a full queue, found %q", Drop, Deny, config.WhenFull)
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Size == 0 {
		config.Size = DefaultQueueSize
	}
	if config.RetryAfter == 0 {
		config.RetryAfter = time.Second
	}
	return &Queue{config: config, records: make(chan Record, config.Size), lines: lineWriter{to: config.Writer}}, nil
}

// Record queues one. It never waits, unless Run has ended: then it writes, so that what is recorded while the last requests
// are answered is kept as well. The error is ErrFull, and only where the queue denies.
func (q *Queue) Record(r Record) error {
	r.Steps = nil
	select {
	case q.records <- r:
		if q.ended.Load() {
			q.finish()
		}
		return nil
	default:
	}
	if q.config.WhenFull == Deny && r.Allowed {
		return ErrFull // the record of the denial is the one that is lost
	}
	q.lose(1)
	return nil
}

// lose counts records that nobody will read.
func (q *Queue) lose(n uint64) {
	q.lost.Add(n)
	if !q.losing.Swap(true) {
		q.config.Logger.Error("audit records are being lost: they come faster than they can be written", "lost", q.lost.Load())
	}
}

// Depth is how many records wait, and Size how many may.
func (q *Queue) Depth() int { return len(q.records) }

// Size is how many records may wait.
func (q *Queue) Size() int { return cap(q.records) }

// Lost is how many records were lost so far.
func (q *Queue) Lost() uint64 { return q.lost.Load() }

// Failed is how many writes have failed so far.
func (q *Queue) Failed() uint64 { return q.failed.Load() }

// maxBatch is how much is written at once, in bytes, but for the last line.
const maxBatch = 64 << 10

// Run writes until the context ends, then what is still queued, and returns nil. Call it once.
//
// A write that fails, as on a full disk, is logged, counted and tried again. A queue that drops gives up what could not be
// written; one that denies keeps it, so that the queue fills up and nothing passes unrecorded.
func (q *Queue) Run(ctx context.Context) error {
	for {
		select {
		case r := <-q.records:
			q.batch(r)
			q.write(ctx)
		case <-ctx.Done():
			q.ended.Store(true)
			q.finish()
			return nil
		}
	}
}

// batch collects the record and those that follow at once.
func (q *Queue) batch(r Record) {
	for {
		q.lines.add(r)
		if q.lines.text.Len() >= maxBatch {
			return
		}
		select {
		case r = <-q.records:
		default:
			return
		}
	}
}

// write writes what is collected, and returns once it is written, given up, or the context has ended.
func (q *Queue) write(ctx context.Context) {
	for {
		err := q.lines.flush()
		if err == nil {
			if q.losing.Swap(false) {
				q.config.Logger.Info("audit records are written again", "lost", q.lost.Load())
			}
			return
		}
		q.failed.Add(1)
		if !q.losing.Swap(true) {
			q.config.Logger.Error("audit records cannot be written", "error", err, "when_full", string(q.config.WhenFull))
		}
		if q.config.WhenFull == Drop {
			q.lost.Add(q.lines.drop())
		}
		timer := time.NewTimer(q.config.RetryAfter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		if q.config.WhenFull == Drop {
			return
		}
	}
}

// finish writes what is left, and tries each part once.
func (q *Queue) finish() {
	q.finishing.Lock()
	defer q.finishing.Unlock()
	for {
		select {
		case r := <-q.records:
			q.batch(r)
			continue
		default:
		}
		if err := q.lines.flush(); err != nil {
			lost := q.lines.drop()
			q.lost.Add(lost)
			q.config.Logger.Error("the last audit records could not be written", "error", err, "lost", lost)
		}
		return
	}
}

// lineWriter collects lines and writes them whole.
type lineWriter struct {
	to    io.Writer
	text  bytes.Buffer
	count uint64
	// torn is set after a line was written in part: what comes next must not be taken for its rest.
	torn bool
}

func (w *lineWriter) add(r Record) {
	encoder := json.NewEncoder(&w.text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(r); err != nil {
		// Its time is beyond the year 9999, or its kind of value has no form: never, by the types of Record.
		fmt.Fprintf(&w.text, "{\"kind\":%q,\"detail\":\"a record that cannot be encoded\"}\n", r.Kind)
	}
	w.count++
}

// flush writes everything. After an error, what was written is no longer there and the rest is.
func (w *lineWriter) flush() error {
	if w.torn {
		if _, err := w.to.Write([]byte("\n")); err != nil {
			return err
		}
		w.torn = false
	}
	if w.text.Len() == 0 {
		return nil
	}
	n, err := w.to.Write(w.text.Bytes())
	if err == nil && n < w.text.Len() {
		err = io.ErrShortWrite
	}
	if err == nil {
		w.text.Reset()
		w.count = 0
		return nil
	}
	written := w.text.Bytes()[:n]
	whole := bytes.LastIndexByte(written, '\n') + 1
	w.torn = whole < n
	w.count -= uint64(bytes.Count(written, []byte("\n"))) //nolint:gosec // a count
	w.text.Next(whole)                                    // the line that is torn is written again, whole
	return err
}

// drop gives up what is collected and returns how many records that is.
func (w *lineWriter) drop() uint64 {
	n := w.count
	w.text.Reset()
	w.count = 0
	return n
}
