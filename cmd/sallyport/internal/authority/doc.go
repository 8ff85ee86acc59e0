// Package authority lets verbs and servers speak to certificate authorities in one way, wherever their keys are: in a home
// on this machine, or in a server that signs for operators.
//
// Its currency is the admin API's AuthorityService: a home is asked through the very code that serves it to others. Private
// keys of certificates never come here: whoever wants a certificate makes the key himself and sends a certificate request.
package authority
