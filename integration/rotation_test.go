package integration

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rotations is how often the truststore, a partner's certificate and the edge's own are replaced: enough for every order of what
// is in flight to come up. $SALLYPORT_ROTATIONS has more of them (`make soak`).
func rotations(t testing.TB) int {
	t.Helper()
	const usual = 30
	asked := os.Getenv("SALLYPORT_ROTATIONS")
	if asked == "" {
		return usual
	}
	n, err := strconv.Atoi(asked)
	if err != nil || n < 1 {
		t.Fatalf("SALLYPORT_ROTATIONS is %q, and should be how often to rotate", asked)
	}
	return n
}

// newRefusing makes an estate whose truststore and lists are objects of S3, and whose edge refuses at the handshake.
func newRefusing(t testing.TB, truststore string) *clouded {
	t.Helper()
	e := newClouded(t)
	text := strings.NewReplacer(
		`bundle: "file:../pki/partners.pem"`, truststore,
		`mode: optional, truststores: [partners], on_untrusted: explain`, `mode: required, truststores: [partners], on_untrusted: refuse`,
	).Replace(e.configuration())
	e.configure("edge.yaml", text)
	return e
}

// pressure is many callers at once, each of which goes on until the test ends, and what came of their requests.
type pressure struct {
	e       *estate
	stop    chan struct{}
	running sync.WaitGroup
	// reached counts the requests that the API has answered, of whomever.
	reached atomic.Int64
	callers []*pressing
}

// pressing is one caller. Who calls may change while it does; nil is nobody.
type pressing struct {
	name             string
	valid            bool
	as               atomic.Pointer[edgeClient]
	passed, refused  atomic.Int64
	firstUnexpected  sync.Once
	unexpectedAnswer string
}

func newPressure(e *estate) *pressure {
	p := &pressure{e: e, stop: make(chan struct{})}
	e.t.Cleanup(p.end)
	return p
}

// add begins to call.
func (p *pressure) add(name string, valid bool, as *edgeClient) *pressing {
	c := &pressing{name: name, valid: valid}
	c.as.Store(as)
	p.callers = append(p.callers, c)
	p.running.Go(func() {
		ticker := time.NewTicker(25 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-p.stop:
				return
			case <-ticker.C:
			}
			if as := c.as.Load(); as != nil {
				p.call(c, as)
			}
		}
	})
	return c
}

func (p *pressure) call(c *pressing, as *edgeClient) {
	status, body, err := p.e.get(as.Client, "/v1/a")
	passed := err == nil && status == http.StatusOK
	if passed {
		p.reached.Add(1)
		c.passed.Add(1)
	} else {
		c.refused.Add(1)
	}
	if passed != c.valid {
		c.firstUnexpected.Do(func() {
			c.unexpectedAnswer = fmt.Sprintf("at %s: status %d, %v: %s", time.Now().Format(time.StampMilli), status, err, body)
		})
	}
}

// passes tells whether a caller passes now.
func (p *pressure) passes(as edgeClient) bool {
	status, _, err := p.e.get(as.Client, "/v1/a")
	if err == nil && status == http.StatusOK {
		p.reached.Add(1)
		return true
	}
	return false
}

func (p *pressure) end() {
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.running.Wait()
}

// judge ends the calls, and fails where one came out as it should not.
func (p *pressure) judge() {
	p.e.t.Helper()
	p.end()
	for _, c := range p.callers {
		passed, refused := c.passed.Load(), c.refused.Load()
		p.e.t.Logf("%-60s %6d passed, %6d refused", c.name, passed, refused)
		expected, unexpected := passed, refused
		if !c.valid {
			expected, unexpected = refused, passed
		}
		if expected == 0 || unexpected > 0 {
			p.e.t.Errorf("%s: %d passed, %d were refused; %s", c.name, passed, refused, c.unexpectedAnswer)
		}
	}
	if got, want := p.e.api.requests.Load(), p.reached.Load(); got != want {
		p.e.t.Errorf("%d requests reached the API, and %d were answered by it", got, want)
	}
}

// The bundle holds an authority that stays and two generations of one that is replaced a hundred times, together with the
// lists of all three; a partner's certificate follows the generations, and the edge's own is replaced as often.
func TestRotationsUnderLoadLoseNoValidCallerAndLetNoOtherIn(t *testing.T) {
	e := newRefusing(t, `bundle: "s3://partners/truststore/bundle.pem", refresh: 1s,
  revocation: {lists: ["s3://partners/rotating.crl", "s3://partners/staying.crl"]}`)
	rotating := newPublished(t, e.path("rotating"), "Rotating", "s3://partners/rotating.crl")
	staying := newPublished(t, e.path("staying"), "Staying", "s3://partners/staying.crl")
	strange := newPublished(t, e.path("strange"), "Strange", "s3://partners/strange.crl")
	push := func() { e.put(slices.Concat(staying.Bundle(), rotating.Bundle())) }
	push()
	e.servers()
	e.startEnvoy()

	p := newPressure(e.estate)
	stays, revoked := staying.issue("mapps"), staying.issue("mapps")
	first := rotating.issue("mapps")
	live, revokedLive, retiredLive := e.calls(stays.TLS(), nil), e.calls(revoked.TLS(), nil), e.calls(first.TLS(), nil)
	eventually(t, "the edge serves", func() bool { return p.passes(live) && p.passes(revokedLive) && p.passes(retiredLive) })
	staying.revoke(revoked)
	staying.publish()
	revokedAnew := e.callsAnew(revoked.TLS(), nil)
	eventually(t, "the revoked certificate is refused", func() bool { return !p.passes(revokedAnew) && !p.passes(revokedLive) })

	present, before := e.callsAnew(first.TLS(), nil), edgeClient{}
	p.add("a partner whose certificate rotates, new connections", true, nil)
	p.callers[0].as.Store(&present)
	p.add("a partner whose certificate stays, one HTTP/2 connection", true, &live)
	stranger := e.callsAnew(strange.issue("mapps").TLS(), nil)
	p.add("a stranger of the same name, new connections", false, &stranger)
	p.add("a revoked certificate, new connections", false, &revokedAnew)
	p.add("a revoked certificate, one HTTP/2 connection", false, &revokedLive)
	retired := p.add("certificates of retired authorities, new connections", false, nil)
	retiredOpen := p.add("a certificate of a retired authority, one HTTP/2 connection", false, nil)

	begin := time.Now()
	times := rotations(t)
	for round := range times {
		rotating.rotate()
		push()
		serial := e.replaceServerCertificate(round)
		next := e.callsAnew(rotating.issue("mapps").TLS(), nil)
		eventually(t, "the new certificates count", func() bool {
			return p.passes(next) && e.servedSerial() == serial && (before.Client == nil || !p.passes(before))
		})
		if before.Client != nil {
			old := before
			retired.as.Store(&old)
			eventually(t, "the retired authority counts nowhere", func() bool { return !p.passes(retiredLive) })
			retiredOpen.as.Store(&retiredLive)
		}
		before, present = present, next
		following := next
		p.callers[0].as.Store(&following)
	}
	t.Logf("%d rotations in %v", times, time.Since(begin).Round(time.Second))
	p.judge()
	if n := live.connections.Load(); n != 1 {
		t.Errorf("the partner whose certificate stays has made %d connections, want 1", n)
	}
}

// replaceServerCertificate puts a new certificate and key in place of the edge's own, as careful tools do, and returns its
// serial number.
func (e *estate) replaceServerCertificate(round int) string {
	e.t.Helper()
	name := fmt.Sprintf("server-%d", round)
	e.issue("internal", "server", name, "--dns", "api.example.org")
	pair := e.pair(name)
	for _, suffix := range []string{".pem", "-key.pem"} {
		if err := os.Rename(e.path("pki", name+suffix), e.path("pki", "server"+suffix)); err != nil {
			e.t.Fatal(err)
		}
	}
	return pair.Leaf.SerialNumber.String()
}
