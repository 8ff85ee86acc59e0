package policy

import (
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// authorize goes down the rules; the first that lets the caller in decides, and below the last one stands a denial.
func (ev *evaluation) authorize(v *version, c caller) finding {
	var perhaps, failed *finding // the first rules whose form takes the caller, and whose condition is open, or fails
	for i := range v.rules {
		r := &v.rules[i]
		f, described := ev.ask(r, c)
		if !described {
			ev.note(StepAuthorize, NotThis, r.name, r.origin)
			continue
		}
		why, left := ev.meets(r, c)
		switch {
		case why != nil:
			ev.note(StepAuthorize, NotThis, why.detail, why.origin)
			failed = firstOf(failed, why)
		case left != "":
			ev.note(StepAuthorize, Depends, quote(r.name)+" if "+left, r.whenOrigin)
			ev.Conditions = append(ev.Conditions, left)
			admission := f // so that f itself need not live on
			perhaps = firstOf(perhaps, &admission)
		default:
			ev.Conditions = nil
			ev.admitted = r
			return f
		}
		ev.Role = ""
	}
	switch {
	case perhaps != nil:
		return *perhaps
	case failed != nil:
		return *failed
	}
	return ev.otherwise(v, c)
}

func firstOf(found, next *finding) *finding {
	if found != nil {
		return found
	}
	return next
}

// ask tells whether the form of a rule describes the caller; its condition is asked after that.
func (ev *evaluation) ask(r *rule, c caller) (finding, bool) {
	if r.everyone {
		return finding{StepAuthorize, reason.Everyone, "the rule " + quote(r.name) + " lets everyone in", r.origin}, true
	}
	if c.token != nil {
		if f, described := ev.askOfToken(r, c.token); described {
			return f, true
		}
	}
	if c.consumer == nil {
		return finding{}, false
	}
	switch {
	case r.consumers[c.consumer.Name]:
		return finding{StepAuthorize, reason.ConsumerListed, "the rule " + quote(r.name) + " lists " + quote(c.consumer.Name), r.origin}, true
	case r.permissions:
		role, granted, ok := ev.engine.permissions[ev.Request.Route].find(ev.Request.Path, ev.Request.Method, c.consumer.Roles)
		if ok {
			ev.Role = role.Name
			return finding{StepAuthorize, reason.PermissionGranted,
				"the role " + quote(role.Name) + " permits " + ev.Request.Method + " " + granted.template, granted.origin}, true
		}
	}
	for _, role := range r.roles {
		if c.consumer.HasRole(role) {
			ev.Role = role
			return finding{StepAuthorize, reason.RoleHeld, "the rule " + quote(r.name) + " names the role " + quote(role), r.origin}, true
		}
	}
	return finding{}, false
}

// askOfToken tells whether the rule names a role or a scope that the token has.
func (ev *evaluation) askOfToken(r *rule, t *bearer.Token) (finding, bool) {
	for _, role := range r.tokenRoles {
		if slices.Contains(t.Roles, role) {
			return finding{StepAuthorize, reason.TokenRoleHeld, "the rule " + quote(r.name) + " names the role " + quote(role) + " of the token", r.origin}, true
		}
	}
	for _, scope := range r.scopes {
		if slices.Contains(t.Scopes, scope) {
			return finding{StepAuthorize, reason.ScopeHeld, "the rule " + quote(r.name) + " names the scope " + quote(scope) + " of the token", r.origin}, true
		}
	}
	return finding{}, false
}

// otherwise says what was missing where no rule let the caller in.
func (ev *evaluation) otherwise(v *version, c caller) finding {
	f := finding{step: StepDefault, origin: v.origin}
	switch {
	case c.consumer != nil && v.hasPermissions():
		f.reason, f.detail = reason.PermissionMissing, ev.missing(c)
	case c.token != nil && len(v.scopes) > 0:
		f.reason, f.detail = reason.ScopeMissing, "the token of the provider "+quote(c.token.Provider.Name)+" has none of the scopes "+strings.Join(v.scopes, ", ")
	case c.token != nil && len(v.tokenRoles) > 0:
		f.reason, f.detail = reason.TokenRoleMissing, "the token of the provider "+quote(c.token.Provider.Name)+" has none of the roles "+strings.Join(v.tokenRoles, ", ")
	case c.consumer != nil:
		f.reason, f.detail = reason.NotAuthorized, "no rule lets the consumer "+quote(c.consumer.Name)+" in"
	case c.token != nil && v.asksForConsumers():
		f.reason, f.detail = reason.ConsumerUnknown, "no consumer has the token ("+describe(c.token)+")"
	case c.token != nil:
		f.reason, f.detail = reason.NotAuthorized, "no rule lets the token in ("+describe(c.token)+")"
	case c.identified():
		f.reason, f.detail = reason.ConsumerUnknown, "no consumer has the certificate ("+ev.Certificate.Name()+")"
	case v.usesTokens():
		f.reason, f.detail = reason.TokenMissing, "no token was presented"
	case v.usesCertificates:
		f.reason, f.detail = reason.CertificateMissing, "no client certificate was presented"
	default:
		f.reason, f.detail = reason.NotAuthorized, "no rule lets anonymous callers in"
	}
	return f
}

// missing says which permission is missing, and whether it is a matter of the method alone.
func (ev *evaluation) missing(c caller) string {
	detail := "no role of " + quote(c.consumer.Name) + " permits " + ev.Request.Method + " on this path of the route " + quote(ev.Request.Route)
	if others := ev.engine.permissions[ev.Request.Route].otherMethods(ev.Request.Path, c.consumer.Roles); len(others) > 0 {
		detail += ", only " + strings.Join(others, ", ")
	}
	return detail
}
