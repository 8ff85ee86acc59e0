package testcloud

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Fault is what is wrong with a server.
type Fault int

// The faults.
const (
	// None lets every request through.
	None Fault = iota
	// Denied answers 403, AccessDenied.
	Denied
	// Broken answers 500, InternalError.
	Broken
	// Missing answers 404, NoSuchKey.
	Missing
	// Stuck gives no answer until another fault is set, or the client has gone.
	Stuck
	// Gone closes the connection without an answer.
	Gone
	// CutShort closes the connection after half of the answer's body.
	CutShort
	// Slow answers as it should, after Slowness.
	Slow
)

// Slowness is how long a Slow server takes for an answer: less than whoever reads material waits for it.
const Slowness = 2 * time.Second

// Faults stands in front of a server. It is safe for concurrent use.
type Faults struct {
	next http.Handler

	mu       sync.Mutex
	fault    Fault
	changed  chan struct{} // closed when the fault is another
	answered map[int]int
	observe  func(*http.Request)
}

// Observe calls a function with each request from now on, one at a time.
func (f *Faults) Observe(observe func(*http.Request)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.observe = observe
}

// Set puts a fault in place of the one before. It holds for requests that arrive from now on.
func (f *Faults) Set(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = fault
	if f.changed != nil {
		close(f.changed)
		f.changed = nil
	}
}

// Heal is Set(None).
func (f *Faults) Heal() { f.Set(None) }

// Answered returns how many requests have been answered with a status so far.
func (f *Faults) Answered(status int) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.answered[status]
}

// now returns the fault for a request, and a channel that is closed when it is another.
func (f *Faults) now(r *http.Request) (Fault, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.observe != nil {
		f.observe(r)
	}
	if f.changed == nil {
		f.changed = make(chan struct{})
	}
	return f.fault, f.changed
}

// ServeHTTP answers as the fault says.
func (f *Faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, changed := f.now(r)
	switch fault {
	case Denied:
		f.refuse(w, http.StatusForbidden, "AccessDenied", "Access Denied")
	case Broken:
		f.refuse(w, http.StatusInternalServerError, "InternalError", "We encountered an internal error. Please try again.")
	case Missing:
		f.refuse(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
	case Stuck:
		select {
		case <-changed:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	case Gone:
		panic(http.ErrAbortHandler)
	case CutShort:
		f.cut(w, r)
	case Slow, None:
		if fault == Slow {
			wait(r.Context(), changed)
		}
		recorder := &statusRecorder{ResponseWriter: w}
		f.next.ServeHTTP(recorder, r)
		f.count(recorder.status)
	}
}

// wait waits for Slowness, unless the fault changes or the client has gone.
func wait(ctx context.Context, changed <-chan struct{}) {
	timer := time.NewTimer(Slowness)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-changed:
	case <-ctx.Done():
	}
}

func (f *Faults) count(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.answered == nil {
		f.answered = make(map[int]int)
	}
	f.answered[status]++
}

// refuse answers as S3 does (Amazon S3 API Reference, "REST error responses").
func (f *Faults) refuse(w http.ResponseWriter, status int, code, message string) {
	f.count(status)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message><RequestId>1</RequestId></Error>", code, message)
}

// cut sends the whole answer's length and half of its body.
func (f *Faults) cut(w http.ResponseWriter, r *http.Request) {
	whole := httptest.NewRecorder()
	f.next.ServeHTTP(whole, r)
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	body := whole.Body.Bytes()
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush() // the connection is cut anyway
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

// statusRecorder notes the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap gives the proxy what it needs to flush.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
