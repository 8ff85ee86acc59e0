// Package manifest owns the signed manifest of a truststore's bundle: which bytes are the bundle, which generation they
// are, and until when that may be believed. Who can write the bundle alone can then neither add an authority to it nor put
// an older one back.
//
// The package reads and verifies what it is handed. It neither fetches a bundle nor remembers which generation was seen
// last: that is its callers' business.
package manifest
