// Package translate turns a configuration and its material into what the proxies of one group are to have: listeners,
// route configurations, clusters, endpoints and secrets, one file for each type. It is the stage between the Model and
// the control plane:
//
//	Model + material → Resources of a group → (lint) → snapshot → proxies
//
// Its functions are pure: equal input gives equal output, byte for byte, so that equal content has equal versions. They
// read no file and no clock, and never fail: what cannot be served because its material is missing is left out, fails
// closed and is reported as a Problem, and all the rest ships. Everything that may change while connections are open
// (routes, endpoints, keys, truststores) is a resource of its own on the one ADS stream and never stands in a listener,
// which Envoy would drain.
//
// The package does not send anything, does not judge what it made (package lint does), and reads no certificate: bytes
// pass through it as they are.
package translate
