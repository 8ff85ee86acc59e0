package keyset

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestASetIsFetchedAtTheStartAndBeforeItIsNeeded(t *testing.T) {
	for name, test := range map[string]struct {
		maxAge, refresh, maxStale time.Duration
		want                      time.Duration
	}{
		"as it is by default":                 {-1, 0, 0, 5 * time.Minute},
		"as it is configured":                 {-1, 2 * time.Minute, 0, 2 * time.Minute},
		"as the provider says":                {20 * time.Minute, 0, 0, 20 * time.Minute},
		"not every second":                    {time.Second, 0, 0, time.Minute},
		"not without end":                     {6 * time.Hour, 0, 0, time.Hour},
		"not cacheable at all":                {0, 0, 0, time.Minute},
		"sooner than it would stop to count":  {time.Hour, 0, 4 * time.Minute, 2 * time.Minute},
		"by default, and sooner than it ends": {-1, 0, 4 * time.Minute, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry(t, "", "a")
				r.maxAge = test.maxAge
				spec := r.spec()
				spec.Refresh, spec.MaxStale = test.refresh, test.maxStale
				r.Apply([]Spec{spec})
				r.want()
				defer r.run()()
				r.want("a")
				if r.count() != 1 {
					t.Fatalf("fetched %d times at the start", r.count())
				}
				pass(test.want - time.Millisecond)
				if r.count() != 1 {
					t.Errorf("fetched again too soon")
				}
				pass(2 * time.Millisecond)
				if r.count() != 2 {
					t.Errorf("fetched %d times after %v", r.count(), test.want)
				}
			})
		})
	}
}

func TestTenThousandRandomKeysCauseOneFetchInThirtySeconds(t *testing.T) {
	for name, away := range map[string]bool{"while the provider answers": false, "while it is away": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry(t, "", "a")
				if away {
					r.fail(errAway)
				}
				for round := range 3 {
					var everybody sync.WaitGroup
					for caller := range 50 {
						everybody.Go(func() {
							for i := range 200 {
								if got, found := r.Missing(t.Context(), "idp", fmt.Sprintf("%d-%d-%d", round, caller, i)); !found || (got.KeySet == nil) != away {
									t.Errorf("got %+v, %v", got, found)
								}
							}
						})
					}
					everybody.Wait()
					if n := r.count(); n != round+1 {
						t.Errorf("%d fetches in %d rounds", n, round+1)
					}
					pass(coolDown)
				}
			})
		})
	}
}

func TestARotatedKeyIsFoundOnTheRequestsPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "old")
		defer r.run()()
		before, watch := r.want("old"), r.Watch()
		r.serve("new", "old")
		r.change(func() { r.takes = time.Second })
		var everybody sync.WaitGroup
		for range 50 {
			everybody.Go(func() {
				got, _ := r.Missing(t.Context(), "idp", "new")
				if got.KeySet.Len() != 2 || got.Generation == before.Generation {
					t.Errorf("got %v of generation %d", got.KeySet.KeyIDs(), got.Generation)
				}
			})
		}
		everybody.Wait()
		if r.count() != 2 || !changed(watch) {
			t.Errorf("%d fetches", r.count())
		}
		if got, _ := r.Missing(t.Context(), "idp", "new"); got.KeySet.Len() != 2 || r.count() != 2 {
			t.Errorf("a key that is there was fetched for")
		}
	})
}

func TestWhoeverIsMissingAKeyWaitsNoLongerThanItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.change(func() { r.takes = 3 * time.Second })
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if got, _ := r.Missing(impatient, "idp", "a"); got.KeySet != nil || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", got.KeySet.KeyIDs(), time.Since(began))
		}
		got, _ := r.Missing(t.Context(), "idp", "a")
		if got.KeySet.Len() != 1 || r.count() != 1 || time.Since(began) != 3*time.Second {
			t.Errorf("the fetch did not go on: %d fetches, after %v", r.count(), time.Since(began))
		}
	})
}

func TestAWithdrawnKeyIsDistrustedWithTheNextFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a", "b")
		defer r.run()()
		before, watch := r.want("a", "b"), r.Watch()
		r.serve("b")
		pass(DefaultRefresh)
		after := r.want("b")
		if after.Generation == before.Generation || !changed(watch) {
			t.Errorf("generation %d, then %d", before.Generation, after.Generation)
		}
		watch = r.Watch()
		pass(DefaultRefresh)
		if same := r.want("b"); same.Generation != after.Generation || changed(watch) || !same.Fetched.After(after.Fetched) {
			t.Errorf("the same keys are told as others: %+v, then %+v", after, same)
		}
	})
}

func TestAFailingFetchKeepsTheLastGoodSetUntilItIsTooOld(t *testing.T) {
	bad := func(data string) func(*provider) {
		return func(p *provider) { p.change(func() { p.data = []byte(data) }) }
	}
	for name, test := range map[string]struct {
		breaks func(*provider)
		want   string
	}{
		"away":          {func(p *provider) { p.fail(errAway) }, "refused"},
		"stuck":         {func(p *provider) { p.change(func() { p.stuck = true }) }, "deadline"},
		"garbage":       {bad("<html>"), "cannot be used"},
		"no keys":       {bad(`{"keys":[]}`), "no keys"},
		"useless keys":  {bad(`{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"a"}]}`), "none of its keys"},
		"nothing":       {bad(""), "cannot be used"},
		"false promise": {func(p *provider) { p.change(func() { p.data = nil }) }, "cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry(t, "", "a")
				defer r.run()()
				good := r.want("a")
				test.breaks(r.provider)
				pass(DefaultRefresh + time.Minute)
				stale := r.want("a")
				if !stale.Stale || !strings.Contains(stale.Problem, test.want) || stale.Generation != good.Generation || !stale.Fetched.Equal(good.Fetched) {
					t.Errorf("got %+v", stale)
				}
				watch := r.Watch()
				pass(time.Until(good.Until) - time.Second)
				r.want("a")
				if changed(watch) {
					t.Error("a change was told")
				}
				pass(time.Second)
				if gone := r.want(); !strings.Contains(gone.Problem, test.want) || !changed(watch) {
					t.Errorf("got %+v", gone)
				}
				watch = r.Watch()
				r.serve("a")
				pass(retryLast + fetchTimeout)
				if healed := r.want("a"); healed.Stale || healed.Problem != "" || !changed(watch) {
					t.Errorf("healed to %+v", healed)
				}
			})
		})
	}
}

func TestASetThatHasRunOutIsNotUsedThoughNobodyRunsTheRegistry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.Missing(t.Context(), "idp", "a")
		r.fail(errAway)
		pass(DefaultMaxStale - time.Second)
		r.want("a")
		pass(time.Second)
		r.want()
		if got, _ := r.Missing(t.Context(), "idp", "a"); got.KeySet != nil || r.count() != 2 {
			t.Errorf("got %+v after %d fetches", got, r.count())
		}
		r.serve("a")
		pass(coolDown)
		if got, _ := r.Missing(t.Context(), "idp", "a"); got.KeySet.Len() != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestFailuresAreRetriedAtGrowingDistances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.fail(errAway)
		defer r.run()()
		for i, wait := range []int{1, 2, 4, 8, 16, 32, 60, 60} { // seconds
			if r.count() != i+1 {
				t.Fatalf("%d fetches, want %d", r.count(), i+1)
			}
			pass(time.Duration(wait) * time.Second)
		}
	})
}

func TestWhatIsSaidToBeUnchangedWithoutEverHavingBeenFetchedIsAFault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "")
		r.change(func() { r.data = nil }) // its ETag is the empty one, which the first question has too
		if got, _ := r.Missing(t.Context(), "idp", "a"); got.KeySet != nil || !strings.Contains(got.Problem, "had not been fetched") {
			t.Errorf("got %+v", got)
		}
	})
}

func TestABrokenProviderTouchesNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.change(func() { r.stuck = true })
		other := &provider{data: set("b"), maxAge: -1}
		r.Apply([]Spec{r.spec(), {Name: "other", Identity: "https://other.example.org", Source: other}, {Name: "none"}})
		defer r.run()()
		began := time.Now()
		got, _ := r.Missing(t.Context(), "other", "c")
		if got.KeySet.Len() != 1 || time.Since(began) != 0 || other.count() != 2 {
			t.Errorf("got %v after %v", got.KeySet.KeyIDs(), time.Since(began))
		}
		r.want()
		if got, _ := r.Keys("none"); got.KeySet != nil || !strings.Contains(got.Problem, "nothing is configured") {
			t.Errorf("without a source: %+v", got)
		}
		if _, found := r.Keys("nobody"); found {
			t.Error("an unknown provider has keys")
		}
		if _, found := r.Missing(t.Context(), "nobody", "a"); found {
			t.Error("an unknown provider misses a key")
		}
	})
}

func TestRunEndsWithItsFetches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.change(func() { r.stuck = true })
		stop := r.run()
		stop()
		if got := r.want(); got.Stale {
			t.Errorf("the end was taken for the provider's fault: %+v", got)
		}
	})
}
