package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// WatchQueue exposes an audit queue. Call it once.
func (m *Metrics) WatchQueue(q *audit.Queue) {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: "audit", Name: name, Help: help}, value)
	}
	counter := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Namespace: namespace, Subsystem: "audit", Name: name, Help: help}, value)
	}
	m.registry.MustRegister(
		gauge("queue_records", "Audit records that wait to be written.", func() float64 { return float64(q.Depth()) }),
		gauge("queue_size", "Audit records that may wait.", func() float64 { return float64(q.Size()) }),
		counter("records_lost_total", "Audit records that were lost because the queue was full or could not be written.", func() float64 { return float64(q.Lost()) }),
		counter("write_failures_total", "Writes of audit records that failed.", func() float64 { return float64(q.Failed()) }),
	)
}

// WatchRecordsSkipped exposes how many records of refused handshakes were counted and not kept. Call it once.
func (m *Metrics) WatchRecordsSkipped(skipped func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Namespace: namespace, Name: "refusal_records_skipped_total", Help: "Records of proxies' refusals that came too fast to be kept.",
	}, func() float64 { return float64(skipped()) }))
}

// collector looks something up when it is asked.
type collector struct {
	about   []*prometheus.Desc
	collect func(chan<- prometheus.Metric)
}

// Describe names what is collected.
func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.about {
		to <- d
	}
}

// Collect looks it up.
func (c collector) Collect(to chan<- prometheus.Metric) { c.collect(to) }

// unix is a moment as Prometheus has it.
func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1e3 }

// maxExpiries bounds what is told of consumers' certificates, the most urgent ones first.
const maxExpiries = 2000

// WatchExpiry exposes what ends when. Call it once.
func (m *Metrics) WatchExpiry(list func(now time.Time) []expiry.Row, clock func() time.Time) {
	labels := []string{"kind", "name", "gateway", "sha256"}
	certificates := prometheus.NewDesc(namespace+"_certificate_expiry_timestamp_seconds", "When a certificate ends.", labels, nil)
	lists := prometheus.NewDesc(namespace+"_crl_next_update_timestamp_seconds", "When a revocation list runs out.", []string{"truststore", "issuer"}, nil)
	manifests := prometheus.NewDesc(namespace+"_manifest_expiry_timestamp_seconds", "When a truststore's manifest runs out.", []string{"truststore"}, nil)
	m.registry.MustRegister(collector{
		about: []*prometheus.Desc{certificates, lists, manifests},
		collect: func(to chan<- prometheus.Metric) {
			seen := make(map[[4]string]bool) // a registry refuses everything when one thing comes twice
			for _, r := range list(clock()) {
				id := [4]string{string(r.Kind), r.Name, r.Gateway, short(r.SHA256)}
				about, values := certificates, id[:]
				switch r.Kind {
				case expiry.List:
					id = [4]string{string(r.Kind), r.Name, r.Issuer}
					about, values = lists, id[1:3]
				case expiry.Manifest:
					about, values = manifests, id[1:2]
				default:
				}
				if r.Superseded || seen[id] || len(seen) >= maxExpiries {
					continue
				}
				seen[id] = true
				to <- prometheus.MustNewConstMetric(about, prometheus.GaugeValue, unix(r.NotAfter), values...)
			}
		},
	})
}

// short is enough of a fingerprint to tell certificates apart.
func short(sha256 string) string { return sha256[:min(16, len(sha256))] }

// WatchMaterial exposes what is wrong with truststores, certificates and authorities. Call it once.
func (m *Metrics) WatchMaterial(snapshot func() *inventory.Snapshot) {
	since := prometheus.NewDesc(namespace+"_material_problem_since_timestamp_seconds",
		"Since when something is wrong with a truststore, certificate or authority; absent while nothing is.", []string{"kind", "name", "in_force"}, nil)
	m.registry.MustRegister(collector{
		about: []*prometheus.Desc{since},
		collect: func(to chan<- prometheus.Metric) {
			type resource struct {
				kind, name string
				inForce    bool
			}
			first := make(map[resource]time.Time)
			now := snapshot()
			if now == nil {
				return
			}
			for _, p := range now.Problems {
				r := resource{p.Kind, p.Name, p.InForce}
				if earlier, found := first[r]; !found || p.Since.Before(earlier) {
					first[r] = p.Since
				}
			}
			for r, at := range first {
				to <- prometheus.MustNewConstMetric(since, prometheus.GaugeValue, unix(at), r.kind, r.name, strconv.FormatBool(r.inForce))
			}
		},
	})
}

// WatchSightings exposes how many certificates each gateway has met. Call it once.
func (m *Metrics) WatchSightings(list func() []sightings.Sighting) {
	count := prometheus.NewDesc(namespace+"_certificates_seen", "Client certificates that a gateway has met and still remembers.", []string{"gateway", "vouched"}, nil)
	m.registry.MustRegister(collector{
		about: []*prometheus.Desc{count},
		collect: func(to chan<- prometheus.Metric) {
			type group struct {
				gateway string
				vouched bool
			}
			counts := make(map[group]int)
			for _, s := range list() {
				counts[group{s.Gateway, s.Vouched()}]++
			}
			for g, n := range counts {
				to <- prometheus.MustNewConstMetric(count, prometheus.GaugeValue, float64(n), g.gateway, strconv.FormatBool(g.vouched))
			}
		},
	})
}
