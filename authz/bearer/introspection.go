package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

const (
	// maxFlights is how many questions one Provider is asked at a time, so that a flood of made-up tokens does not go on to it whole.
	maxFlights = 64
	// flightTime is how long a question takes at most, whether anybody still waits for it or not.
	flightTime = 10 * time.Second
	// untoldLifetime is how long a token is good for what depends on its end, where the Provider tells none: the longest time for which
	// an answer can count.
	untoldLifetime = time.Minute
)

// answers are what Providers say of tokens.
type answers struct {
	introspector Introspector
	// Active and inactive ones are kept apart, so that made-up tokens do not displace those of callers.
	active, inactive *lru.Cache[question, *answer]
	flights          singleflight.Group
}

// question is whom and about which token.
type question struct {
	asked string
	token [sha256.Size]byte
}

// answer is what a Provider said of a token.
type answer struct {
	claims *jose.Claims // nil where the token is not active
	at     time.Time    // when the question was put
}

func newAnswers(introspector Introspector, size int) (*answers, error) {
	active, err := lru.New[question, *answer](tenth(size))
	if err != nil {
		return nil, fmt.Errorf("make a cache of answers: %w", err)
	}
	inactive, err := lru.New[question, *answer](tenth(size))
	if err != nil {
		return nil, fmt.Errorf("make a cache of answers: %w", err)
	}
	return &answers{introspector: introspector, active: active, inactive: inactive}, nil
}

// askedOf tells whom a Provider's introspection asks, and as whom.
func askedOf(p *config.Provider) string {
	as := ""
	if p.Client != nil {
		as = p.Client.ID
	}
	return fmt.Sprintf("%q", append([]string{p.Name, p.Introspection.Endpoint, as}, p.Issuers...))
}

// opaque judges a token that says nothing by itself. It is shown to the one named Provider that can be asked; where there are several, it
// is shown to none, since all but one would get to know another's token.
func (j *judging) opaque() *Verdict {
	var asks []*rules
	for _, r := range j.named {
		if r.provider.Introspection != nil {
			asks = append(asks, r)
		}
	}
	switch {
	case j.unknown, len(asks) > 1:
		return j.nobody("several Providers of the policy can be asked about such a token, and it is not known whose it is")
	case len(asks) == 0:
		_, err := jose.Parse(j.raw)
		return refused(malformed(err))
	case !isB64Token(j.raw):
		return refused(&Refusal{reason.TokenMalformed, "the token has characters that no token has (RFC 6750, section 2.1)"})
	}
	token, refusal := j.introspected(asks[0])
	if refusal != nil {
		return refused(refusal)
	}
	return &Verdict{Token: token}
}

// introspected makes a Token of what the Provider says of it.
func (j *judging) introspected(r *rules) (*Token, *Refusal) {
	said, refusal := j.ask(r)
	if refusal != nil {
		return nil, refusal
	}
	if said.claims.Issuer != "" && !r.issued(said.claims) {
		return nil, &Refusal{reason.TokenIssuer, "the Provider " + r.quoted + " says that another issued the token"}
	}
	token, refusal := r.describe(said.claims)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := r.checkTimes(said.claims, j.now); refusal != nil {
		return nil, refusal
	}
	// An answer need not name the audience (RFC 7662, section 2.2): the Provider, which knows who asks, has called the token active.
	if len(token.Audiences) > 0 || len(j.audiences) > 0 {
		if refusal := r.checkAudience(token.Audiences, j.audiences); refusal != nil {
			return nil, refusal
		}
	}
	if token.Issuer == "" {
		token.Issuer = r.provider.Issuers[0]
	}
	if token.Expires.IsZero() {
		token.Expires = said.at.Add(untoldLifetime)
	}
	token.Raw = j.raw
	return token, nil
}

// confirm wants the Provider to vouch for a token of its own that was found good: it may have been revoked since.
func (j *judging) confirm(r *rules) *Refusal {
	said, refusal := j.ask(r)
	if refusal != nil {
		return refusal
	}
	return r.checkTimes(said.claims, j.now)
}

// ask is what the Provider says of the token: now, or not longer ago than its configuration allows. The token is active, or it is
// refused.
func (j *judging) ask(r *rules) (*answer, *Refusal) {
	if j.answers.introspector == nil {
		return nil, r.unavailable("nobody can ask it about tokens")
	}
	of := question{r.asked, j.sum}
	said := j.answers.remembered(of, j.now, r.provider.Introspection.Cache)
	if said == nil {
		var err error
		if said, err = j.answers.fetch(j.ctx, r, of, j.raw, j.now); err != nil {
			return nil, r.unavailable(explain(err))
		}
	}
	if said.claims == nil {
		return nil, &Refusal{reason.TokenInactive, "the Provider " + r.quoted + " says that the token is not active"}
	}
	return said, nil
}

// explain is what people may know of a failed question. Only of an error of the idp package it is known that it quotes no token.
func explain(err error) string {
	var failed *idp.Error
	switch {
	case errors.As(err, &failed):
		return failed.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "it did not answer in time"
	case errors.Is(err, errAnswer):
		return errAnswer.Error()
	}
	return "it could not be asked about the token"
}

func (a *answers) remembered(of question, now time.Time, longest time.Duration) *answer {
	for _, cache := range [...]*lru.Cache[question, *answer]{a.active, a.inactive} {
		if said, ok := cache.Get(of); ok && !now.Before(said.at) && now.Before(said.at.Add(longest)) {
			return said
		}
	}
	return nil
}

// fetch asks the Provider. Who asks about the same token meanwhile shares the answer. The question goes on when the request that put it
// ends, since others may wait for it.
func (a *answers) fetch(ctx context.Context, r *rules, of question, token string, now time.Time) (*answer, error) {
	flight := a.flights.DoChan(of.asked+string(of.token[:]), func() (any, error) {
		// Another flight may have landed since the answers were looked at.
		if said := a.remembered(of, now, r.provider.Introspection.Cache); said != nil {
			return said, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flightTime)
		defer cancel()
		select {
		case r.flights <- struct{}{}:
			defer func() { <-r.flights }()
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		found, err := a.introspector.Introspect(ctx, r.provider.Name, token)
		if err != nil {
			return nil, err
		}
		said, err := take(found, now)
		if err != nil {
			return nil, err
		}
		a.remember(of, said)
		return said, nil
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case landed := <-flight:
		if landed.Err != nil {
			return nil, landed.Err
		}
		return landed.Val.(*answer), nil //nolint:forcetypeassert // what the function above returns
	}
}

// remember keeps an answer in place of an earlier one.
func (a *answers) remember(of question, said *answer) {
	keep, drop := a.active, a.inactive
	if said.claims == nil {
		keep, drop = drop, keep
	}
	drop.Remove(of)
	keep.Add(of, said)
}

// errAnswer is an answer that cannot be used. It quotes nothing of it.
var errAnswer = errors.New("what it says of the token has more than 8 KiB, or is about no bearer token")

// take makes an answer of what came. Its claims are no larger than a token's, since they are remembered.
func take(found *idp.Introspection, now time.Time) (*answer, error) {
	if found == nil || found.Active && found.Claims == nil {
		return nil, errAnswer
	}
	if !found.Active {
		return &answer{at: now}, nil
	}
	if text, err := json.Marshal(found.Claims.All()); err != nil || len(text) > jose.MaxTokenSize {
		return nil, errAnswer
	}
	if kind, there := found.Claims.Lookup([]string{"token_type"}); there {
		if text, ok := kind.(string); !ok || !strings.EqualFold(text, "Bearer") && !strings.EqualFold(text, "access_token") {
			return nil, errAnswer
		}
	}
	return &answer{claims: found.Claims, at: now}, nil
}
