package jose

import (
	"crypto"
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Verify tells whether this key made the token's signature, by the algorithm that its header names and the key fits. Whether
// that algorithm and that key are the issuer's to use is the caller's to know. The error is an *Error.
func (t *Token) Verify(key Key) error { return verify(t.signed, t.signature, t.algorithm, key) }

func verify(signed string, signature []byte, algorithm Algorithm, key Key) error {
	if !key.Fits(algorithm) {
		return &Error{Fault: WrongKey, Detail: "the token's algorithm does not go with the key"}
	}
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(algorithm))
	if err != nil {
		return &Error{Fault: UnsupportedAlgorithm, Detail: "the token's algorithm is not supported"}
	}
	if err := verifier.Verify([]byte(signed), signature, key.public); err != nil {
		return &Error{Fault: BadSignature, Detail: "the token's signature was not made by the key"}
	}
	return nil
}

// sign is the signature of a key over a text, in the encoding that RFC 7518 section 3 gives it.
func sign(signed string, algorithm Algorithm, key crypto.Signer) ([]byte, error) {
	signer, err := jws.NewSigner(jwa.SignatureAlgorithm(algorithm))
	if err != nil {
		return nil, fmt.Errorf("signing by %s: %w", algorithm, err)
	}
	signature, err := signer.Sign([]byte(signed), key)
	if err != nil {
		return nil, fmt.Errorf("signing by %s: %w", algorithm, err)
	}
	return signature, nil
}
