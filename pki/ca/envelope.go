package ca

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

// The bounds of what a file may ask for before its passphrase is tried. openssl's own defaults are far below them.
const (
	maxEncryptedKey     = 16 << 10  // bytes: an RSA key of 8192 bits has less than 5 KiB
	maxSaltBytes        = 1 << 10   // bytes
	maxScryptMemory     = 256 << 20 // bytes
	maxScryptFactor     = 64        // block size, and parallelism
	maxScryptWork       = 1 << 24   // cost x block size x parallelism: some seconds of one core
	maxPBKDF2Iterations = 10_000_000
)

// The object identifiers of RFC 8018 (PKCS #5), RFC 7914 (scrypt) and NIST's AES.
var (
	oidPBES2      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
	oidHMACSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 7}
	oidHMACSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 2, 9}
)

// envelopeCiphers are the ciphers that are read, all in CBC mode, and the bytes of their blocks. Triple DES is what
// `openssl genrsa -des3` wrote for decades.
var envelopeCiphers = []struct {
	oid   asn1.ObjectIdentifier
	block int
}{
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, 16}, // AES-256
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 22}, 16}, // AES-192
	{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 2}, 16},  // AES-128
	{asn1.ObjectIdentifier{1, 2, 840, 113549, 3, 7}, 8},          // Triple DES
}

// envelope is EncryptedPrivateKeyInfo (RFC 5958, section 3).
type envelope struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

// pbes2 is PBES2-params (RFC 8018, appendix A.4).
type pbes2 struct {
	Derivation pkix.AlgorithmIdentifier
	Encryption pkix.AlgorithmIdentifier
}

// pbkdf2 is PBKDF2-params (RFC 8018, appendix A.2), without the key's length, which nobody writes for these ciphers.
type pbkdf2 struct {
	Salt       []byte
	Iterations int
	Hash       pkix.AlgorithmIdentifier `asn1:"optional"`
}

// scryptParameters is scrypt-params (RFC 7914, section 7.1).
type scryptParameters struct {
	Salt                         []byte
	Cost, BlockSize, Parallelism int
}

// checkEnvelope reports why an encrypted key in DER cannot be opened by any passphrase, or would be too dear to try. What
// it lets through, pkcs8.ParsePrivateKey opens without a panic, or fails because of the passphrase alone.
func checkEnvelope(der []byte) error {
	if len(der) > maxEncryptedKey {
		return fmt.Errorf("it has more than %d bytes", maxEncryptedKey)
	}
	var outer envelope
	if rest, err := asn1.Unmarshal(der, &outer); err != nil || len(rest) != 0 {
		return errors.New("it is not PKCS#8")
	}
	var parameters pbes2
	if !outer.Algorithm.Algorithm.Equal(oidPBES2) || !unmarshalAll(outer.Algorithm, &parameters) {
		return errors.New("it is not encrypted with PBES2: convert it with `openssl pkcs8 -topk8 -scrypt`")
	}
	if err := checkEncryption(parameters.Encryption, len(outer.Data)); err != nil {
		return err
	}
	return checkDerivation(parameters.Derivation)
}

func checkEncryption(algorithm pkix.AlgorithmIdentifier, length int) error {
	for _, known := range envelopeCiphers {
		if !algorithm.Algorithm.Equal(known.oid) {
			continue
		}
		var iv []byte
		if !unmarshalAll(algorithm, &iv) || len(iv) != known.block || length == 0 || length%known.block != 0 {
			return errors.New("its cipher's parameters or the length of its data are wrong")
		}
		return nil
	}
	return fmt.Errorf("its cipher %s is not known: AES-256-CBC is wanted", algorithm.Algorithm)
}

func checkDerivation(algorithm pkix.AlgorithmIdentifier) error {
	switch {
	case algorithm.Algorithm.Equal(oidScrypt):
		var parameters scryptParameters
		if !unmarshalAll(algorithm, &parameters) {
			return errors.New("its scrypt parameters are wrong")
		}
		return parameters.check()
	case algorithm.Algorithm.Equal(oidPBKDF2):
		var parameters pbkdf2
		if !unmarshalAll(algorithm, &parameters) {
			return errors.New("its PBKDF2 parameters are wrong")
		}
		return parameters.check()
	default:
		return fmt.Errorf("its key derivation %s is not known: scrypt or PBKDF2 is wanted", algorithm.Algorithm)
	}
}

// check divides instead of multiplying, so that nothing overflows.
func (p scryptParameters) check() error {
	switch {
	case p.Cost < 2 || p.Cost&(p.Cost-1) != 0 || p.BlockSize < 1 || p.Parallelism < 1 || len(p.Salt) > maxSaltBytes:
		return errors.New("its scrypt parameters are wrong")
	case p.BlockSize > maxScryptFactor || p.Cost > maxScryptMemory/128/p.BlockSize:
		return fmt.Errorf("its scrypt parameters ask for more than %d MiB", maxScryptMemory>>20)
	case p.Parallelism > maxScryptFactor || p.Parallelism > maxScryptWork/(p.Cost*p.BlockSize):
		return errors.New("its scrypt parameters ask for too much work")
	}
	return nil
}

func (p pbkdf2) check() error {
	switch {
	case p.Iterations < 1 || len(p.Salt) > maxSaltBytes:
		return errors.New("its PBKDF2 parameters are wrong")
	case p.Iterations > maxPBKDF2Iterations:
		return fmt.Errorf("its PBKDF2 parameters ask for more than %d iterations", maxPBKDF2Iterations)
	case len(p.Hash.Algorithm) != 0 && !p.Hash.Algorithm.Equal(oidHMACSHA1) && !p.Hash.Algorithm.Equal(oidHMACSHA256):
		return fmt.Errorf("its PBKDF2 hash %s is not known: HMAC with SHA-256 is wanted", p.Hash.Algorithm)
	}
	return nil
}

// unmarshalAll reads an algorithm's parameters, all of them, into target.
func unmarshalAll(algorithm pkix.AlgorithmIdentifier, target any) bool {
	rest, err := asn1.Unmarshal(algorithm.Parameters.FullBytes, target)
	return err == nil && len(rest) == 0
}
