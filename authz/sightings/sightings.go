package sightings

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/policy"
)

// Sizes unless told otherwise, in certificates. One that is vouched for takes 2 KiB as a rule.
const (
	DefaultSize      = 10_000
	DefaultStrangers = 1_000
)

// Config is what Sightings need. The zero value will do.
type Config struct {
	// Path of a file that keeps them over a restart, with mode 0600; nothing is kept if empty.
	Path string
	// Interval between writings of the file; 5 minutes if zero.
	Interval time.Duration
	// Size and Strangers are how many certificates are remembered that a truststore vouched for, and others. The one that was
	// not seen for the longest time makes room.
	Size, Strangers int
	// Logger is told of a file that cannot be used. Silent if nil.
	Logger hclog.Logger
}

// Sightings is what is remembered. It is safe for concurrent use: an authz.Observer, and an audit.Sink for the records of
// refused handshakes.
type Sightings struct {
	config             Config
	vouched, strangers *memory
	refusals           refusals
	dirty              atomic.Bool
}

// New makes Sightings with what the file holds. A file that cannot be read is said and left out.
func New(config Config) (*Sightings, error) {
	if config.Size < 0 || config.Strangers < 0 || config.Interval < 0 {
		return nil, errors.New("sightings: neither sizes nor interval may be negative")
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	config.Size = cmp.Or(config.Size, DefaultSize)
	config.Strangers = cmp.Or(config.Strangers, DefaultStrangers)
	config.Interval = cmp.Or(config.Interval, 5*time.Minute)
	s := &Sightings{
		config: config, vouched: newMemory(config.Size), strangers: newMemory(config.Strangers),
		refusals: refusals{counts: make(map[refusalKey]*Refusals)},
	}
	s.load()
	return s, nil
}

// Decided notes the certificate of a decision, if there is one. What is seen again within a second costs a look-up and a
// count.
func (s *Sightings) Decided(d *policy.Decision, at time.Time) {
	if d.Certificate == nil || d.Request == nil || d.Request.Gateway == "" {
		return
	}
	k := key{sha256: d.Certificate.SHA256, gateway: d.Request.Gateway}
	known := s.vouched.find(k)
	if known == nil && d.Truststore == "" {
		known = s.strangers.find(k)
	}
	if known != nil {
		if known.again(d, at) {
			s.dirty.Store(true)
		}
		return
	}
	if d.Truststore == "" {
		s.strangers.add(k, newEntry(d, at))
		return
	}
	s.strangers.remove(k)
	s.vouched.add(k, newEntry(d, at))
	s.dirty.Store(true)
}

// Record counts a refused handshake, and passes over all other records.
func (s *Sightings) Record(r audit.Record) error {
	if r.Kind != audit.KindHandshake {
		return nil
	}
	s.refusals.count(r)
	if r.CertificateSHA256 == "" {
		return nil
	}
	if known := s.vouched.find(key{sha256: r.CertificateSHA256, gateway: r.Gateway}); known != nil {
		known.refused(r)
		s.dirty.Store(true)
	}
	return nil
}

// List returns all sightings, the vouched ones first, each by gateway, consumer and fingerprint.
func (s *Sightings) List() []Sighting {
	return slices.Concat(s.vouched.list(), s.strangers.list())
}

// Refusals returns the counts of refused handshakes since the start, by gateway, listener and reason.
func (s *Sightings) Refusals() []Refusals { return s.refusals.list() }

// maxRefusals bounds the counts: a listener's name is the proxy's word.
const maxRefusals = 1000

type refusalKey struct{ gateway, listener, reason string }

// refusals are the counts of refused handshakes.
type refusals struct {
	mu     sync.Mutex
	counts map[refusalKey]*Refusals
}

func (f *refusals) count(r audit.Record) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k := refusalKey{r.Gateway, r.Listener, string(r.Reason)}
	c := f.counts[k]
	if c == nil {
		if len(f.counts) >= maxRefusals {
			return
		}
		c = &Refusals{Gateway: r.Gateway, Listener: r.Listener, Reason: r.Reason}
		f.counts[k] = c
	}
	c.Count++
	if !r.Time.Before(c.Last) {
		c.Last, c.Subject, c.Serial, c.SHA256, c.NotAfter, c.Detail = r.Time, r.CertificateSubject, r.CertificateSerial, r.CertificateSHA256, r.CertificateNotAfter, r.Detail
	}
}

func (f *refusals) list() []Refusals {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]Refusals, 0, len(f.counts))
	for _, c := range f.counts {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Refusals) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Listener, b.Listener), cmp.Compare(a.Reason, b.Reason))
	})
	return all
}
