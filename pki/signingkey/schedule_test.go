package signingkey

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// schedules are the ends and the middle of what a configuration can ask for.
var schedules = map[string]Schedule{
	"as it comes":                  {RotateEvery: 720 * time.Hour, Lifetime: 5 * time.Minute, Leeway: 30 * time.Second},
	"as often as can be":           {RotateEvery: time.Hour, Lifetime: 5 * time.Minute, Leeway: time.Minute},
	"more often than can be":       {RotateEvery: time.Minute, Lifetime: 10 * time.Second},
	"once a year":                  {RotateEvery: 8760 * time.Hour, Lifetime: 10 * time.Second},
	"with tokens that live longer": {RotateEvery: time.Hour, Lifetime: 2 * time.Hour, Leeway: time.Minute},
}

// look is what a process found at a moment.
type look struct {
	at  time.Time
	set *Set
}

// follow asks a ring as the Keeper does: when something changes, and once a minute or less often besides.
func follow(t *testing.T, schedule Schedule, ring *Ring, from time.Time, looks int, step func() time.Duration) []look {
	t.Helper()
	var found []look
	now := from
	for range looks {
		set, until, err := ring.At(schedule, now)
		if err != nil {
			t.Fatal(err)
		}
		if !until.After(now) {
			t.Fatalf("at %s it is to be asked again at %s", now, until)
		}
		found = append(found, look{now, set})
		next := now.Add(step())
		if until.Before(next) {
			next = until
		}
		now = next
	}
	return found
}

func published(set *Set, id string) bool {
	return slices.ContainsFunc(set.Published, func(k Key) bool { return k.ID == id })
}

func TestEveryTokenIsGoodToWhoHoldsAKeySetForAnHour(t *testing.T) {
	for name, schedule := range schedules {
		t.Run(name, func(t *testing.T) {
			random := rand.New(rand.NewPCG(1, 2))
			step := func() time.Duration { return schedule.every() / time.Duration(1+random.IntN(20)) }
			looks := follow(t, schedule, Open(""), noon, 400, step)
			for i, signed := range looks {
				// Tokens are signed by a set until the next look, and are good for their lifetime after that.
				lastSigned := signed.at
				if i+1 < len(looks) {
					lastSigned = looks[i+1].at
				}
				from, until := signed.at.Add(-CacheTime), lastSigned.Add(schedule.Lifetime+schedule.Leeway)
				for j, fetched := range looks {
					inForceUntil := until.Add(time.Hour)
					if j+1 < len(looks) {
						inForceUntil = looks[j+1].at
					}
					if inForceUntil.After(from) && !fetched.at.After(until) && !published(fetched.set, signed.set.Signing.ID) {
						t.Fatalf("a token signed at %s meets the key set of %s, which does not have its key", signed.at, fetched.at)
					}
				}
			}
		})
	}
}

func TestKeysRotateAndAreForgottenOverYears(t *testing.T) {
	schedule := schedules["as it comes"]
	looks := follow(t, schedule, Open(""), noon, 2000, func() time.Duration { return 24 * time.Hour })
	signed := map[string]time.Time{}
	var order []string
	for _, l := range looks {
		if !published(l.set, l.set.Signing.ID) {
			t.Fatalf("at %s the key that signs is not published", l.at)
		}
		if len(l.set.Published) > 3 {
			t.Fatalf("at %s, %d keys are published", l.at, len(l.set.Published))
		}
		id := l.set.Signing.ID
		if _, known := signed[id]; !known {
			signed[id] = l.at
			order = append(order, id)
		} else if order[len(order)-1] != id {
			t.Fatalf("at %s a former key signs again", l.at)
		}
	}
	years := looks[len(looks)-1].at.Sub(noon).Hours() / 24 / 365
	if years < 4 {
		t.Fatalf("only %.1f years were seen", years)
	}
	for i := 1; i < len(order); i++ {
		if took := signed[order[i]].Sub(signed[order[i-1]]); took != schedule.RotateEvery {
			t.Errorf("key %d signed for %s, want %s", i, took, schedule.RotateEvery)
		}
	}
}

func TestAKeyThatIsLateIsPublishedBeforeItSigns(t *testing.T) {
	schedule := schedules["as it comes"]
	ring := Open("")
	first := at(t, ring, schedule, noon)
	late := noon.Add(100 * 24 * time.Hour) // the process was not there when it was due
	set := at(t, ring, schedule, late)
	if set.Signing.ID != first.Signing.ID || len(set.Published) != 2 {
		t.Fatalf("%v", set)
	}
	if at(t, ring, schedule, late.Add(CacheTime)).Signing.ID != first.Signing.ID {
		t.Error("the next key signs before verifiers have it")
	}
	later := at(t, ring, schedule, late.Add(schedule.ahead()))
	if later.Signing.ID == first.Signing.ID || !published(later, first.Signing.ID) {
		t.Errorf("%v", later)
	}
}

func TestOneKeySignsWhateverTheClockSays(t *testing.T) {
	schedule := schedules["as often as can be"]
	ring := Open("")
	random := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		now := noon.Add(time.Duration(random.Int64N(int64(2000*time.Hour))) - 1000*time.Hour)
		set := at(t, ring, schedule, now)
		if !published(set, set.Signing.ID) || len(set.Published) == 0 {
			t.Fatalf("at %s: %v", now, set)
		}
	}
}

func at(t *testing.T, ring *Ring, schedule Schedule, now time.Time) *Set {
	t.Helper()
	set, _, err := ring.At(schedule, now)
	if err != nil {
		t.Fatal(err)
	}
	return set
}
