// Package jose owns the form of tokens: it reads a JSON Web Token strictly, reads the key sets of issuers, checks signatures,
// and signs tokens of our own.
//
// It is the only importer of jwx, which takes more than RFC 8725 allows: unknown critical headers, texts where times belong,
// members that are there twice, other serializations. So jwx never sees a token. Parse reads the one form that is taken, the
// compact serialization of RFC 7515 section 7.1, by code of this package, and jwx's part is to check a signature over bytes
// that are already understood, by an algorithm and a key that were chosen for it.
//
// What is ambiguous is refused: a token that two programs could read differently is nobody's. No key and no address is ever
// taken from a token, and nothing here is fetched.
//
// The package does not judge. Whether an issuer is known, an algorithm is that issuer's, a time has passed or an audience is
// ours is asked elsewhere; a Token whose Verify was not called is a stranger's claim.
package jose
