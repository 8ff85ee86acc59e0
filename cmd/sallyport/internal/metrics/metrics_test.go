package metrics_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/metrics"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	recorder := httptest.NewRecorder()
	m.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	if recorder.Code != http.StatusOK {
		t.Fatalf("status %d: %s", recorder.Code, recorder.Body)
	}
	return recorder.Body.String()
}

func wantLines(t *testing.T, text string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("there is no line %s in\n%s", line, text)
		}
	}
}

func record(t testing.TB, m *metrics.Metrics, r audit.Record) {
	t.Helper()
	if err := m.Record(r); err != nil {
		t.Fatal(err)
	}
}

func TestRecordsAreCountedByWhatTheyAre(t *testing.T) {
	m := metrics.New()
	for range 2 {
		record(t, m, audit.Record{Kind: audit.KindDecision, Gateway: "edge", Listener: "https", Allowed: true, Reason: reason.PermissionGranted, Duration: 30 * time.Microsecond})
	}
	record(t, m, audit.Record{Kind: audit.KindDecision, Gateway: "edge", Listener: "https", Reason: reason.ConsumerUnknown, Consumer: "x", Path: "/secret"})
	record(t, m, audit.Record{Kind: audit.KindHandshake, Gateway: "edge", Listener: "https", Reason: reason.CertificateExpired})
	record(t, m, audit.Record{Kind: audit.KindAnswer, Gateway: "edge", Listener: "https", Reason: reason.ProxyAnswered, Status: 400})
	text := scrape(t, m)
	wantLines(t, text,
		`sallyport_decisions_total{allowed="true",gateway="edge",reason="permission_granted"} 2`,
		`sallyport_decisions_total{allowed="false",gateway="edge",reason="consumer_unknown"} 1`,
		`sallyport_decision_duration_seconds_bucket{gateway="edge",le="5e-05"} 3`,
		`sallyport_handshakes_refused_total{gateway="edge",listener="https",reason="certificate_expired"} 1`,
		`sallyport_proxy_answers_total{gateway="edge",listener="https",status="400"} 1`,
	)
	if strings.Contains(text, "secret") {
		t.Error("a path is in the metrics")
	}
}

func TestPlacesWithoutEndAreNotEndlessSeries(t *testing.T) {
	m := metrics.New()
	for i := range 5000 {
		record(t, m, audit.Record{Kind: audit.KindHandshake, Gateway: "edge", Listener: fmt.Sprint(i), Reason: reason.HandshakeFailed})
	}
	text := scrape(t, m)
	if n := strings.Count(text, "sallyport_handshakes_refused_total{"); n > 501 {
		t.Errorf("%d series", n)
	}
	wantLines(t, text, `sallyport_handshakes_refused_total{gateway="other",listener="other",reason="handshake_failed"} 4500`)
}

func TestWhatIsWatchedIsLookedUpWhenAsked(t *testing.T) {
	m := metrics.New()
	queue, err := audit.NewQueue(audit.QueueConfig{Writer: io.Discard, Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	m.WatchQueue(queue)
	m.WatchRecordsSkipped(func() uint64 { return 7 })
	for range 3 {
		_ = queue.Record(audit.Record{})
	}
	row := expiry.Row{Kind: expiry.Consumer, Name: "mapps", Gateway: "edge", SHA256: strings.Repeat("ab", 32), NotAfter: noon}
	m.WatchExpiry(func(time.Time) []expiry.Row {
		return []expiry.Row{
			row, row, {Kind: expiry.List, Name: "partners", Issuer: "CN=partners", NotAfter: noon},
			{Kind: expiry.Manifest, Name: "partners", NotAfter: noon}, {Kind: expiry.Consumer, Name: "old", NotAfter: noon, Superseded: true},
		}
	}, time.Now)
	m.WatchMaterial(func() *inventory.Snapshot {
		return &inventory.Snapshot{Problems: []inventory.Problem{
			{Kind: inventory.KindTruststore, Name: "partners", Err: errors.New("one"), InForce: true, Since: noon.Add(time.Hour)},
			{Kind: inventory.KindTruststore, Name: "partners", Err: errors.New("two"), InForce: true, Since: noon},
		}}
	})
	m.WatchSightings(func() []sightings.Sighting {
		return []sightings.Sighting{{Gateway: "edge", Truststore: "partners"}, {Gateway: "edge"}}
	})
	text := scrape(t, m)
	wantLines(t, text,
		`sallyport_audit_queue_records 1`, `sallyport_audit_queue_size 1`, `sallyport_audit_records_lost_total 2`, `sallyport_audit_write_failures_total 0`,
		`sallyport_refusal_records_skipped_total 7`,
		`sallyport_certificate_expiry_timestamp_seconds{gateway="edge",kind="consumer",name="mapps",sha256="abababababababab"} 1.9065456e+09`,
		`sallyport_crl_next_update_timestamp_seconds{issuer="CN=partners",truststore="partners"} 1.9065456e+09`,
		`sallyport_manifest_expiry_timestamp_seconds{truststore="partners"} 1.9065456e+09`,
		`sallyport_material_problem_since_timestamp_seconds{in_force="true",kind="Truststore",name="partners"} 1.9065456e+09`,
		`sallyport_certificates_seen{gateway="edge",vouched="true"} 1`,
	)
	if strings.Contains(text, `name="old"`) {
		t.Error("a certificate that was renewed is told of")
	}
}

// BenchmarkRecord is what a decision pays.
func BenchmarkRecord(b *testing.B) {
	m := metrics.New()
	r := audit.Record{Kind: audit.KindDecision, Gateway: "edge", Listener: "https", Allowed: true, Reason: reason.PermissionGranted, Duration: 30 * time.Microsecond}
	b.ReportAllocs()
	for b.Loop() {
		record(b, m, r)
	}
}
