// Package breaker owns when somebody who does not answer is asked again. It asks nobody itself, and does not know what is asked.
package breaker

import (
	"sync"
	"time"
)

const (
	// tolerated is how many failures in a row are taken for accidents.
	tolerated = 3
	// FirstPause and longestPause bound how long who fails is left alone; each failure doubles the pause.
	FirstPause   = time.Second
	longestPause = time.Minute
)

// Breaker leaves alone who does not answer. After some failures in a row nobody asks until a while has passed, and then one does. It is
// safe for concurrent use.
type Breaker struct {
	probing  time.Duration
	mu       sync.Mutex
	failures int
	until    time.Time
	// out is set while one is asking in the place of all.
	out bool
}

// New makes a Breaker for questions that take no longer than this.
func New(longest time.Duration) *Breaker { return &Breaker{probing: longest} }

// Allows tells whether a request that waits may ask. After many failures it is one that may, each time that a pause is over.
func (b *Breaker) Allows(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures < tolerated || b.probe(now)
}

// Rested tells whether something that can wait may ask: also after the first failure there is a pause.
func (b *Breaker) Rested(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < tolerated {
		return !now.Before(b.until)
	}
	return b.probe(now)
}

// probe lets one ask if the pause is over, and makes the others wait until that one must have heard.
func (b *Breaker) probe(now time.Time) bool {
	if now.Before(b.until) {
		return false
	}
	b.until, b.out = now.Add(b.probing), true
	return true
}

// Pausing is the end of the pause; in the past if there is none.
func (b *Breaker) Pausing() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until
}

// Succeeded notes an answer: all is forgotten.
func (b *Breaker) Succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.until, b.out = 0, time.Time{}, false
}

// Failed notes a failure. The pause is spread between a half and the whole by a jitter from 0 to 1, and is no shorter than what
// the other side has asked for. It tells how many failures there were in a row.
func (b *Breaker) Failed(now time.Time, jitter float64, asked time.Duration) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures >= tolerated && now.Before(b.until) && !b.out {
		return b.failures // of one who was asked before the pause began
	}
	b.out = false
	pause := longestPause
	if b.failures < 6 { // 2^6 s is more than the longest
		pause = FirstPause << b.failures
	}
	pause = pause/2 + time.Duration(jitter*float64(pause/2))
	b.failures++
	b.until = now.Add(max(pause, min(asked, longestPause)))
	return b.failures
}
