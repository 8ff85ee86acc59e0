package signingkey

import "time"

// CacheTime is how long verifiers may go by a key set that they have fetched before they look again.
const CacheTime = time.Hour

// leastOverlap is how long at least a key is published before it signs, however short the tokens.
const leastOverlap = 10 * time.Minute

// slack is by how much processes may be apart that share a file of keys: each looks once a minute, by a clock of its own.
const slack = 2 * time.Minute

// Schedule says when generated keys come and go.
type Schedule struct {
	// RotateEvery is how long a key signs. It is lengthened to the time for which the next one is published before that.
	RotateEvery time.Duration
	// Lifetime is the longest that a token is good for, and Leeway what verifiers add to it.
	Lifetime, Leeway time.Duration
}

// ahead is how long a key is published before it signs.
func (s Schedule) ahead() time.Duration { return max(CacheTime, 2*s.Lifetime, leastOverlap) + slack }

// behind is how long a key is published after it has signed last.
func (s Schedule) behind() time.Duration { return s.Lifetime + s.Leeway + slack }

// every is how long a key signs.
func (s Schedule) every() time.Duration { return max(s.RotateEvery, s.ahead()) }

// standing is what the schedule makes of keys at a moment.
type standing struct {
	// signing is the index of the key that signs, and oldest that of the first one that is still published.
	signing, oldest int
	// due says that the next key is to be made now.
	due bool
	// until is when this is no longer so.
	until time.Time
}

// at judges keys by the moments at which they begin to sign, which ascend; there is at least one. Exactly one signs at any
// moment: the last one that has begun, or the first one where the clock is before them all.
func (s Schedule) at(begins []time.Time, now time.Time) standing {
	found := standing{}
	last := len(begins) - 1
	for i, begin := range begins {
		if !now.Before(begin) {
			found.signing = i
		}
	}
	for found.oldest < found.signing && !now.Before(begins[found.oldest+1].Add(s.behind())) {
		found.oldest++
	}
	made := begins[last].Add(s.every() - s.ahead())
	found.due = !now.Before(made)
	moments := []time.Time{made}
	moments = append(moments, begins...)
	for i := found.oldest; i < found.signing; i++ {
		moments = append(moments, begins[i+1].Add(s.behind()))
	}
	for _, moment := range moments {
		if now.Before(moment) && (found.until.IsZero() || moment.Before(found.until)) {
			found.until = moment
		}
	}
	return found
}

// next is when a key that is made now begins to sign: in its turn, but not before it has been published for long enough.
func (s Schedule) next(last, now time.Time) time.Time {
	turn, soonest := last.Add(s.every()), now.Add(s.ahead())
	if turn.Before(soonest) {
		return soonest
	}
	return turn
}
