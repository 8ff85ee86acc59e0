package sightings

import (
	"bytes"
	"cmp"
	"encoding/pem"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
)

// key is what a sighting is known by.
type key struct{ sha256, gateway string }

// shards divide a memory, so that requests seldom wait for each other.
const shards = 16

// memory holds a bounded number of entries.
type memory struct {
	perShard int
	shards   [shards]shard
}

type shard struct {
	mu      sync.RWMutex
	entries map[key]*entry
}

func newMemory(size int) *memory {
	m := &memory{perShard: max(1, size/shards)}
	for i := range m.shards {
		m.shards[i].entries = make(map[key]*entry)
	}
	return m
}

// shard takes a fingerprint's last digit, which is evenly spread.
func (m *memory) shard(k key) *shard {
	if k.sha256 == "" {
		return &m.shards[0]
	}
	digit := k.sha256[len(k.sha256)-1]
	if digit >= 'a' {
		digit -= 'a' - 10
	}
	return &m.shards[digit%shards]
}

// find returns the entry, or nil.
func (m *memory) find(k key) *entry {
	s := m.shard(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.entries[k]
}

// add remembers an entry, unless another was faster, in place of the one that was not seen for the longest time.
func (m *memory) add(k key, e *entry) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[k] != nil {
		return
	}
	if len(s.entries) >= m.perShard {
		var oldest key
		since := int64(0)
		for other, candidate := range s.entries {
			if seen := candidate.lastSeen.Load(); oldest == (key{}) || seen < since {
				oldest, since = other, seen
			}
		}
		delete(s.entries, oldest)
	}
	s.entries[k] = e
}

func (m *memory) remove(k key) {
	s := m.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.entries, k)
}

// list returns all as they are now.
func (m *memory) list() []Sighting {
	var all []Sighting
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.RLock()
		for _, e := range s.entries {
			all = append(all, e.sighting())
		}
		s.mu.RUnlock()
	}
	slices.SortFunc(all, func(a, b Sighting) int {
		return cmp.Or(cmp.Compare(a.Gateway, b.Gateway), cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.SHA256, b.SHA256))
	})
	return all
}

// entry is a sighting of which the parts that change are atomic.
type entry struct {
	fixed    Sighting
	lastSeen atomic.Int64 // Unix time in seconds
	requests atomic.Uint64
	last     atomic.Pointer[outcome]
	refusal  atomic.Pointer[refusal]
}

// outcome is what came of a decision.
type outcome struct {
	consumer, truststore string
	allowed              bool
	reason               reason.Reason
}

// refusal is what is known of handshakes that were refused.
type refusal struct {
	count  uint64
	last   time.Time
	reason reason.Reason
}

func newEntry(d *policy.Decision, at time.Time) *entry {
	c := d.Certificate
	e := &entry{fixed: Sighting{
		Gateway: d.Request.Gateway, SHA256: c.SHA256, SPKISHA256: c.SPKISHA256, Subject: c.Subject, Issuer: c.Issuer, Serial: c.Serial,
		NotBefore: c.NotBefore, NotAfter: c.NotAfter, FirstSeen: at,
	}}
	if d.Truststore != "" {
		e.fixed.DER, e.fixed.Intermediates = certificates(d.Request)
	}
	e.requests.Store(1)
	e.lastSeen.Store(at.Unix())
	e.last.Store(&outcome{d.Consumer, d.Truststore, d.Allowed, d.Reason})
	return e
}

// Bounds of what is kept of a caller's intermediates: their number, and the bytes of each.
const (
	maxIntermediates = 4
	maxIntermediate  = 8 << 10
)

// certificates are those of a request in DER: the leaf, which has been parsed before, and what was sent beside it.
func certificates(r *request.Request) (leaf []byte, intermediates [][]byte) {
	if all := decode(r.Certificate, 1); len(all) > 0 {
		leaf = all[0]
	}
	for _, der := range decode(r.CertificateChain(), 1+maxIntermediates) {
		if !bytes.Equal(der, leaf) && len(der) <= maxIntermediate {
			intermediates = append(intermediates, der)
		}
	}
	return leaf, intermediates
}

// decode takes so many certificates at most out of URL-encoded PEM.
func decode(encoded string, most int) (all [][]byte) {
	text, err := url.PathUnescape(encoded)
	if err != nil {
		return nil
	}
	for rest := []byte(text); len(all) < most; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		all = append(all, block.Bytes)
	}
	return all
}

// again notes one more request, and tells whether more than a count has changed. What came of a decision before the last one
// seen does not count any more.
func (e *entry) again(d *policy.Decision, at time.Time) bool {
	e.requests.Add(1)
	before, now := e.lastSeen.Load(), at.Unix()
	if now < before {
		return false
	}
	later := now > before && e.lastSeen.CompareAndSwap(before, now)
	was := e.last.Load()
	is := outcome{d.Consumer, d.Truststore, d.Allowed, d.Reason}
	// Whose a certificate was is still of interest when it has expired.
	is.consumer, is.truststore = cmp.Or(is.consumer, was.consumer), cmp.Or(is.truststore, was.truststore)
	if is == *was {
		return later
	}
	changed := is // so that nothing is allocated otherwise
	e.last.Store(&changed)
	return true
}

// refused notes a handshake.
func (e *entry) refused(r audit.Record) {
	for {
		was := e.refusal.Load()
		is := &refusal{count: 1, last: r.Time, reason: r.Reason}
		if was != nil {
			is.count += was.count
		}
		if e.refusal.CompareAndSwap(was, is) {
			return
		}
	}
}

func (e *entry) sighting() Sighting {
	s, last := e.fixed, e.last.Load()
	s.LastSeen, s.Requests = time.Unix(e.lastSeen.Load(), 0).UTC(), e.requests.Load()
	s.Consumer, s.Truststore, s.Allowed, s.Reason = last.consumer, last.truststore, last.allowed, last.reason
	if r := e.refusal.Load(); r != nil {
		s.Handshakes, s.HandshakeRefused, s.HandshakeReason = r.count, r.last, r.reason
	}
	return s
}

// restored is the entry of a sighting that was kept.
func restored(s Sighting) *entry {
	e := &entry{fixed: s}
	e.requests.Store(s.Requests)
	e.lastSeen.Store(s.LastSeen.Unix())
	e.last.Store(&outcome{s.Consumer, s.Truststore, s.Allowed, s.Reason})
	if s.Handshakes > 0 {
		e.refusal.Store(&refusal{s.Handshakes, s.HandshakeRefused, s.HandshakeReason})
	}
	return e
}
