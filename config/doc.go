// Package config turns the documents of a configuration into a Model: every reference resolved, everything checked that
// concerns more than one document, and each resource with the place where it is written.
//
// It owns the meaning of the language: which combinations are legal, which rule takes precedence, what can never take
// effect. It never reads a certificate, key or secret, which are material and change by themselves (package
// pki/inventory), and it knows nothing of Envoy.
package config
