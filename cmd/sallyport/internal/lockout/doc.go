// Package lockout answers whom a change of a truststore would lock out: it has the certificates that gateways met lately
// judged by the truststore as it is and as it would be, by the code that judges them at each request.
//
// It changes nothing and publishes nothing. What it cannot tell it says, such as of a caller whose intermediates are not
// known.
package lockout
