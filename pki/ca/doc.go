// Package ca owns our certificate authorities: it makes and loads them, issues leaf certificates in a few fixed profiles,
// and knows a development authority from a real one.
//
// Every certificate is built, signed, and then checked again from its signed bytes against what was asked, before
// anybody sees it. The package never reads a certificate signing request, so that nobody can ask for more than a
// Request holds; it never issues a subordinate authority; it never overwrites a key; and it never logs. Where bytes come
// from, and when they are renewed, is the business of its callers.
package ca
