package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// DefaultCacheSize is how many certificates of either kind are remembered, unless told otherwise. A refused one takes 1 KiB
// and for each truststore of its TLS entry half of one at most, whatever a stranger writes into it, so that all of them
// stay below 20 MiB with two truststores. One that a truststore vouches for takes 1 KiB as a rule; its names, which its
// authority has signed, are kept whole and can have 32 KiB.
const DefaultCacheSize = 10_000

// Config is what a Verifier needs. The zero value will do.
type Config struct {
	// CacheSize is how many certificates of either kind are remembered at most; DefaultCacheSize if zero.
	CacheSize int
	// Unregistered, if not nil, is told of certificates that an authority of ours has signed and its register does not know,
	// each once in AlarmInterval at most. It is called while a request waits, so it must be quick, and from several
	// goroutines at once.
	Unregistered func(Alarm)
}

// Presented is what a caller presented, as the proxy passes it on: nobody has looked at it yet.
type Presented struct {
	// Certificate is the leaf in URL-encoded PEM, not empty.
	Certificate string
	// Chain is the leaf again with the certificates that were sent beside it, in URL-encoded PEM; empty if there are none,
	// or nobody asks for them (see Trust.TakesChain).
	Chain string
}

// Verifier verifies certificates and remembers what came of it. A remembered verdict is the one that would be reached
// anew: it is kept under the hash of the certificates as received and of the truststores that judged them, with their
// lists and registers, for as long as no validity begins or ends. It is safe for concurrent use.
type Verifier struct {
	// Verdicts with and without a voucher are kept apart, so that strangers cannot displace partners.
	vouched, refused *lru.Cache[cacheKey, *Verdict]
	alarms           *alarms
}

type cacheKey struct{ certificate, chain, trust [sha256.Size]byte }

// NewVerifier makes a verifier.
func NewVerifier(config Config) (*Verifier, error) {
	if config.CacheSize == 0 {
		config.CacheSize = DefaultCacheSize
	}
	vouched, err := lru.New[cacheKey, *Verdict](config.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("make a cache of %d certificates: %w", config.CacheSize, err)
	}
	refused, err := lru.New[cacheKey, *Verdict](config.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("make a cache of %d certificates: %w", config.CacheSize, err)
	}
	alarms, err := newAlarms(config.Unregistered)
	if err != nil {
		return nil, err
	}
	return &Verifier{vouched: vouched, refused: refused, alarms: alarms}, nil
}

// Verify judges a certificate by the truststores of a TLS entry at a moment.
func (v *Verifier) Verify(presented Presented, trust *Trust, now time.Time) *Verdict {
	if !trust.takesChain {
		presented.Chain = ""
	}
	if len(presented.Certificate) > maxEncoded || len(presented.Chain) > maxEncodedChain {
		return verify(presented, trust, now)
	}
	key := cacheKey{certificate: sha256.Sum256([]byte(presented.Certificate)), trust: trust.key}
	if presented.Chain != "" {
		key.chain = sha256.Sum256([]byte(presented.Chain))
	}
	for _, cache := range [...]*lru.Cache[cacheKey, *Verdict]{v.vouched, v.refused} {
		if verdict, ok := cache.Get(key); ok && verdict.holds(now) {
			v.alarms.raise(verdict, now)
			return verdict
		}
	}
	verdict := verify(presented, trust, now)
	v.alarms.raise(verdict, now)
	if verdict.vouched() {
		v.vouched.Add(key, verdict)
	} else {
		v.refused.Add(key, verdict)
	}
	return verdict
}

func (v *Verdict) vouched() bool {
	for _, j := range v.judgements {
		if j.refusal == nil {
			return true
		}
	}
	return false
}

// verify judges without remembering.
func verify(presented Presented, trust *Trust, now time.Time) *Verdict {
	certificate, leaf, err := parse(presented.Certificate)
	if err != nil {
		return &Verdict{refusal: &Refusal{reason.CertificateMalformed, "the certificate is malformed: " + err.Error()}}
	}
	verdict := &Verdict{Certificate: certificate}
	chain, err := parseChain(presented.Chain, leaf)
	if err != nil {
		verdict.refusal = &Refusal{reason.CertificateMalformed, "what was sent beside the certificate is malformed: " + err.Error()}
	} else {
		verdict.decide(leaf, chain, trust, now)
	}
	if !verdict.vouched() {
		verdict.Certificate = certificate.stranger()
	}
	return verdict
}

// decide fills in the refusal or the judgements.
func (v *Verdict) decide(leaf *x509.Certificate, chain []*x509.Certificate, trust *Trust, now time.Time) {
	switch err := ca.CheckStrength(leaf); {
	case leaf.IsCA:
		v.refusal = &Refusal{reason.CertificateIsCA, "the certificate is a certificate authority's"}
	case err != nil:
		v.refusal = &Refusal{reason.CertificateWeakKey, "the certificate is too weak: " + err.Error()}
	case now.IsZero(): // crypto/x509 would take the system's time for it
		v.refusal = &Refusal{reason.Internal, "there is no time to verify by"}
	}
	if v.refusal != nil {
		return
	}
	for _, t := range trust.truststores {
		j := &judging{Verdict: v, leaf: leaf, chain: chain, truststore: t, now: now}
		refusal := j.judge()
		v.judgements = append(v.judgements, judgement{truststore: t.name, refusal: refusal, note: j.note, unregistered: j.unregistered})
	}
}
