// Package revocation owns the reading of certificate revocation lists (RFC 5280, section 5): which of them are whole and
// understood, whether an authority has signed one, and what they say about a certificate at a moment.
//
// A list counts only after Verify has found it to be signed by the authority whose certificates it is about. What is
// not understood in a list makes it an error, and a certificate that stands in a list is revoked whatever the list's
// dates say. The package fetches nothing, follows no address in a certificate or list, remembers nothing from one list to
// the next, and decides nothing about a request: what the absence of a list means is its callers' business.
package revocation
