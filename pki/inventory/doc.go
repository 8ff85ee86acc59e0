// Package inventory owns the truststores, key pairs and issuers' secrets that are in force: it turns the Authority,
// Truststore, Certificate and Provider resources of a configuration into a Snapshot of bytes, judges them before anybody
// sees them, keeps each one's last good value while something is broken, and renews what it made itself. A truststore's
// revocation lists, the registers of its authorities and the manifest of its bundle go into force together with it, and
// none of them ever goes back to an older one.
//
// A broken resource becomes a Problem and blocks nothing but itself. The package never opens a gate: what never was good
// is absent from the snapshot, and its users must refuse whatever depends on it. It never prints a key: hashes stand for
// contents.
package inventory
