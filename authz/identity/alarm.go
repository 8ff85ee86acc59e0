package identity

import (
	"fmt"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// AlarmInterval is how often one certificate raises an alarm at most.
const AlarmInterval = time.Hour

// maxAlarms is how many certificates are remembered as having raised an alarm.
const maxAlarms = 1000

// Alarm is that a certificate was presented which an authority has signed and its register does not know: somebody else may
// have the authority's key.
type Alarm struct {
	Certificate *Certificate
	// Truststore whose register does not know it.
	Truststore string
	// Refused says that this truststore did not vouch for the certificate.
	Refused bool
}

// alarms tells of each certificate once in a while. A nil alarms tells nobody.
type alarms struct {
	tell func(Alarm)

	mu   sync.Mutex
	last *lru.Cache[alarmKey, time.Time]
}

type alarmKey struct{ certificate, truststore string }

func newAlarms(tell func(Alarm)) (*alarms, error) {
	if tell == nil {
		return nil, nil
	}
	last, err := lru.New[alarmKey, time.Time](maxAlarms)
	if err != nil {
		return nil, fmt.Errorf("remember alarms: %w", err)
	}
	return &alarms{tell: tell, last: last}, nil
}

// raise tells of what a verdict has found.
func (a *alarms) raise(verdict *Verdict, now time.Time) {
	if a == nil {
		return
	}
	for _, j := range verdict.judgements {
		if j.unregistered && a.due(alarmKey{verdict.Certificate.SHA256, j.truststore}, now) {
			a.tell(Alarm{Certificate: verdict.Certificate, Truststore: j.truststore, Refused: j.refusal != nil})
		}
	}
}

// due notes that an alarm is raised now, unless it was not long ago.
func (a *alarms) due(key alarmKey, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if last, known := a.last.Get(key); known && now.Before(last.Add(AlarmInterval)) {
		return false
	}
	a.last.Add(key, now)
	return true
}
