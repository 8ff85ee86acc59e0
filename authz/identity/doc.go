// Package identity owns the answer to the question whose a request is: it parses the peer certificate that a proxy
// passes on, verifies it anew against the truststores of the TLS entry that the request came by, and finds the Consumer
// that it belongs to, or to whom a verified token does.
//
// It believes nothing that the proxy concluded, and no header. A certificate is good only where an anchor of a named
// truststore issued it, directly or by way of authorities for which the truststore allows it, and where that truststore's
// revocation lists and registers have nothing against it; the result always says which truststores vouch for it, because the same name under
// another authority is somebody else. What a caller may do is not decided here.
package identity
