package bearer

import (
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// rules are a Provider's, made ready. They are immutable once a View has them, but for what stands at the desk.
type rules struct {
	provider *config.Provider
	quoted   string // the Provider's name, for people
	// hop is set for tokens of our own between our proxies, ours for those of partners too.
	hop, ours bool

	required                         []claimName
	subject, clientID, roles, scopes []claimName
	revoked                          revocations
	// asked tells whom the Provider's introspection asks, and as whom, from others of the same name; empty where it is not asked.
	asked string
	// desk is where it is asked; nil where it is not.
	desk *desk
}

func newRules(p *config.Provider) *rules {
	r := &rules{
		provider: p, quoted: strconv.Quote(p.Name),
		ours: p.Mint != nil, hop: p.MintsHops(),
		required: claimNames(p.RequiredClaims), subject: claimNames(p.Claims.Subject), clientID: claimNames(p.Claims.ClientID),
		roles: claimNames(p.Claims.Roles), scopes: claimNames(p.Claims.Scopes), revoked: newRevocations(p.Revoked),
	}
	if p.Introspection != nil {
		r.asked = askedOf(p)
	}
	return r
}

// unavailable refuses what the Provider would have to judge and cannot now. The sentence goes on after the Provider's name.
func (r *rules) unavailable(why string) *Refusal {
	return &Refusal{reason.ProviderUnavailable, "the Provider " + r.quoted + " is not available: " + why}
}

// issued tells whether the claims name the Provider as their issuer, letter by letter.
func (r *rules) issued(claims *jose.Claims) bool {
	return slices.Contains(r.provider.Issuers, claims.Issuer)
}

// checkHeader wants the algorithm and the type to be the Provider's, before any key is looked for (RFC 8725, sections 3.1 and 3.11).
func (r *rules) checkHeader(header jose.Header) *Refusal {
	if refusal := r.checkAlgorithm(header); refusal != nil {
		return refusal
	}
	return r.checkType(header)
}

func (r *rules) checkAlgorithm(header jose.Header) *Refusal {
	if slices.Contains(r.provider.Algorithms, header.Algorithm) {
		return nil
	}
	return &Refusal{reason.TokenSignature, "the token's algorithm is none that the Provider " + r.quoted + " signs by"}
}

func (r *rules) checkType(header jose.Header) *Refusal {
	if slices.Contains(r.provider.Types, header.Type) {
		return nil
	}
	return &Refusal{reason.TokenType, "the token's type (typ) is none that the Provider " + r.quoted + " gives to access tokens"}
}

// checkTimes judges exp, nbf and iat (RFC 7519, section 4.1), as far as they are there: jose has seen to it that a JWT has exp.
func (r *rules) checkTimes(claims *jose.Claims, now time.Time) *Refusal {
	latest := now.Add(r.provider.Leeway)
	switch {
	case !claims.Expires.IsZero() && !now.Before(claims.Expires.Add(r.provider.Leeway)):
		return &Refusal{reason.TokenExpired, "the token expired at " + shownTime(claims.Expires)}
	case claims.NotBefore.After(latest):
		return &Refusal{reason.TokenNotYetValid, "the token is not valid before " + shownTime(claims.NotBefore)}
	case claims.IssuedAt.After(latest):
		return &Refusal{reason.TokenNotYetValid, "the token was issued in the future, at " + shownTime(claims.IssuedAt) + ": a clock is wrong"}
	}
	return nil
}

func shownTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkAudience wants one of the token's audiences to be the Provider's, and, where the policy's method names some, one of those.
func (r *rules) checkAudience(audiences, narrowed []string) *Refusal {
	ours := r.provider.Audiences
	for _, audience := range audiences {
		if len(ours)+len(narrowed) > 0 &&
			(len(ours) == 0 || slices.Contains(ours, audience)) && (len(narrowed) == 0 || slices.Contains(narrowed, audience)) {
			return nil
		}
	}
	if len(audiences) == 0 {
		return &Refusal{reason.TokenAudience, "the token does not say whom it is for (aud)"}
	}
	return &Refusal{reason.TokenAudience, "the token is for another audience"}
}

// revocations are the deny list of a Provider.
type revocations struct {
	ids, sessions map[string]bool
	// subjects with the moment before which their tokens were issued that count no more; zero for all.
	subjects map[string]time.Time
}

func newRevocations(revoked []config.RevokedToken) revocations {
	l := revocations{ids: make(map[string]bool), sessions: make(map[string]bool), subjects: make(map[string]time.Time)}
	for _, one := range revoked {
		switch {
		case one.ID != "":
			l.ids[one.ID] = true
		case one.Session != "":
			l.sessions[one.Session] = true
		case one.Subject != "":
			before, listed := l.subjects[one.Subject]
			if !listed || !before.IsZero() && (one.IssuedBefore.IsZero() || one.IssuedBefore.After(before)) {
				l.subjects[one.Subject] = one.IssuedBefore
			}
		}
	}
	return l
}

// names tells whether the deny list names a token: by its id, its session, or one of its subjects, that of `sub` and the one that
// the Provider's configuration takes for it. A token that does not say when it was issued counts as issued before any moment.
func (l revocations) names(token *Token, subjects ...string) bool {
	if l.ids[token.ID] || l.sessions[token.Session] {
		return true
	}
	for _, subject := range subjects {
		before, listed := l.subjects[subject]
		if listed && (before.IsZero() || token.IssuedAt.Before(before)) {
			return true
		}
	}
	return false
}
