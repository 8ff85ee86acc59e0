package authz_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// watcher is an Observer that remembers.
type watcher struct {
	mu  sync.Mutex
	saw []reason.Reason
}

func (w *watcher) Decided(d *policy.Decision, _ time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saw = append(w.saw, d.Reason)
}

// full refuses the records of admissions.
type full struct{ ring *audit.Ring }

func (f full) Record(r audit.Record) error {
	if r.Allowed {
		return audit.ErrFull
	}
	return f.ring.Record(r)
}

func TestAnAdmissionThatCannotBeRecordedIsDenied(t *testing.T) {
	ring, saw := audit.NewRing(10), &watcher{}
	h := newHouse(t, func(c *authz.Config) { c.Sink, c.Observer = full{ring}, saw })
	h.ring = ring
	response := h.want(persons(h.partners.Client("mapps")), reason.AuditUnavailable)
	if code := response.GetDeniedResponse().GetStatus().GetCode(); int(code) != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
	h.want(persons(""), reason.CertificateMissing)
	if len(saw.saw) != 2 || saw.saw[0] != reason.AuditUnavailable {
		t.Errorf("the observer saw %v", saw.saw)
	}
}

func TestARecordSaysByWhichRoleAndRevisionItWasDecided(t *testing.T) {
	h := newHouse(t)
	h.want(persons(h.partners.Client("mapps")), reason.PermissionGranted)
	records := h.ring.Find("id-1")
	if len(records) != 1 {
		t.Fatal(records)
	}
	r := records[0]
	if r.Role == "" || r.Revision != h.model.Revision() || r.Kind != audit.KindDecision || r.CertificateNotAfter.IsZero() || r.CertificateIssuer != "CN=partners" {
		t.Errorf("%+v", r)
	}
	h.want(persons(h.partners.Client("nobody")), reason.ConsumerUnknown)
	if records := h.ring.Find("id-1"); records[len(records)-1].Role != "" {
		t.Errorf("a denial has the role %q", records[len(records)-1].Role)
	}
}
