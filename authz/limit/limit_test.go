package limit_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/limit"
	"github.com/sallyport-project/sallyport/config"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func consumers(limits map[string]*config.RateLimit) []*config.Consumer {
	var all []*config.Consumer
	for name, of := range limits {
		all = append(all, &config.Consumer{Header: config.Header{Name: name}, RateLimit: of})
	}
	return all
}

func limited(requests, burst int, per time.Duration) []*config.Consumer {
	return consumers(map[string]*config.RateLimit{"mapps": {Requests: requests, Burst: burst, Per: per}, "nsp": nil})
}

// take takes so many at a moment and returns how many were let in, and the last quota.
func take(b *limit.Buckets, number int, at time.Time) (letIn int, last *limit.Quota) {
	for range number {
		if last = b.Take("mapps", at); !last.Exceeded() {
			letIn++
		}
	}
	return letIn, last
}

func TestAConsumerMayCallAsOftenAsItsLimitSays(t *testing.T) {
	for name, test := range map[string]struct {
		limit []*config.Consumer
		spent int           // at noon
		after time.Duration // then so many are tried
		tried int
		want  int
	}{
		"as many at once as the burst":         {limited(10, 20, time.Second), 0, 0, 30, 20},
		"as many again after the time of them": {limited(10, 20, time.Second), 20, time.Second, 30, 10},
		"never more at once than the burst":    {limited(10, 20, time.Second), 20, time.Hour, 30, 20},
		"one, once its time has come":          {limited(1, 1, time.Minute), 1, time.Minute, 2, 1},
		"none before":                          {limited(1, 1, time.Minute), 1, time.Minute - time.Millisecond, 2, 0},
		"those that are refused spend nothing": {limited(10, 10, time.Second), 1000, time.Second, 30, 10},
		"a clock that goes back gives nothing": {limited(10, 10, time.Second), 10, -time.Hour, 5, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := limit.New(test.limit, nil)
			take(b, test.spent, noon)
			if got, _ := take(b, test.tried, noon.Add(test.after)); got != test.want {
				t.Errorf("%d of %d let in, want %d", got, test.tried, test.want)
			}
		})
	}
}

func TestAQuotaSaysWhatIsLeftAndWhenToTryAgain(t *testing.T) {
	b := limit.New(limited(2, 4, time.Second), nil)
	for i, step := range []struct {
		number int
		at     time.Duration
		want   limit.Quota
	}{
		{1, 0, limit.Quota{Remaining: 3, Reset: time.Second / 2}},
		{3, 0, limit.Quota{Remaining: 0, Reset: 2 * time.Second}},
		{1, 0, limit.Quota{Remaining: 0, Reset: 2 * time.Second, RetryAfter: time.Second / 2}},
		{1, time.Second / 4, limit.Quota{Remaining: 0, Reset: 7 * time.Second / 4, RetryAfter: time.Second / 4}},
		{1, time.Second / 2, limit.Quota{Remaining: 0, Reset: 2 * time.Second}},
	} {
		step.want.Requests, step.want.Window = 2, time.Second
		if _, got := take(b, step.number, noon.Add(step.at)); *got != step.want {
			t.Errorf("step %d: %+v, want %+v", i, *got, step.want)
		}
	}
}

func TestWhoHasNoLimitIsNotCounted(t *testing.T) {
	b := limit.New(limited(1, 1, time.Second), nil)
	for _, name := range []string{"nsp", "never-heard-of", ""} {
		if q := b.Take(name, noon); q != nil {
			t.Errorf("%q has the quota %+v", name, *q)
		}
	}
}

func TestALimitThatStaysTheSameGoesOnCounting(t *testing.T) {
	for name, test := range map[string]struct {
		after []*config.Consumer
		want  int // let in of 3, after the 2 of before were spent
	}{
		"the same, written elsewhere": {consumers(map[string]*config.RateLimit{"mapps": {Requests: 2, Burst: 2, Per: time.Minute, Origin: config.Origin{File: "b.yaml"}}}), 0},
		"another one begins anew":     {limited(3, 3, time.Minute), 3},
	} {
		t.Run(name, func(t *testing.T) {
			before := limit.New(limited(2, 2, time.Minute), nil)
			take(before, 2, noon)
			if got, _ := take(limit.New(test.after, before), 3, noon); got != test.want {
				t.Errorf("%d let in, want %d", got, test.want)
			}
		})
	}
}

func TestAUniformLimitIsEachConsumersWhateverItsOwnIs(t *testing.T) {
	each := config.RateLimit{Requests: 5, Burst: 3, Per: time.Second}
	b := limit.Uniform(limited(1, 1, time.Hour), each, nil)
	if got, last := take(b, 10, noon); got != 3 || last.RetryAfter != 200*time.Millisecond {
		t.Errorf("%d let in, the next one after %v", got, last.RetryAfter)
	}
	if q := b.Take("nsp", noon); q.Exceeded() { // which has no limit of its own
		t.Error("another's requests count")
	}
	if q := b.Take("nobody", noon); q != nil {
		t.Errorf("nobody has %+v", q)
	}
	if got, _ := take(limit.Uniform(limited(2, 2, time.Hour), each, b), 10, noon); got != 0 {
		t.Errorf("with the next configuration %d more are let in", got)
	}
}

func TestManyAtOnceAreCountedExactly(t *testing.T) {
	b := limit.New(limited(100, 100, time.Hour), nil)
	var letIn atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			n, _ := take(b, 100, noon)
			letIn.Add(int64(n))
		})
	}
	all.Wait()
	if letIn.Load() != 100 {
		t.Errorf("%d let in, want 100", letIn.Load())
	}
}
