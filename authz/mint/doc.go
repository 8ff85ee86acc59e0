// Package mint owns the tokens of our own: what they say (RFC 9068), the key set and the metadata by which others verify them
// (RFC 7517, RFC 8414), and the answers of the token endpoint (RFC 6749, RFC 8705, RFC 8707).
//
// A token is for one audience, lives for minutes, never longer than what it was made for, and is bound to who presents it: of
// class hop to the name in the certificate of our proxy, of class partner to the partner's certificate.
//
// The package decides about nobody. Who the caller is and whether it is let in was decided before; what the package is told it
// takes as true. It never keeps a token and never logs one, and none of its errors holds one.
package mint
