package filewatch

import "time"

// patience is after how many quiet periods a change is reported although the files are still restless.
const patience = 10

// debounce turns a flurry of events into one moment: a quiet period after the last of them, but not long after the first.
// It is used by one goroutine.
type debounce struct {
	period   time.Duration
	timer    *time.Timer // nil while nothing happens
	deadline time.Time
}

func newDebounce(period time.Duration) *debounce { return &debounce{period: period} }

// begin notes an event.
func (d *debounce) begin() {
	now := time.Now()
	if d.timer == nil {
		d.deadline = now.Add(patience * d.period)
		d.timer = time.NewTimer(d.period)
		return
	}
	d.timer.Reset(max(0, min(d.period, d.deadline.Sub(now))))
}

// over receives when it is time to act; it never does while nothing happens.
func (d *debounce) over() <-chan time.Time {
	if d.timer == nil {
		return nil
	}
	return d.timer.C
}

// end forgets what has been acted upon.
func (d *debounce) end() { d.timer = nil }
