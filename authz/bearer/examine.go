package bearer

import (
	"time"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// Check is one thing that is looked at in a token.
type Check string

// The checks, in the order in which Judge makes them.
const (
	CheckIssuer    Check = "issuer"
	CheckAlgorithm Check = "algorithm"
	CheckType      Check = "type"
	CheckSignature Check = "signature"
	CheckKind      Check = "kind" // whether it is an access token
	CheckClaims    Check = "claims"
	CheckBinding   Check = "binding"
	CheckDenyList  Check = "deny_list"
	CheckTimes     Check = "times"
	CheckAudience  Check = "audience"
)

// Finding is what came of one check.
type Finding struct {
	Check Check
	// Refusal is nil where nothing speaks against the token.
	Refusal *Refusal
}

// Examination is a token as one Provider's rules see it, for people who ask what is wrong with it. It lets nobody in: whether the
// connection has the certificate to which the token is bound is asked elsewhere, and so is the Provider, if it is asked about tokens.
type Examination struct {
	// Findings are of every check, in order, also of those that Judge would not come to any more. The signature's is missing where there
	// was no key set to look at.
	Findings []Finding
	token    *Token
}

// Examine makes all checks by a Provider's rules. Judge makes the same, and ends at the first refusal. Audiences narrow those of the
// Provider, as for Judge. The keys may be nil: then the signature is not looked at, and the token may be anybody's invention.
func Examine(p *config.Provider, audiences []string, keys *jose.KeySet, read *jose.Token, now time.Time) *Examination {
	r, e := newRules(p), new(Examination)
	e.token = r.begin(read.Claims)
	e.note(CheckIssuer, r.checkIssuer(read.Claims))
	e.note(CheckAlgorithm, r.checkAlgorithm(read.Header))
	e.note(CheckType, r.checkType(read.Header))
	if keys != nil {
		e.note(CheckSignature, r.checkSignature(keys, read))
	}
	e.note(CheckKind, r.checkKind(read.Claims))
	e.note(CheckClaims, r.checkRequired(read.Claims), r.readParties(e.token, read.Claims), r.readAssertions(e.token, read.Claims))
	e.note(CheckBinding, r.readConfirmation(e.token, read.Claims))
	e.note(CheckDenyList, r.checkDenyList(e.token, read.Claims))
	e.note(CheckTimes, r.checkTimes(read.Claims, now))
	e.note(CheckAudience, r.checkAudience(e.token.Audiences, audiences))
	return e
}

// note adds what came of a check that has several parts: the first refusal, if any.
func (e *Examination) note(check Check, parts ...*Refusal) {
	finding := Finding{Check: check}
	for _, refusal := range parts {
		if refusal != nil {
			finding.Refusal = refusal
			break
		}
	}
	e.Findings = append(e.Findings, finding)
}

// Refusal is the first one; nil if nothing speaks against the token, as far as it was looked at.
func (e *Examination) Refusal() *Refusal {
	for _, finding := range e.Findings {
		if finding.Refusal != nil {
			return finding.Refusal
		}
	}
	return nil
}

// Token is what the token says, read as the Provider's configuration has it. Where no key set was looked at, nobody vouches for any of
// it. It is nil where there is a Refusal.
func (e *Examination) Token() *Token {
	if e.Refusal() != nil {
		return nil
	}
	return e.token
}

func (r *rules) checkIssuer(claims *jose.Claims) *Refusal {
	switch {
	case r.issued(claims):
		return nil
	case claims.Issuer == "":
		return &Refusal{reason.TokenIssuer, "the token does not say who issued it (iss)"}
	}
	return &Refusal{reason.TokenIssuer, "the token was issued by another than the Provider " + r.quoted}
}

// checkSignature wants a key of the set to have signed the token.
func (r *rules) checkSignature(keys *jose.KeySet, read *jose.Token) *Refusal {
	candidates := keys.Find(read.Header.KeyID, jose.Algorithm(read.Header.Algorithm))
	for _, key := range candidates {
		if read.Verify(key) == nil {
			return nil
		}
	}
	if len(candidates) == 0 {
		return r.keyUnknown()
	}
	return r.badSignature()
}
