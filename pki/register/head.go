package register

import (
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/pki/signed"
)

const headType = "application/vnd.sallyport.register-head.v1+json"

// Head says how far a register reaches. Two registers with the same head hold the same entries.
type Head struct {
	// Count is how many entries there are.
	Count uint64 `json:"count"`
	// Hash is that of the last entry; Origin if there is none.
	Hash string `json:"hash"`
	// Time is that of the last entry; zero if there is none.
	Time time.Time `json:"time"`
}

// SignHead makes a document that tells what a register held. ReadHead reads it.
func SignHead(head Head, signer crypto.Signer) ([]byte, error) {
	payload, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encode a register's head: %w", err)
	}
	data, err := signed.Sign(headType, payload, signer)
	if err != nil {
		return nil, fmt.Errorf("sign a register's head: %w", err)
	}
	return append(data, '\n'), nil
}

// ReadHead reads what SignHead made, if one of the keys signed it. The error for another signer wraps
// signed.ErrUnknownSigner.
func ReadHead(data []byte, signers []crypto.PublicKey) (Head, error) {
	payload, _, err := signed.Open(data, headType, signers)
	if err != nil {
		return Head{}, fmt.Errorf("read a register's head: %w", err)
	}
	var head Head
	if err := signed.Decode(payload, &head); err != nil {
		return Head{}, fmt.Errorf("read a register's head: %w", err)
	}
	if !isDigest(head.Hash) {
		return Head{}, errors.New("read a register's head: its hash is not a SHA-256 in lower-case hex")
	}
	return head, nil
}
