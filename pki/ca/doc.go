// Package ca owns our certificate authorities: it makes, loads and adopts them, issues leaf certificates in a few fixed
// profiles and subordinate authorities within them, signs revocation lists, and knows a development authority from a
// real one.
//
// Everything that an authority signs is built, signed, and then checked again from its signed bytes against what was
// asked, before anybody sees it. Of a certificate signing request the package takes the public key and nothing else, so
// that nobody can ask for more than a Request holds. It never overwrites a key, never keeps account of what it issued
// (pki/register does), and never logs. Where bytes come from, and when they are renewed, is the business of its callers.
package ca
