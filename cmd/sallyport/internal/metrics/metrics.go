package metrics

import (
	"net/http"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/reason"
)

const namespace = "sallyport"

// other stands where a label would have a value too many.
const other = "other"

// maxPlaces bounds the pairs of gateway and listener: a proxy's word for a listener is not looked up.
const maxPlaces = 500

// durations are the buckets of decisions, in seconds: a remembered certificate takes some 20 µs, and a check may take 200 ms.
var durations = []float64{20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 50e-3, 200e-3, 1}

// Metrics is what is counted, and a Sink for records. It is safe for concurrent use.
type Metrics struct {
	registry   *prometheus.Registry
	decisions  *prometheus.CounterVec
	duration   *prometheus.HistogramVec
	handshakes *prometheus.CounterVec
	answers    *prometheus.CounterVec
	shadows    *prometheus.CounterVec

	// counted are the series of decisions, by decision: to look them up by their labels costs more.
	counted sync.Map

	mu     sync.RWMutex
	places map[place]bool
}

type place struct{ gateway, listener string }

// decision is what the series of decisions tell apart.
type decision struct {
	place
	reason  reason.Reason
	allowed bool
}

// series are those that count a decision.
type series struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// New makes Metrics, with those of the Go runtime and the process.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		decisions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "decisions_total", Help: "Decisions on requests, by gateway, reason and whether the request was allowed.",
		}, []string{"gateway", "reason", "allowed"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: namespace, Name: "decision_duration_seconds", Help: "Time that decisions took.", Buckets: durations,
		}, []string{"gateway"}),
		handshakes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "handshakes_refused_total", Help: "TLS handshakes that proxies refused.",
		}, []string{"gateway", "listener", "reason"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "proxy_answers_total", Help: "Requests that proxies turned away before they asked.",
		}, []string{"gateway", "listener", "status"}),
		shadows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "shadow_verdicts_total", Help: "What rules would have done that are only tried out, by what was decided without them.",
		}, []string{"policy", "rule", "would_allow", "allowed"}),
		places: make(map[place]bool),
	}
	m.registry.MustRegister(m.decisions, m.duration, m.handshakes, m.answers, m.shadows,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers with everything in Prometheus' form.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

// Record counts a record. It never refuses one.
func (m *Metrics) Record(r audit.Record) error {
	at := place{r.Gateway, r.Listener}
	switch r.Kind {
	case audit.KindHandshake:
		at = m.known(at)
		m.handshakes.WithLabelValues(at.gateway, at.listener, string(r.Reason)).Inc()
	case audit.KindAnswer:
		at = m.known(at)
		m.answers.WithLabelValues(at.gateway, at.listener, status(r.Status)).Inc()
	default:
		s := m.series(decision{at, r.Reason, r.Allowed})
		s.count.Inc()
		s.duration.Observe(r.Duration.Seconds())
		for _, verdict := range r.Shadow { // the rules are a configuration's, and so only so many
			m.shadows.WithLabelValues(verdict.Policy, verdict.Rule, strconv.FormatBool(verdict.WouldAllow), strconv.FormatBool(r.Allowed)).Inc()
		}
	}
	return nil
}

// series returns those of a decision.
func (m *Metrics) series(d decision) *series {
	if found, ok := m.counted.Load(d); ok {
		return found.(*series) //nolint:forcetypeassert // nothing else is stored
	}
	at := m.known(d.place)
	s := &series{
		count:    m.decisions.WithLabelValues(at.gateway, string(d.reason), strconv.FormatBool(d.allowed)),
		duration: m.duration.WithLabelValues(at.gateway),
	}
	if at == d.place { // there are only so many
		m.counted.Store(d, s)
	}
	return s
}

// known returns the place, unless there are too many.
func (m *Metrics) known(p place) place {
	m.mu.RLock()
	known, full := m.places[p], len(m.places) >= maxPlaces
	m.mu.RUnlock()
	switch {
	case known:
		return p
	case full:
		return place{other, other}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.places) >= maxPlaces {
		return place{other, other}
	}
	m.places[p] = true
	return p
}

// status is one that HTTP has.
func status(code int) string {
	if code < 100 || code > 599 {
		return other
	}
	return strconv.Itoa(code)
}
