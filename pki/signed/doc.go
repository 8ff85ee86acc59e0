// Package signed owns the envelope in which our own signed documents travel: a truststore's manifest, the head and the
// index of a register. It is DSSE (Dead Simple Signing Envelope, version 1), so that other tools can read it.
//
// What is signed is the payload's bytes as they are, together with their type, so that no document passes for one of
// another type and nothing has to be brought into a canonical form first. The algorithm follows from the key alone and is
// never read from the document. The package judges neither what a payload says nor how old it is.
package signed
