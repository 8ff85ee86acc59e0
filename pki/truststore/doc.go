// Package truststore owns what becomes of a bundle of trust anchors before gateways see it: it judges the bundle strictly,
// compares it with the one that is published, and publishes it with its signed manifest, so that of two operators who
// publish at once one is told.
//
// Gateways are lenient where this package is strict: one expired authority must not stop a gateway that runs, and must not
// be published either. It never decides whether a caller is trusted, touches no revocation list, and deletes nothing.
package truststore
