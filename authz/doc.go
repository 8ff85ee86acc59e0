// Package authz is the authorization service: it answers the proxies' Check calls (envoy.service.auth.v3), each by the
// configuration and material that are in force at that moment.
//
//	CheckRequest → request.Request → identity.Verdict → policy.Decision → propagation.Onward → CheckResponse and audit.Record
//	                                 bearer.Verdict
//
// Service puts these stages together and owns what stands between them: the one pointer to the engine in force, the wait
// for a policy that is newer than it, earlier versions of policies, and the rule that everything unforeseen is a denial. A
// request that is admitted goes on with the token that it is to have, or not at all, and no other answer has one.
// Server serves it by gRPC. What is judged, and how, is in the packages below; xDS is none of its business.
package authz
