// Package routing simulates how Envoy brings a request to one form and chooses its route, over the very listeners and
// route configurations that were generated. `sallyport test` and `route` answer by it without an Envoy, and a differential
// test keeps it true to the real one.
//
// It is about HTTP/1.1 requests in origin form (RFC 9112, section 3.2.1), which is what callers of an API send. It knows
// the matches that package translate generates, and refuses to compile others rather than to guess. It decides nothing
// about who may pass: the authorization service never uses it, and takes Envoy's own choice from the check's context.
package routing
