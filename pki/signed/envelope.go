package signed

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrUnknownSigner is wrapped by the error for a document that none of the keys has signed: by somebody else, or changed
// afterwards.
var ErrUnknownSigner = errors.New("none of the keys that are believed has signed it as it stands")

// envelope is DSSE's JSON. Byte slices are base64.
type envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	// KeyID is a hint for people. It is not signed, and not believed.
	KeyID     string `json:"keyid"`
	Signature []byte `json:"sig"`
}

// maxSignatures bounds how many signatures of one document are looked at.
const maxSignatures = 8

// Sign puts a payload into an envelope, on one line without an end of line. What was signed has been verified again. The
// signer may be a key elsewhere, such as in a KMS. CheckKey says which keys will do.
func Sign(payloadType string, payload []byte, signer crypto.Signer) ([]byte, error) {
	hash, err := hashFor(signer.Public())
	if err != nil {
		return nil, fmt.Errorf("sign a document: %w", err)
	}
	message := preAuthentication(payloadType, payload)
	made, err := signer.Sign(rand.Reader, digestOf(hash, message), hash)
	if err != nil {
		return nil, fmt.Errorf("sign a document: %w", err)
	}
	if !verify(signer.Public(), message, made) {
		return nil, errors.New("sign a document: the signature that was made does not verify")
	}
	data, err := json.Marshal(envelope{
		PayloadType: payloadType,
		Payload:     payload,
		Signatures:  []signature{{KeyID: KeyID(signer.Public()), Signature: made}},
	})
	if err != nil {
		return nil, fmt.Errorf("encode a signed document: %w", err)
	}
	return data, nil
}

// Open returns the payload of a document of the given type, and the key that signed it, one of those given. The error for
// what none of them has signed wraps ErrUnknownSigner.
func Open(data []byte, payloadType string, keys []crypto.PublicKey) (payload []byte, signer crypto.PublicKey, err error) {
	var document envelope
	if err := Decode(data, &document); err != nil {
		return nil, nil, fmt.Errorf("read a signed document: %w", err)
	}
	switch {
	case document.PayloadType != payloadType:
		return nil, nil, fmt.Errorf("read a signed document: it is of type %q, and %q is wanted", document.PayloadType, payloadType)
	case len(document.Signatures) == 0 || len(document.Signatures) > maxSignatures:
		return nil, nil, fmt.Errorf("read a signed document: it has %d signatures, and 1 to %d are wanted", len(document.Signatures), maxSignatures)
	}
	message := preAuthentication(payloadType, document.Payload)
	for _, signature := range document.Signatures {
		for _, key := range keys {
			if verify(key, message, signature.Signature) {
				return document.Payload, key, nil
			}
		}
	}
	return nil, nil, fmt.Errorf("verify a signed document: %w", ErrUnknownSigner)
}

// Decode reads one JSON value and nothing after it. Fields that the target does not have are an error: a document from
// a later version is not half understood.
func Decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// preAuthentication is what is signed: DSSE's pre-authentication encoding.
func preAuthentication(payloadType string, payload []byte) []byte {
	return append(fmt.Appendf(nil, "DSSEv1 %d %s %d ", len(payloadType), payloadType, len(payload)), payload...)
}
