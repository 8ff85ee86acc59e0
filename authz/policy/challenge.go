package policy

import (
	"net/http"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// Challenge is what a 401, or a 403 for want of a scope, tells its caller of how to get in (RFC 6750, section 3). The zero value is that
// of a request without credentials.
type Challenge struct {
	// Error is the error code; empty where no token was sent, or none would be looked at.
	Error string
	// Scope lists the scopes of which one would be enough.
	Scope []string
	// ResourceMetadata is the address of the protected resource's metadata (RFC 9728, section 5.1), or empty.
	ResourceMetadata string
	// Claims are what the issuer wants of another token (step-up), as it wrote them; empty for any other reason.
	Claims string
}

// The error codes: of RFC 6750, section 3.1, and the one by which Entra asks for step-up.
const (
	ErrorInvalidToken       = "invalid_token"
	ErrorInsufficientScope  = "insufficient_scope"
	ErrorInsufficientClaims = "insufficient_claims"
)

// challenge is that of a denial by a version of a policy, which may be nil; nil where the answer has none.
func challenge(why reason.Reason, v *version) *Challenge {
	c := &Challenge{}
	switch {
	case why == reason.ScopeMissing:
		c.Error = ErrorInsufficientScope
		if v != nil {
			c.Scope = v.scopes
		}
	case why.Status() != http.StatusUnauthorized:
		return nil
	case why == reason.TokenMissing, why == reason.CredentialsNotAccepted:
	case why == reason.StepUpRequired:
		c.Error = ErrorInsufficientClaims
	default:
		c.Error = ErrorInvalidToken
	}
	if v != nil {
		c.ResourceMetadata = v.resourceMetadata
	}
	return c
}

// Denial is why an admitted request cannot go on after all.
type Denial struct {
	Reason reason.Reason
	// Detail is a sentence; it has no text of the caller's and no token.
	Detail string
	Origin config.Origin
	// Claims are those of a Challenge, for reason.StepUpRequired.
	Claims string
}

// Refuse turns an admission into a refusal, at a step that comes after the policy: StepForward, say.
func (d *Decision) Refuse(step StepName, why Denial) {
	d.conclude(finding{step, why.Reason, why.Detail, why.Origin}, "")
	if d.Challenge != nil {
		d.Challenge.Claims = why.Claims
	}
}

// Note appends a step that decided nothing, after the policy: what goes on to the upstream, say. The detail has no token.
func (d *Decision) Note(step StepName, outcome Outcome, detail string, origin config.Origin) {
	d.step(Step{Name: step, Outcome: outcome, Detail: detail, Origin: origin})
}

// RefuseToken says that an admitted request for a token of our own was refused. The caller is answered as RFC 6749 has it.
func (d *Decision) RefuseToken(detail string) {
	d.conclude(finding{StepForward, reason.TokenRefused, detail, d.Origin}, "")
}

// Issue says that an admitted request was given a token of our own. The detail has no token.
func (d *Decision) Issue(detail string) {
	d.conclude(finding{StepForward, reason.TokenIssued, detail, d.Origin}, "")
}
