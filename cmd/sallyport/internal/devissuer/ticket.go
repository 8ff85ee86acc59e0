package devissuer

import (
	"crypto/rand"
	"sync"
	"time"
)

// tickets are values that are held for whoever brings the unguessable text that was given out for them. They run out, and
// the oldest goes where there are too many.
type tickets[T any] struct {
	clock    func() time.Time
	lifetime time.Duration

	mu    sync.Mutex
	held  map[string]ticket[T]
	order []string // by age, with those that were taken
}

type ticket[T any] struct {
	value T
	until time.Time
}

// maxTickets bounds the memory that a caller can claim without signing in.
const maxTickets = 1000

func newTickets[T any](clock func() time.Time, lifetime time.Duration) *tickets[T] {
	return &tickets[T]{clock: clock, lifetime: lifetime, held: map[string]ticket[T]{}}
}

// issue holds a value, and returns what it is got back by.
func (t *tickets[T]) issue(value T) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == maxTickets {
		delete(t.held, t.order[0])
		t.order = t.order[1:]
	}
	id := rand.Text()
	t.held[id] = ticket[T]{value: value, until: t.clock().Add(t.lifetime)}
	t.order = append(t.order, id)
	return id
}

// look is the value, which stays.
func (t *tickets[T]) look(id string) (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.good(id)
}

// take is the value, which nobody gets a second time.
func (t *tickets[T]) take(id string) (T, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	value, ok := t.good(id)
	delete(t.held, id)
	return value, ok
}

func (t *tickets[T]) good(id string) (T, bool) {
	held, ok := t.held[id]
	if !ok || !t.clock().Before(held.until) {
		var none T
		return none, false
	}
	return held.value, true
}
