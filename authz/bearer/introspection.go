package bearer

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// answers are what Providers say of tokens.
type answers struct {
	// Active and inactive ones are kept apart, so that made-up tokens do not displace those of callers.
	active, inactive *lru.Cache[question, *answer]
	clock            func() time.Time

	mu    sync.Mutex
	desks map[string]*desk // by whom is asked there, and as whom
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

func newAnswers(clock func() time.Time, size int) (*answers, error) {
	active, err := lru.New[question, *answer](tenth(size))
	if err != nil {
		return nil, fmt.Errorf("make a cache of answers: %w", err)
	}
	inactive, err := lru.New[question, *answer](tenth(size))
	if err != nil {
		return nil, fmt.Errorf("make a cache of answers: %w", err)
	}
	return &answers{active: active, inactive: inactive, clock: clock, desks: make(map[string]*desk)}, nil
}

// open gives every Provider that can be asked its desk, the one that it has if whom is asked is the same. Those of others are closed:
// who stands at one is still served.
func (a *answers) open(all map[string]*rules) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := a.desks
	a.desks = make(map[string]*desk)
	for _, r := range all {
		if r.asked == "" {
			continue
		}
		if r.desk = before[r.asked]; r.desk == nil {
			r.desk = newDesk(a.clock)
		}
		a.desks[r.asked] = r.desk
	}
}

// askedOf tells whom a Provider's introspection asks, and as whom.
func askedOf(p *config.Provider) string {
	as := ""
	if p.Client != nil {
		as = p.Client.ID
	}
	vouched := "" // for its server, by whom
	switch {
	case p.Truststore != nil:
		vouched = "truststore " + p.Truststore.Name
	case p.InsecureHTTP:
		vouched = "nobody"
	}
	return fmt.Sprintf("%q", append([]string{p.Name, p.Introspection.Endpoint, as, vouched}, p.Issuers...))
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
	said, refusal := j.ask(r, false)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := r.checkSaid(said.claims); refusal != nil {
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
	// Where the configuration says so, an answer need not name the audience (RFC 7662, section 2.2).
	if len(token.Audiences) > 0 || len(j.audiences) > 0 {
		if refusal := r.checkAudience(token.Audiences, j.audiences); refusal != nil {
			return nil, refusal
		}
	}
	if token.Issuer == "" {
		token.Issuer = r.provider.Issuers[0]
	}
	token.Raw = j.raw
	return token, nil
}

// confirm wants the Provider to vouch for a token of its own that was found good: it may have been revoked since.
func (j *judging) confirm(r *rules) *Refusal {
	said, refusal := j.ask(r, true)
	if refusal != nil {
		return refusal
	}
	if refusal := r.checkSaidKind(said.claims); refusal != nil {
		return refusal
	}
	return r.checkTimes(said.claims, j.now)
}

// checkSaid wants an answer to tell all that lets a token in which says nothing by itself: that it is an access token, for whom, and
// how long. A Provider may call refresh tokens active as well, and tokens that were made for others (RFC 7662, section 4).
func (r *rules) checkSaid(claims *jose.Claims) *Refusal {
	if refusal := r.checkSaidKind(claims); refusal != nil {
		return refusal
	}
	switch {
	case claims.Expires.IsZero():
		return &Refusal{reason.TokenClaimMissing, "the Provider " + r.quoted + " does not say when the token ends (exp)"}
	case len(claims.Audience) > 0: // which is checked as every token's is
		return nil
	case !r.provider.Introspection.WithoutAudience:
		return &Refusal{reason.TokenAudience, "the Provider " + r.quoted + " does not say whom the token is for (aud)"}
	case !claims.Has("token_type"):
		return &Refusal{reason.TokenType, "the Provider " + r.quoted + " says neither whom the token is for (aud) nor of what type it is (token_type)"}
	}
	return nil
}

// checkSaidKind refuses a token that the Provider says is no bearer's access token (RFC 7662, section 2.2), as far as it says that;
// some tell it in `token_use`.
func (r *rules) checkSaidKind(claims *jose.Claims) *Refusal {
	if saidOtherwise(claims, "token_type", "Bearer", "access_token") || saidOtherwise(claims, "token_use", "access_token", "access") {
		return &Refusal{reason.TokenType, "the Provider " + r.quoted + " says that the token is no access token for bearers"}
	}
	return nil
}

// saidOtherwise tells whether a claim is there and is none of some words, in letters of any case.
func saidOtherwise(claims *jose.Claims, name string, words ...string) bool {
	value, there := claims.Lookup([]string{name})
	if !there {
		return false
	}
	text, is := value.(string)
	return !is || !slices.ContainsFunc(words, func(word string) bool { return strings.EqualFold(word, text) })
}

// ask is what the Provider says of the token: now, or not longer ago than its configuration allows. The token is active, or it is
// refused. Signed is set for one that is not made up.
func (j *judging) ask(r *rules, signed bool) (*answer, *Refusal) {
	if j.introspector == nil {
		return nil, r.unavailable("nobody can ask it about tokens")
	}
	of := question{r.asked, j.sum}
	said := j.answers.remembered(of, j.now, r.provider.Introspection.Cache)
	if said == nil {
		var err error
		if said, err = j.fetch(r, of, signed); err != nil {
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
	}
	for _, known := range []error{errAnswer, errBusy, errResting} {
		if errors.Is(err, known) {
			return known.Error()
		}
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

// fetch asks the Provider. Who asks about the same token meanwhile shares the answer.
func (j *judging) fetch(r *rules, of question, signed bool) (*answer, error) {
	answers, introspector, raw, now := j.answers, j.introspector, j.raw, j.now
	return r.desk.get(j.ctx, query{
		token: of.token, at: now, acquainted: signed || answers.active.Contains(of),
		recall: func() *answer { return answers.remembered(of, now, r.provider.Introspection.Cache) },
		ask: func(ctx context.Context) (*answer, error) {
			found, err := introspector.Introspect(ctx, r.provider.Name, raw)
			if err != nil {
				return nil, err
			}
			said, err := take(found, now)
			if err != nil {
				return nil, err
			}
			answers.remember(of, said)
			return said, nil
		},
	})
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
var errAnswer = errors.New("what it says of the token is nothing, or has more than 8 KiB")

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
	return &answer{claims: found.Claims, at: now}, nil
}
