// Package issuer owns the home of a certificate authority: a folder with its certificates and keys, the register of what it
// has issued, and the settings by which its revocation list and its index are published. Operators of one authority may
// share a home, or have one each with a common register.
//
//	ca.yaml               settings, written once and then its owner's
//	bundle.pem            the roots that are trusted at present
//	1/, 2/, …             the generations in force: root.pem, and issuing.pem where the root does not issue itself
//	retired/              those that are not
//	active                the number of the generation that issues
//	state.json            how far the register and the publications had come
//	register.jsonl        the register, unless it is kept elsewhere
//
// Everything that is issued or revoked stands in the register before anybody is handed it. A private key stays where it is:
// the package writes those that it makes, with mode 0600, and shows none. It serves nothing over a network, and reads no
// Consumer.
package issuer
