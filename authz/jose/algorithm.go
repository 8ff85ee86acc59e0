package jose

import "errors"

// Algorithm is how a token is signed (RFC 7518 section 3.1, RFC 8037 section 3.1). There are no others here: "none" signs
// nothing, and with HMAC whoever can verify can also sign.
type Algorithm string

// The algorithms.
const (
	RS256 Algorithm = "RS256"
	RS384 Algorithm = "RS384"
	RS512 Algorithm = "RS512"
	PS256 Algorithm = "PS256"
	PS384 Algorithm = "PS384"
	PS512 Algorithm = "PS512"
	ES256 Algorithm = "ES256"
	ES384 Algorithm = "ES384"
	ES512 Algorithm = "ES512"
	EdDSA Algorithm = "EdDSA" // with Ed25519 alone
)

// Algorithms are all that are supported, in the order in which they are told to people.
func Algorithms() []Algorithm {
	return []Algorithm{RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA}
}

// ParseAlgorithm is the algorithm of this exact name. HMAC, "none" and what is unknown are errors, which do not quote it.
func ParseAlgorithm(name string) (Algorithm, error) {
	switch a := Algorithm(name); a {
	case RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA:
		return a, nil
	case "none":
		return "", errors.New(`the algorithm "none" signs nothing: use RS256, PS256, ES256 or EdDSA`)
	case "HS256", "HS384", "HS512":
		return "", errors.New("HMAC algorithms are not taken, since who can verify can also sign: use RS256, PS256, ES256 or EdDSA")
	}
	return "", errors.New("the algorithm is none of RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA")
}
