// Package policy owns the decision: from a Request, and from who the caller's certificate says it is, to a Decision that
// explains itself.
//
// An Engine is compiled once from one Model and one snapshot of its material, together with the versions of policies and
// the rules that proxies may still run. Every ladder in it ends in a denial, and the zero Decision is one. The package
// neither reads messages nor writes replies, keeps no time of its own, and waits for nothing.
package policy
