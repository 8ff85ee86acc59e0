// Package expression owns the expressions of the configuration language: conditions (`when`) and the values of forwarded
// headers, both in CEL.
//
// An expression is compiled once, when the configuration is read. What is wrong with it is an error then, with its place
// and the nearest name: a name that nothing has, a type that does not fit, a cost that has no bound. It sees the Facts of
// one request and nothing else: no header, query or body, for a caller writes those; no clock but the moment of the
// decision; nothing that it could change. Its cost is limited a second time while it is evaluated, and regular expressions
// are RE2's, which never go back.
//
// A fact that is not there is an error, and so is an attribute that a consumer does not have: whoever asks decides what
// that means, and the authorization service lets nobody in. `has(…)` asks first.
//
// The package knows neither policies nor certificates; it is told of them.
package expression
