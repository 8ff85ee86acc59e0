package audit

import (
	"context"
	"sync"

	"github.com/hashicorp/go-hclog"
)

// Sink takes records. It must be safe for concurrent use and must not block: a request waits for it.
type Sink interface {
	// Record takes one. An error means that it is not kept, and that the request, which is one that would have passed, must
	// not pass for want of it; the record of that denial comes next. A sink whose loss is tolerated returns nil.
	Record(Record) error
}

// Sinks hands each record to several sinks, in order, until one refuses it: those that may refuse come first, so that the
// others see what became of the request in the end.
type Sinks []Sink

// Record hands it on.
func (s Sinks) Record(r Record) error {
	for _, sink := range s {
		if err := sink.Record(r); err != nil {
			return err
		}
	}
	return nil
}

// SinkFunc is a function that is a Sink. It refuses nothing.
type SinkFunc func(Record)

// Record calls the function.
func (f SinkFunc) Record(r Record) error {
	f(r)
	return nil
}

// Log writes records to a log, those that lie with us as warnings.
type Log struct {
	Logger hclog.Logger
}

// Record writes one.
func (l Log) Record(r Record) error {
	level := hclog.Info
	if r.Reason.OurFault() {
		level = hclog.Warn
	}
	if l.Logger.GetLevel() > level && l.Logger.GetLevel() != hclog.NoLevel {
		return nil
	}
	message := "decision"
	if r.Kind != "" && r.Kind != KindDecision {
		message = "refused by a proxy"
	}
	l.Logger.Log(level, message,
		"request_id", r.RequestID, "allowed", r.Allowed, "status", r.Status, "reason", string(r.Reason), "detail", r.Detail, "origin", r.Origin.String(),
		"gateway", r.Gateway, "listener", r.Listener, "entry", r.Entry, "route", r.Route, "rule", r.Rule, "policy", r.Policy,
		"policy_versions", r.PolicyVersions, "upstream", r.Upstream,
		"method", r.Method, "host", r.Host, "path", r.Path,
		"consumer", r.Consumer, "truststore", r.Truststore,
		"certificate_sha256", r.CertificateSHA256, "certificate_subject", r.CertificateSubject, "certificate_serial", r.CertificateSerial,
		"token_provider", r.TokenProvider, "token_subject", r.TokenSubject, "token_client_id", r.TokenClientID, "token_id", r.TokenID,
		"onward", r.Onward, "onward_provider", r.OnwardProvider, "shadow", shadowed(r.Shadow),
		"role", r.Role, "revision", r.Revision, "asker", r.Asker, "duration_us", r.Duration.Microseconds(),
	)
	return nil
}

// shadowed are the rules that are only tried out, each with what it would have done; nil where there are none.
func shadowed(verdicts []Shadow) []string {
	var all []string
	for _, v := range verdicts {
		would := "deny"
		if v.WouldAllow {
			would = "allow"
		}
		all = append(all, v.Policy+"/"+v.Rule+" would "+would+": "+string(v.Reason))
	}
	return all
}

// Ring remembers the last records, for `explain`. It is safe for concurrent use.
type Ring struct {
	mu      sync.Mutex
	records []Record // a ring once it is full
	next    int
	// arrived is closed and replaced when somebody waits and a record comes.
	arrived chan struct{}
}

// NewRing makes a ring of so many records, at least one.
func NewRing(size int) *Ring {
	return &Ring{records: make([]Record, 0, max(size, 1))}
}

// Record remembers one, in place of the oldest.
func (r *Ring) Record(record Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) < cap(r.records) {
		r.records = append(r.records, record)
	} else {
		r.records[r.next] = record
	}
	r.next = (r.next + 1) % cap(r.records)
	if r.arrived != nil {
		close(r.arrived)
		r.arrived = nil
	}
	return nil
}

// Find returns the records of a request that are still remembered, the oldest first: one for each gateway that it went
// through.
func (r *Ring) Find(requestID string) []Record {
	found, _ := r.find(func(record Record) bool { return record.RequestID == requestID }, false)
	return found
}

// Last returns up to so many of the newest records that the function accepts, the oldest of them first.
func (r *Ring) Last(most int, accept func(Record) bool) []Record {
	found, _ := r.find(accept, false)
	return found[max(0, len(found)-most):]
}

// Await returns the newest record that the function accepts, and waits for one until the context ends.
func (r *Ring) Await(ctx context.Context, accept func(Record) bool) (Record, bool) {
	for {
		found, arrived := r.find(accept, true)
		if len(found) > 0 {
			return found[len(found)-1], true
		}
		select {
		case <-ctx.Done():
			return Record{}, false
		case <-arrived:
		}
	}
}

// find collects records from the oldest to the newest, and a channel that is closed when the next one comes.
func (r *Ring) find(accept func(Record) bool, wait bool) (found []Record, arrived <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	start := 0
	if len(r.records) == cap(r.records) {
		start = r.next
	}
	for i := range r.records {
		if record := r.records[(start+i)%len(r.records)]; accept(record) {
			found = append(found, record)
		}
	}
	if wait && len(found) == 0 {
		if r.arrived == nil {
			r.arrived = make(chan struct{})
		}
		arrived = r.arrived
	}
	return found, arrived
}
