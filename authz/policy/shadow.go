package policy

import (
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// ShadowVerdict is what a rule would have done that is only tried out (`shadow: true`).
type ShadowVerdict struct {
	Policy, Rule string
	Origin       config.Origin
	// WouldAllow is set if it would have let the request in.
	WouldAllow bool
	// Reason is why it would, or would not.
	Reason reason.Reason
}

// askShadows asks the rules that are only tried out, in their order, whatever the others have said: also of a request that they let in.
// Nothing that comes of it changes the decision. Of hypothetical callers they are not asked: a condition may be open.
func (ev *evaluation) askShadows(v *version, c caller) {
	if len(v.shadows) == 0 || ev.hypothesis != nil {
		return
	}
	role := ev.Role
	for i := range v.shadows {
		r := &v.shadows[i]
		verdict := ShadowVerdict{Policy: v.policy, Rule: r.name, Origin: r.origin}
		outcome, detail := NotThis, "would not let the caller in"
		switch f, described := ev.ask(r, c); {
		case !described:
			verdict.Reason = r.lack(c)
		default:
			verdict.Reason = f.reason
			if why, _ := ev.meets(r, c); why != nil {
				verdict.Reason = why.reason
				break
			}
			verdict.WouldAllow, outcome, detail = true, WouldAllow, "would let the caller in"
		}
		ev.Shadow = append(ev.Shadow, verdict)
		ev.note(StepShadow, outcome, quote(r.name)+" "+detail+": "+string(verdict.Reason), r.origin)
	}
	ev.Role = role
}

// lack is the reason for which the form of a rule does not describe the caller.
func (r *rule) lack(c caller) reason.Reason {
	switch {
	case len(r.scopes) > 0 && c.token != nil:
		return reason.ScopeMissing
	case len(r.tokenRoles) > 0 && c.token != nil:
		return reason.TokenRoleMissing
	case len(r.scopes) > 0 || len(r.tokenRoles) > 0:
		return reason.TokenMissing
	case r.permissions && c.consumer != nil:
		return reason.PermissionMissing
	case c.consumer == nil:
		return reason.ConsumerUnknown
	}
	return reason.NotAuthorized
}
