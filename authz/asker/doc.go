// Package asker owns the answer to the question who asks the authorization service: which proxy, and of which group.
//
// A proxy proves it by a certificate of the proxies' CA over TLS, or by connecting, as our own user, to the Unix socket of
// its group. Nothing in a message counts. Whether the group may ask about a gateway is decided elsewhere.
package asker
