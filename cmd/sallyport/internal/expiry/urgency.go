package expiry

import "time"

// Urgency says how soon something ends. A smaller one is more urgent.
type Urgency int

// The urgencies: it has ended, or does within 1, 7, 14, 30 or 60 days, or later.
const (
	Ended Urgency = iota
	Day
	Week
	Fortnight
	Month
	TwoMonths
	Later
)

const day = 24 * time.Hour

// steps are the times before the end at which it becomes more urgent, the last one first.
var steps = [...]struct {
	urgency Urgency
	before  time.Duration
}{{Day, day}, {Week, 7 * day}, {Fortnight, 14 * day}, {Month, 30 * day}, {TwoMonths, 60 * day}}

// urgencyOf says how soon something ends that holds for so long in all.
//
// What is made for a few days only is renewed at two thirds of its life: a step that is longer than a third of that would
// warn of what is as it should be. Where all steps are longer, the last sixth is urgent: the renewal is overdue.
func urgencyOf(begin, end, now time.Time) Urgency {
	left, life := end.Sub(now), end.Sub(begin)
	if left <= 0 {
		return Ended
	}
	for _, step := range steps {
		if left <= step.before && (begin.IsZero() || step.before <= life/3) {
			return step.urgency
		}
	}
	if !begin.IsZero() && life/3 < day && left <= life/6 {
		return Day
	}
	return Later
}

// String is the urgency in a word: `ended`, `1d` to `60d`, or `later`.
func (u Urgency) String() string {
	switch u {
	case Ended:
		return "ended"
	case Day:
		return "1d"
	case Week:
		return "7d"
	case Fortnight:
		return "14d"
	case Month:
		return "30d"
	case TwoMonths:
		return "60d"
	default:
		return "later"
	}
}

// MarshalText is String.
func (u Urgency) MarshalText() ([]byte, error) { return []byte(u.String()), nil }
