// Package policy owns the decision: from a Request, and from who the caller's certificate and token say it is, to a Decision that
// explains itself.
//
// An Engine is compiled once from one Model and one snapshot of its material, together with the versions of policies and
// the rules that proxies may still run. Every ladder in it ends in a denial, and the zero Decision is one. What is presented and
// bad is refused, whatever else the caller may be; a rule that is only tried out never changes a decision.
//
// The package neither reads messages nor writes replies, keeps no time of its own, and waits for nothing but the TokenJudge that it is
// given. It never tells, logs or shows a token.
package policy
