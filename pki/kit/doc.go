// Package kit makes what a partner gets: the certificate and its chain, the authority to expect at the gateway, and a README
// with lines that work as they are.
//
// It owns the form of the delivery and the rule that a private key leaves in an encrypted form or not at all: whole kits
// with a key are encrypted to age recipients, or the key goes into a PKCS#12 file with a password of ours. It never issues,
// never sends, and never writes a password anywhere.
package kit
