package propagation

import (
	"sync"
	"time"
)

const (
	// tolerated is how many failures in a row are taken for accidents.
	tolerated = 3
	// firstPause and longestPause bound how long who fails is left alone; each failure doubles the pause.
	firstPause   = time.Second
	longestPause = time.Minute
)

// breaker leaves alone who does not answer. After some failures in a row nobody asks until a while has passed, and then one does.
type breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time
}

// allows tells whether a request that waits may ask. After many failures it is one that may, each time that a pause is over.
func (b *breaker) allows(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures < tolerated || b.probe(now)
}

// rested tells whether something that can wait may ask: also after the first failure there is a pause.
func (b *breaker) rested(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < tolerated {
		return !now.Before(b.until)
	}
	return b.probe(now)
}

// probe lets one ask if the pause is over, and makes the others wait until that one must have heard.
func (b *breaker) probe(now time.Time) bool {
	if now.Before(b.until) {
		return false
	}
	b.until = now.Add(flightTime)
	return true
}

// pausing is the end of the pause; in the past if there is none.
func (b *breaker) pausing() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.until
}

func (b *breaker) succeeded() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.until = 0, time.Time{}
}

// failed notes a failure. The pause is spread between a half and the whole by a jitter from 0 to 1, and is no shorter than what
// the other side has asked for. It tells how many failures there were in a row.
func (b *breaker) failed(now time.Time, jitter float64, asked time.Duration) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	pause := longestPause
	if b.failures < 6 { // 2^6 s is more than the longest
		pause = firstPause << b.failures
	}
	pause = pause/2 + time.Duration(jitter*float64(pause/2))
	b.failures++
	b.until = now.Add(max(pause, min(asked, longestPause)))
	return b.failures
}
