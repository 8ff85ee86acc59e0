package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// disk is a writer that can be full, or tear a write.
type disk struct {
	mu      sync.Mutex
	content bytes.Buffer
	room    int // bytes of the next write that fit; -1 for all
	wrote   chan struct{}
}

func newDisk(room int) *disk { return &disk{room: room, wrote: make(chan struct{}, 1000)} }

func (d *disk) Write(lines []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	defer func() { d.wrote <- struct{}{} }()
	if d.room >= 0 && len(lines) > d.room {
		n, _ := d.content.Write(lines[:d.room])
		d.room = 0
		return n, syscall.ENOSPC
	}
	return d.content.Write(lines)
}

func (d *disk) free() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = -1
}

// ids are those of the whole lines, in order.
func (d *disk) ids(t *testing.T) []string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	var ids []string
	for line := range strings.Lines(d.content.String()) {
		var r audit.Record
		if json.Unmarshal([]byte(line), &r) == nil {
			ids = append(ids, r.RequestID)
		}
	}
	return ids
}

func newQueue(t *testing.T, config audit.QueueConfig) *audit.Queue {
	t.Helper()
	queue, err := audit.NewQueue(config)
	if err != nil {
		t.Fatal(err)
	}
	return queue
}

// run runs the queue and returns how to end it.
func run(t *testing.T, queue *audit.Queue) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- queue.Run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(end)
	return end
}

func allowed(id string) audit.Record {
	return audit.Record{Kind: audit.KindDecision, RequestID: id, Allowed: true, Reason: reason.Everyone, Steps: []audit.Step{{Name: "route"}}}
}

func keep(t *testing.T, queue *audit.Queue, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := queue.Record(allowed(id)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAQueueWritesALineForEachRecordAndLeavesTracesOut(t *testing.T) {
	to := newDisk(-1)
	queue := newQueue(t, audit.QueueConfig{Writer: to})
	keep(t, queue, "1", "2", "3")
	run(t, queue)()
	if got := strings.Join(to.ids(t), " "); got != "1 2 3" {
		t.Errorf("lines %q", got)
	}
	if text := to.content.String(); strings.Contains(text, "steps") || !strings.Contains(text, `"kind":"decision"`) {
		t.Errorf("written: %s", text)
	}
}

func TestAFullQueueDropsOrRefuses(t *testing.T) {
	for when, want := range map[audit.WhenFull]error{audit.Drop: nil, audit.Deny: audit.ErrFull} {
		queue := newQueue(t, audit.QueueConfig{Writer: newDisk(-1), Size: 1, WhenFull: when})
		keep(t, queue, "1")
		if err := queue.Record(allowed("2")); !errors.Is(err, want) {
			t.Errorf("%s: %v", when, err)
		}
		if err := queue.Record(audit.Record{RequestID: "a denial"}); err != nil {
			t.Errorf("%s: a denial is refused: %v", when, err)
		}
		lost := map[audit.WhenFull]uint64{audit.Drop: 2, audit.Deny: 1}[when]
		if queue.Lost() != lost || queue.Depth() != 1 {
			t.Errorf("%s: %d lost, want %d; %d wait", when, queue.Lost(), lost, queue.Depth())
		}
	}
}

func TestAQueueThatDeniesKeepsWhatADiskHasNoRoomFor(t *testing.T) {
	to := newDisk(0)
	queue := newQueue(t, audit.QueueConfig{Writer: to, WhenFull: audit.Deny, RetryAfter: time.Millisecond})
	end := run(t, queue)
	keep(t, queue, "1")
	for range 3 {
		<-to.wrote
	}
	to.free()
	keep(t, queue, "2")
	end()
	if got := strings.Join(to.ids(t), " "); got != "1 2" || queue.Lost() != 0 || queue.Failed() < 3 {
		t.Errorf("lines %q, %d lost, %d failed", got, queue.Lost(), queue.Failed())
	}
}

func TestAQueueThatDropsGoesOnWhenThereIsRoom(t *testing.T) {
	to := newDisk(0)
	queue := newQueue(t, audit.QueueConfig{Writer: to, RetryAfter: time.Millisecond})
	end := run(t, queue)
	keep(t, queue, "1")
	<-to.wrote
	to.free()
	keep(t, queue, "2")
	end()
	if got := strings.Join(to.ids(t), " "); got != "2" || queue.Lost() != 1 || queue.Failed() != 1 {
		t.Errorf("lines %q, %d lost, %d failed", got, queue.Lost(), queue.Failed())
	}
}

func TestATornLineSpoilsNoOther(t *testing.T) {
	to := newDisk(30)
	queue := newQueue(t, audit.QueueConfig{Writer: to, WhenFull: audit.Deny, RetryAfter: time.Millisecond})
	keep(t, queue, "1", "2")
	end := run(t, queue)
	<-to.wrote
	to.free()
	end()
	if got := strings.Join(to.ids(t), " "); got != "1 2" {
		t.Errorf("lines %q in %q", got, to.content.String())
	}
}

func TestWhatIsRecordedAfterTheEndIsKeptAsWell(t *testing.T) {
	to := newDisk(-1)
	queue := newQueue(t, audit.QueueConfig{Writer: to})
	keep(t, queue, "1")
	run(t, queue)()
	var late sync.WaitGroup
	for _, id := range []string{"2", "3", "4"} {
		late.Go(func() { give(t, queue, allowed(id)) })
	}
	late.Wait()
	if got := to.ids(t); len(got) != 4 || queue.Depth() != 0 {
		t.Errorf("lines %q, %d wait", got, queue.Depth())
	}
}

func TestAQueueThatCannotBeMeantIsRefused(t *testing.T) {
	for name, config := range map[string]audit.QueueConfig{
		"no writer":         {},
		"another choice":    {Writer: newDisk(-1), WhenFull: "wait"},
		"less than nothing": {Writer: newDisk(-1), Size: -1},
	} {
		if _, err := audit.NewQueue(config); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestSinksStopAtTheOneThatRefuses(t *testing.T) {
	full := newQueue(t, audit.QueueConfig{Writer: newDisk(-1), Size: 1, WhenFull: audit.Deny})
	keep(t, full, "1")
	ring := audit.NewRing(10)
	sinks := audit.Sinks{full, ring}
	if err := sinks.Record(allowed("2")); !errors.Is(err, audit.ErrFull) {
		t.Error(err)
	}
	if err := sinks.Record(audit.Record{RequestID: "2", Reason: reason.AuditUnavailable}); err != nil {
		t.Error(err)
	}
	if found := ring.Find("2"); len(found) != 1 || found[0].Allowed {
		t.Errorf("the ring has %+v", found)
	}
}
