// Package enrolment owns the one-time tokens by which a machine gets its first certificate as one of our processes: how a
// token is written, and the book of those that were given out.
//
// A token names the server and pins its authority, so that the machine knows whom it speaks to before it has anything to
// verify by; and it holds a secret that is good for one certificate, of one identity, for a short time. The book keeps
// hashes of secrets only. The package issues nothing itself.
package enrolment
