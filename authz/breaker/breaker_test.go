package breaker_test

import (
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/breaker"
)

func TestWhoFailsIsLeftAloneEachTimeForLonger(t *testing.T) {
	const probing = 10 * time.Second
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	b := breaker.New(probing)
	for range 2 { // accidents
		b.Failed(now, 1, 0)
		if !b.Allows(now) || b.Rested(now) {
			t.Fatal("after an accident a request may not ask, or what can wait does not")
		}
	}
	for _, pause := range []int{4, 8, 16, 32, 60, 60} {
		b.Failed(now, 1, 0)
		until := now.Add(time.Duration(pause) * time.Second)
		if b.Allows(until.Add(-1)) || !b.Pausing().Equal(until) {
			t.Errorf("it is asked within %d s: it pauses until %s", pause, b.Pausing())
		}
		now = until
		if !b.Allows(now) || b.Allows(now) || b.Rested(now.Add(probing-1)) {
			t.Errorf("after %d s not exactly one asks", pause)
		}
	}
	b.Succeeded()
	if !b.Allows(now) || !b.Rested(now) {
		t.Error("it is not forgotten")
	}
}

func TestAPauseIsSpreadAndAsLongAsTheOtherSideAsks(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		jitter      float64
		asked, want time.Duration
	}{
		"the shortest":       {0, 0, 500 * time.Millisecond},
		"the longest":        {1, 0, time.Second},
		"as asked":           {1, 20 * time.Second, 20 * time.Second},
		"asked for too much": {1, time.Hour, time.Minute},
	} {
		b := breaker.New(time.Second)
		if failures := b.Failed(now, test.jitter, test.asked); failures != 1 || !b.Pausing().Equal(now.Add(test.want)) {
			t.Errorf("%s: %d failures, until %s", name, failures, b.Pausing())
		}
	}
}

// Those who were asking when the pause began count for nothing: one outage is one, whoever was on the way.
func TestManyWhoFailAtOnceAreOneOutage(t *testing.T) {
	now := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	b := breaker.New(10 * time.Second)
	for range 48 {
		b.Failed(now, 1, 0)
	}
	if want := now.Add(4 * time.Second); !b.Pausing().Equal(want) {
		t.Errorf("it pauses until %s, want %s", b.Pausing(), want)
	}
	now = b.Pausing()
	if !b.Allows(now) {
		t.Fatal("nobody asks when the pause is over")
	}
	b.Failed(now, 1, 0) // the one that asked
	if want := now.Add(8 * time.Second); !b.Pausing().Equal(want) {
		t.Errorf("after another failure it pauses until %s, want %s", b.Pausing(), want)
	}
}
