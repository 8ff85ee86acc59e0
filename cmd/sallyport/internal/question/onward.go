package question

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
)

// carried is what a gateway sends on in the Authorization header. Nothing is got from a Provider for a question: another token stands
// for one that would be.
type carried struct {
	// header is the value: a token, or a word that stands for one.
	header string
	// token is what the word stands for; nil where the header has a token.
	token *bearer.Token
	// open says what of it is not known.
	open openness
	// note is what is presumed of it; empty if nothing is.
	note string
}

// openness is what is not known of a token that is sent on.
type openness struct{ claims, assertions bool }

// carry is what a passage's gateway sends on; nil for nothing.
func (a *Answers) carry(ctx context.Context, p estate.Passage) *carried {
	d := p.Decision
	disposal := propagation.Disposal(p.Upstream.Token, d)
	switch disposal.Kind {
	case config.DisposalPass:
		if d.Token.Raw != "" {
			return &carried{header: "Bearer " + d.Token.Raw}
		}
		return instead(*d.Token, openness{claims: d.Token.Claims == nil}, "")
	case config.DisposalMint:
		return a.minted(ctx, d, p)
	case config.DisposalAcquire:
		sent := issuedBy(disposal, d.Time, bearer.Token{Subject: disposal.Provider.Client.ID})
		return instead(sent, openness{claims: true, assertions: true},
			fmt.Sprintf("presumed: the token that %s gets from %s has no roles and scopes", p.Listener.Gateway.Name, disposal.Provider.Name))
	case config.DisposalExchange:
		sent := issuedBy(disposal, d.Time, bearer.Token{Subject: d.Token.Subject, Roles: d.Token.Roles, Scopes: d.Token.Scopes})
		return instead(sent, openness{claims: true, assertions: true},
			fmt.Sprintf("presumed: the token that %s gets from %s in exchange has the subject, roles and scopes of the caller's", p.Listener.Gateway.Name, disposal.Provider.Name))
	default:
		return nil
	}
}

// presumedLifetime is how long a token is good that stands for another.
const presumedLifetime = time.Hour

// issuedBy completes a token that a Provider would give our client.
func issuedBy(by config.TokenDisposal, now time.Time, t bearer.Token) bearer.Token {
	p := by.Provider
	t.Provider, t.Issuer, t.ClientID = p, p.Issuers[0], p.Client.ID
	t.IssuedAt, t.Expires = now, now.Add(presumedLifetime)
	t.Roles, t.Scopes = asserted(t.Roles, p.Roles), asserted(t.Scopes, p.Scopes)
	for _, audience := range []string{by.Audience, by.Resource} {
		if audience != "" && len(t.Audiences) == 0 {
			t.Audiences = []string{audience}
		}
	}
	return t
}

func asserted(names []string, allowed map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !allowed[name] })
}

// instead makes a word that stands for a token. Nobody can guess it.
func instead(t bearer.Token, open openness, note string) *carried {
	if t.Expires.IsZero() {
		t.Expires = t.IssuedAt.Add(presumedLifetime)
	}
	return &carried{header: "Bearer " + rand.Text(), token: &t, open: open, note: note}
}

// minted makes a token of our own as the gateway would, by keys of this question. What is presumed of a certificate does not go into it:
// the gateways behind would look for it on lists.
func (a *Answers) minted(ctx context.Context, d *policy.Decision, p estate.Passage) *carried {
	of := *d
	if p.Credentials.Hypothesis != nil {
		of.Certificate = nil
	}
	if d.Token != nil && d.Token.Expires.IsZero() {
		presumed := *d.Token
		presumed.Expires = d.Time.Add(presumedLifetime)
		of.Token = &presumed
	}
	onward, refusal := a.stand.Onward(ctx, &of, d.Time)
	if refusal != nil {
		return &carried{header: "Bearer " + rand.Text(), note: fmt.Sprintf("%s cannot make the token here: %s", p.Listener.Gateway.Name, refusal.Detail)}
	}
	return &carried{header: onward.Authorization, open: openness{claims: d.Token != nil && d.Token.Claims == nil}}
}

// is tells whether a token is the word.
func (c *carried) is(token string) bool { return c.token != nil && c.header == "Bearer "+token }

// doubts tells whether a denial for this reason may be for what is not known of the token.
func (c *carried) doubts(why reason.Reason) bool {
	switch why {
	case reason.ConditionNotMet, reason.ConditionError:
		return c != nil && c.open.claims
	case reason.TokenRoleMissing, reason.ScopeMissing:
		return c != nil && c.open.assertions
	default:
		return false
	}
}

type carriedKey struct{}

// with has the judge of tokens know what was sent on.
func (c *carried) with(ctx context.Context) context.Context {
	if c == nil {
		return ctx
	}
	return context.WithValue(ctx, carriedKey{}, c)
}

func carriedIn(ctx context.Context) *carried {
	c, _ := ctx.Value(carriedKey{}).(*carried)
	return c
}
