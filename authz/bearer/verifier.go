package bearer

import (
	"context"
	"crypto/sha256"
	"errors"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// Keys are the key sets in force. A *keyset.View is such.
type Keys interface {
	// Keys is the set of a Provider; false if it has none at all. It does not wait.
	Keys(provider string) (keyset.Set, bool)
	// Missing is asked where the set has no key of this kid. It may fetch, within bounds of its own and until the context ends.
	Missing(ctx context.Context, provider, kid string) (keyset.Set, bool)
}

// Introspector asks a Provider about a token (RFC 7662).
type Introspector interface {
	Introspect(ctx context.Context, provider, token string) (*idp.Introspection, error)
}

// Config is what a Verifier needs. Every field has a default.
type Config struct {
	// Clock is time.Now if nil. Tokens are judged by the moment that Judge is given; the clock says how long a Provider that fails is
	// left alone.
	Clock func() time.Time
	// CacheSize is how many accepted tokens are remembered at most; DefaultCacheSize if zero.
	CacheSize int
}

// Verifier remembers what is dear to find out about tokens, for all Views of it. It is safe for concurrent use.
type Verifier struct {
	memory  *memory
	answers *answers
}

// NewVerifier makes a Verifier that remembers nothing yet.
func NewVerifier(c Config) (*Verifier, error) {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.CacheSize == 0 {
		c.CacheSize = DefaultCacheSize
	}
	memory, err := newMemory(c.CacheSize)
	if err != nil {
		return nil, err
	}
	answers, err := newAnswers(c.Clock, c.CacheSize)
	if err != nil {
		return nil, err
	}
	return &Verifier{memory: memory, answers: answers}, nil
}

// View judges tokens by certain Providers, their keys and their word, and by nothing that comes later. It is safe for concurrent use.
type View struct {
	*Verifier
	keys         Keys
	introspector Introspector
	rules        map[string]*rules
}

// View makes one. Neither the Providers nor, by identity, what keys and introspector give may become another's afterwards. The
// introspector may be nil where no Provider is asked about tokens; one that should be is unavailable then.
func (v *Verifier) View(providers []*config.Provider, keys Keys, introspector Introspector) *View {
	made := &View{Verifier: v, keys: keys, introspector: introspector, rules: make(map[string]*rules, len(providers))}
	for _, p := range providers {
		made.rules[p.Name] = newRules(p)
	}
	v.answers.open(made.rules)
	return made
}

// Judge finds among the named Providers the one whose token it is, and judges it at a moment. Audiences, if there are any, narrow
// those of the Provider; for a Provider that is ourselves there must be some. It waits until the context ends at most, and only
// where a key has to be fetched or the Provider asked.
//
// Of several Providers with the token's issuer the first that accepts it counts, and else the most telling refusal.
func (v *View) Judge(ctx context.Context, providers, audiences []string, token string, now time.Time) *Verdict {
	switch {
	case now.IsZero():
		return refused(&Refusal{reason.Internal, "there is no time to judge the token by"})
	case len(token) > jose.MaxTokenSize:
		return refused(tooLarge())
	}
	j := &judging{View: v, ctx: ctx, audiences: audiences, raw: token, sum: sha256.Sum256([]byte(token)), now: now}
	for _, name := range providers {
		if r := v.rules[name]; r != nil {
			j.named = append(j.named, r)
		} else {
			j.unknown = true
		}
	}
	if strings.Count(token, ".") != 2 {
		return j.opaque()
	}
	return j.signed()
}

// judging is the judgement of one token.
type judging struct {
	*View
	ctx       context.Context // of the call
	audiences []string
	raw       string
	sum       [sha256.Size]byte // of raw
	now       time.Time
	named     []*rules
	// unknown is set where a Provider of the policy is none of the view's.
	unknown bool
}

// nobody refuses a token that no named Provider issued. One that is not known here might have.
func (j *judging) nobody(detail string) *Verdict {
	if j.unknown {
		return refused(&Refusal{reason.ProviderUnavailable, "a Provider of the policy is not in force"})
	}
	return refused(&Refusal{reason.TokenIssuer, detail})
}

// signed judges a token that has the form of a JWT.
func (j *judging) signed() *Verdict {
	read, err := j.memory.read(j.sum, j.raw)
	if err != nil {
		return refused(malformed(err))
	}
	if read.Claims.Issuer == "" {
		return j.nobody("the token does not say who issued it (iss)")
	}
	var best *Refusal
	for _, r := range j.named {
		if !r.issued(read.Claims) {
			continue
		}
		token, refusal := j.by(r, read)
		if refusal == nil {
			return &Verdict{Token: token}
		}
		if best == nil || telling(refusal.Reason) > telling(best.Reason) {
			best = refusal
		}
	}
	if best == nil {
		return j.nobody("no Provider of the policy issued the token")
	}
	return refused(best)
}

// by judges a token by the rules of a Provider that it names as its issuer.
func (j *judging) by(r *rules, read *jose.Token) (*Token, *Refusal) {
	if refusal := r.checkHeader(read.Header); refusal != nil {
		return nil, refusal
	}
	if refusal := j.verify(r, read); refusal != nil {
		return nil, refusal
	}
	token, refusal := r.describe(read.Claims)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := r.checkTimes(read.Claims, j.now); refusal != nil {
		return nil, refusal
	}
	if refusal := r.checkAudience(token.Audiences, j.audiences); refusal != nil {
		return nil, refusal
	}
	if r.provider.Introspection != nil {
		if refusal := j.confirm(r); refusal != nil {
			return nil, refusal
		}
	}
	token.Raw = j.raw
	return token, nil
}

// malformed is what a token is refused for that cannot be read.
func malformed(err error) *Refusal {
	var fault *jose.Error
	if !errors.As(err, &fault) {
		return &Refusal{reason.Internal, "the token could not be read"}
	}
	switch fault.Fault {
	case jose.UnsupportedAlgorithm:
		return &Refusal{reason.TokenSignature, fault.Detail}
	case jose.NoExpiry:
		return &Refusal{reason.TokenClaimMissing, fault.Detail}
	default:
		return &Refusal{reason.TokenMalformed, fault.Detail}
	}
}
