package integration

import (
	"cmp"
	"crypto/tls"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

const (
	// revocations is how many are measured of each kind.
	revocations = 50
	// refresh is how often servers look at the list in S3: the default of a Truststore.
	refresh = 5 * time.Second
	// lookEvery is how often each caller tries.
	lookEvery = 20 * time.Millisecond
	// stayRefused is how often a caller that was refused must be refused again.
	stayRefused = 5
)

// connectionKind is a way in which a caller holds on to what it was granted before.
type connectionKind struct {
	name string
	// anew says that each request is on a new connection, and settings what is asked of its TLS.
	anew     bool
	settings func(*tls.Config)
	// resumes says that connections before the revocation must have been resumed ones, of this version.
	resumes uint16
}

var connectionKinds = []connectionKind{
	{name: "new connections", anew: true},
	{name: "resumed, TLS 1.2", anew: true, resumes: tls.VersionTLS12, settings: func(c *tls.Config) {
		c.MaxVersion, c.ClientSessionCache = tls.VersionTLS12, tls.NewLRUClientSessionCache(0)
	}},
	{name: "resumed, TLS 1.3", anew: true, resumes: tls.VersionTLS13, settings: func(c *tls.Config) {
		c.MinVersion, c.ClientSessionCache = tls.VersionTLS13, tls.NewLRUClientSessionCache(0)
	}},
	{name: "one HTTP/2 connection"},
}

// BenchmarkRevocationToRefusal measures how long it takes from the moment at which the publication of a revocation list to S3
// begins until the first request with a revoked certificate is refused. Publications fall anywhere between two looks of the
// servers at S3. It is measured fifty times for each kind of connection, whatever b.N is.
func BenchmarkRevocationToRefusal(b *testing.B) {
	e := newRefusing(b, `bundle: "s3://partners/truststore/bundle.pem",
  revocation: {lists: ["s3://partners/partners.crl"]}`)
	authority := newPublished(b, e.path("authority"), "Partners", "s3://partners/partners.crl")
	e.put(authority.Bundle())
	e.servers()
	e.startEnvoy()
	control := e.callsAnew(authority.issue("mapps").TLS(), nil)
	eventually(b, "the edge serves", func() bool { return e.passesAs(control) })

	took := make(map[string][]time.Duration)
	random := rand.New(rand.NewPCG(1, 2))
	for range revocations {
		e.measureRevocation(authority, took, time.Duration(random.Int64N(int64(refresh))))
		if !e.passesAs(control) {
			b.Fatal("the certificate that was not revoked is refused")
		}
	}
	for b.Loop() { // what was measured took its own time
	}
	b.ReportMetric(0, "ns/op")
	for _, kind := range connectionKinds {
		durations := took[kind.name]
		slices.Sort(durations)
		b.Logf("%-24s n=%d  p50 %v  p90 %v  p99 %v  max %v", kind.name, len(durations), percentile(durations, 50), percentile(durations, 90),
			percentile(durations, 99), percentile(durations, 100))
		b.ReportMetric(percentile(durations, 99).Seconds(), metricName(kind.name))
	}
}

// measureRevocation revokes one certificate of each kind by one publication, and adds how long each was let in after it.
func (e *clouded) measureRevocation(authority *published, took map[string][]time.Duration, pause time.Duration) {
	e.t.Helper()
	callers := make([]*revokedCaller, len(connectionKinds))
	for i, kind := range connectionKinds {
		callers[i] = e.newRevokedCaller(kind, authority.issue("mapps"))
	}
	<-time.After(pause) // where between two looks the publication falls
	for _, caller := range callers {
		caller.ready()
		authority.revoke(caller.pair)
	}
	begin := time.Now()
	type refusal struct {
		kind string
		took time.Duration
	}
	refusals := make(chan refusal)
	for _, caller := range callers {
		go func() { refusals <- refusal{caller.kind.name, caller.refusedAfter(begin)} }()
	}
	authority.publish()
	for range callers {
		r := <-refusals
		if r.took == 0 {
			e.t.Fatalf("%s: a revoked certificate is let in", r.kind)
		}
		took[r.kind] = append(took[r.kind], r.took)
	}
}

// revokedCaller calls with a certificate that is about to be revoked.
type revokedCaller struct {
	e    *clouded
	kind connectionKind
	pair ca.KeyPair
	edgeClient
	// state is of the connection that was made last.
	state tls.ConnectionState
}

func (e *clouded) newRevokedCaller(kind connectionKind, pair ca.KeyPair) *revokedCaller {
	c := &revokedCaller{e: e, kind: kind, pair: pair}
	settings := func(s *tls.Config) {
		if kind.settings != nil {
			kind.settings(s)
		}
		s.VerifyConnection = func(state tls.ConnectionState) error { c.state = state; return nil }
	}
	if kind.anew {
		c.edgeClient = e.callsAnew(pair.TLS(), settings)
	} else {
		c.edgeClient = e.calls(pair.TLS(), settings)
	}
	return c
}

// ready calls until what is to be measured is there: a connection that stays, or sessions that are resumed.
func (c *revokedCaller) ready() {
	c.e.t.Helper()
	eventually(c.e.t, c.kind.name+": it passes", func() bool {
		return c.e.passesAs(c.edgeClient) && (c.kind.resumes == 0 || c.state.DidResume && c.state.Version == c.kind.resumes)
	})
}

// refusedAfter calls until it is refused, and then some more. It returns when that first was, and 0 where it was let in again
// or never refused.
func (c *revokedCaller) refusedAfter(begin time.Time) time.Duration {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for c.e.passesAs(c.edgeClient) {
		if time.Since(begin) > patience {
			return 0
		}
		<-ticker.C
	}
	first := time.Since(begin)
	for range stayRefused {
		<-ticker.C
		if c.e.passesAs(c.edgeClient) {
			return 0
		}
	}
	return first
}

// passesAs tells whether a caller passes now.
func (e *estate) passesAs(as edgeClient) bool {
	status, _, err := e.get(as.Client, "/v1/a")
	return err == nil && status == http.StatusOK
}

// percentile is the smallest value that so many per cent of the sorted ones do not exceed.
func percentile(sorted []time.Duration, percent int) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := (len(sorted)*percent + 99) / 100
	return cmp.Or(sorted[max(rank, 1)-1], 1).Round(time.Millisecond)
}

// metricName turns the name of a kind into a unit, which has no spaces.
func metricName(kind string) string {
	return "s/p99-" + strings.NewReplacer(" ", "-", ",", "", "/", "").Replace(kind)
}
