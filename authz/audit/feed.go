package audit

import (
	"context"
	"sync"
	"sync/atomic"
)

// Filter chooses records. Each field that is set must fit.
type Filter struct {
	// Denied wants what was turned away, refused handshakes included.
	Denied bool
	// Consumer, Gateway, Reason and Kind want just these. A handshake's consumer is not known.
	Consumer, Gateway, Reason string
	Kind                      Kind
}

// Accepts tells whether a record is chosen.
func (f Filter) Accepts(r Record) bool {
	return (!f.Denied || !r.Allowed) &&
		(f.Consumer == "" || f.Consumer == r.Consumer) &&
		(f.Gateway == "" || f.Gateway == r.Gateway) &&
		(f.Reason == "" || f.Reason == string(r.Reason)) &&
		(f.Kind == "" || f.Kind == r.Kind)
}

// followed is how many records a slow reader may be behind.
const followed = 256

// Feed is a Sink that lets others follow along. While nobody does, a record costs it next to nothing. It is safe for
// concurrent use.
type Feed struct {
	count     atomic.Int32 // of followers
	mu        sync.RWMutex
	followers map[*Following]Filter
}

// Following is one reader's view of a Feed.
type Following struct {
	records chan Record
	missed  atomic.Uint64
}

// NewFeed makes a feed.
func NewFeed() *Feed { return &Feed{followers: make(map[*Following]Filter)} }

// Record hands a record to all who want it. One who is too slow misses it.
func (f *Feed) Record(r Record) error {
	if f.count.Load() == 0 {
		return nil
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for follower, filter := range f.followers {
		if !filter.Accepts(r) {
			continue
		}
		select {
		case follower.records <- r:
		default:
			follower.missed.Add(1)
		}
	}
	return nil
}

// Follow hands over what is recorded from now on, until the context ends; the channel is closed then.
func (f *Feed) Follow(ctx context.Context, filter Filter) *Following {
	following := &Following{records: make(chan Record, followed)}
	f.mu.Lock()
	f.followers[following] = filter
	f.mu.Unlock()
	f.count.Add(1)
	context.AfterFunc(ctx, func() {
		f.mu.Lock()
		delete(f.followers, following)
		f.mu.Unlock()
		f.count.Add(-1)
		close(following.records) // nobody sends any more
	})
	return following
}

// Records are those that the filter accepts.
func (f *Following) Records() <-chan Record { return f.records }

// Missed is how many records were left out so far, because the reader was too slow.
func (f *Following) Missed() uint64 { return f.missed.Load() }
