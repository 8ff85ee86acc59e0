// Package sightings remembers which client certificates each gateway has met: whose they are, when they end, when they
// were last seen and what came of it, and how many handshakes the proxies refused. It learns from traffic alone and asks
// nobody.
//
// It decides nothing. What it knows answers three questions: whose certificate ends soon, whom a change of a truststore
// would lock out (the certificates themselves are kept for that), and whether anybody still uses an old authority.
// Certificates that nobody vouches for are kept apart and few, so that strangers displace nobody.
package sightings
