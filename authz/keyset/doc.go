// Package keyset owns the key sets of all providers that are in force: fetched in the background before they are needed, kept
// while a provider is away, and on disk for a cold start without it.
//
// A set counts from when it was fetched, for as long as its MaxStale says. After that there is none, and whoever needs one has
// to refuse with a fault of ours. A fetch that fails, or brings nothing usable, changes no set. One that succeeds replaces the
// whole set, so a key that was withdrawn is distrusted at once: the generation changes, and with it every verdict that was
// remembered under the old one.
//
// A token never decides what is asked, and a flood of tokens never decides how often: a key that is unknown causes one fetch
// in 30 seconds at most for its provider. Providers do not touch each other.
//
// This package judges no token and chooses no key. It never asks an address itself, which authz/idp does.
package keyset
