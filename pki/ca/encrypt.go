package ca

import (
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/youmark/pkcs8"
)

// MinPassphrase is the length of the shortest passphrase that a key is encrypted with, in bytes.
const MinPassphrase = 12

// What callers of ParsePrivateKey, DecryptPrivateKey and EncryptPrivateKey tell apart.
var (
	// ErrEncrypted says that a passphrase is needed.
	ErrEncrypted = errors.New("the private key is encrypted")
	// ErrWrongPassphrase says that the passphrase is another, or that the file was changed: nobody can tell these apart.
	ErrWrongPassphrase = errors.New("the passphrase does not open the private key")
	// ErrShortPassphrase says that a passphrase has fewer than MinPassphrase bytes.
	ErrShortPassphrase = fmt.Errorf("the passphrase has fewer than %d bytes", MinPassphrase)
)

// The cost of guessing one passphrase: scrypt with 16 MiB, five times over. It is as dear as 128 MiB once, and openssl,
// which reads no scrypt key of more than 32 MiB, can still open the file without us.
const (
	scryptCost        = 1 << 14
	scryptBlockSize   = 8
	scryptParallelism = 5
	saltBytes         = 16
)

// EncryptPrivateKey writes an RSA or ECDSA key as one PEM block of PKCS#8 that only the passphrase opens: PBES2 with
// scrypt (RFC 7914, section 7) and AES-256-CBC. The passphrase has at least MinPassphrase bytes, else the error is
// ErrShortPassphrase; a key that cannot leave where it is has no such form. What was written has been opened again
// before it is returned. It takes about a second of one core.
func EncryptPrivateKey(key crypto.Signer, passphrase []byte) ([]byte, error) {
	if !canLeave(key) {
		return nil, fmt.Errorf("encrypt the private key: it is %T: RSA or ECDSA is wanted", key)
	}
	if len(passphrase) < MinPassphrase {
		return nil, fmt.Errorf("encrypt the private key: %w", ErrShortPassphrase)
	}
	der, err := pkcs8.MarshalPrivateKey(key, passphrase, &pkcs8.Opts{
		Cipher: pkcs8.AES256CBC,
		KDFOpts: pkcs8.ScryptOpts{
			SaltSize: saltBytes, CostParameter: scryptCost, BlockSize: scryptBlockSize, ParallelizationParameter: scryptParallelism,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("encrypt the private key: %w", err)
	}
	encrypted := pem.EncodeToMemory(&pem.Block{Type: blockEncrypted, Bytes: der})
	opened, err := DecryptPrivateKey(encrypted, passphrase)
	if err != nil {
		return nil, fmt.Errorf("open again what was encrypted: %w", err)
	}
	if !samePublicKey(opened.Public(), key.Public()) {
		return nil, errors.New("open again what was encrypted: it is another key")
	}
	return encrypted, nil
}

// DecryptPrivateKey reads one encrypted RSA or ECDSA key in PEM: PKCS#8 with PBES2, as EncryptPrivateKey and openssl
// write it. A passphrase that does not fit is ErrWrongPassphrase. The cost that the file asks for is bounded, so that
// no file takes more than 256 MiB or some seconds. Its errors hold neither any part of the key nor the passphrase.
func DecryptPrivateKey(data, passphrase []byte) (crypto.Signer, error) {
	block, err := keyBlock(data)
	if err != nil {
		return nil, err
	}
	switch {
	case isLegacyEncrypted(block):
		return nil, errors.New("the private key is encrypted in the form of before PKCS#8, which is weak: convert it with `openssl pkcs8 -topk8 -scrypt`")
	case block.Type != blockEncrypted:
		return nil, errors.New("the private key is not encrypted, and a passphrase was given for it")
	case len(passphrase) == 0:
		return nil, fmt.Errorf("%w, and the passphrase is empty", ErrEncrypted)
	}
	if err := checkEnvelope(block.Bytes); err != nil {
		return nil, fmt.Errorf("the encrypted private key cannot be read: %w", err)
	}
	key, _, err := pkcs8.ParsePrivateKey(block.Bytes, passphrase)
	if err != nil {
		return nil, ErrWrongPassphrase // whatever else could be wrong, checkEnvelope has ruled out
	}
	return asSigner(key)
}
