package ca

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/youmark/pkcs8"
)

var passphrase = []byte("correct horse battery")

func TestAnEncryptedKeyOpensWithItsPassphraseAlone(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	encrypted, err := EncryptPrivateKey(key, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := DecryptPrivateKey(encrypted, passphrase)
	if err != nil {
		t.Fatal(err)
	}
	if !samePublicKey(opened.Public(), key.Public()) {
		t.Error("another key was opened")
	}
	if _, err := DecryptPrivateKey(encrypted, []byte("correct horse batterz")); !errors.Is(err, ErrWrongPassphrase) {
		t.Errorf("another passphrase: %v", err)
	}
	if _, err := DecryptPrivateKey(encrypted, nil); !errors.Is(err, ErrEncrypted) {
		t.Errorf("no passphrase: %v", err)
	}
	if _, err := ParsePrivateKey(encrypted); !errors.Is(err, ErrEncrypted) {
		t.Errorf("read as if it were not encrypted: %v", err)
	}
	certificate, _ := selfSigned(t, key, nil)
	if _, err := Load(certificate, encrypted, atNoon); !errors.Is(err, ErrEncrypted) {
		t.Errorf("loaded without a passphrase: %v", err)
	}
}

func TestEncryptPrivateKeyRefuses(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		key        crypto.Signer
		passphrase string
		want       string
	}{
		"no passphrase":           {key, "", "fewer than 12 bytes"},
		"a short passphrase":      {key, "elevenbytes", "fewer than 12 bytes"},
		"a key that cannot leave": {hiddenKey{key}, string(passphrase), "hiddenKey"},
		"another kind of key":     {edwards, string(passphrase), "RSA or ECDSA"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := EncryptPrivateKey(test.key, []byte(test.passphrase))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, err := EncryptPrivateKey(key, []byte("short")); !errors.Is(err, ErrShortPassphrase) {
		t.Errorf("a short passphrase is not told apart: %v", err)
	}
}

func TestOpensslOpensWhatWeEncrypt(t *testing.T) {
	openssl := opensslPath(t)
	encrypted, err := EncryptPrivateKey(rsaKey(t, 2048), passphrase)
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), openssl, "pkey", "-passin", "env:PASSPHRASE", "-noout", "-check")
	command.Env, command.Stdin = append(os.Environ(), "PASSPHRASE="+string(passphrase)), bytes.NewReader(encrypted)
	if text, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func TestWhatOpensslEncryptsIsOpened(t *testing.T) {
	openssl := opensslPath(t)
	key := ecKey(t, elliptic.P256())
	_, keyPEM := selfSigned(t, key, nil)
	plain := filepath.Join(t.TempDir(), "key.pem")
	if err := os.WriteFile(plain, keyPEM, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string][]string{
		"its default":            nil,
		"scrypt":                 {"-scrypt"},
		"PBKDF2 with SHA-1":      {"-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"},
		"PBKDF2, 100,000 rounds": {"-v2", "aes-256-cbc", "-iter", "100000"},
		"triple DES":             {"-v2", "des3"},
	} {
		t.Run(name, func(t *testing.T) {
			arguments := append([]string{"pkcs8", "-topk8", "-in", plain, "-passout", "env:PASSPHRASE"}, flags...)
			command := exec.CommandContext(t.Context(), openssl, arguments...)
			command.Env = append(os.Environ(), "PASSPHRASE="+string(passphrase))
			encrypted, err := command.Output()
			if err != nil {
				t.Fatal(err)
			}
			opened, err := DecryptPrivateKey(encrypted, passphrase)
			if err != nil {
				t.Fatal(err)
			}
			if !samePublicKey(opened.Public(), key.Public()) {
				t.Error("another key was opened")
			}
			if _, err := DecryptPrivateKey(encrypted, []byte("another passphrase")); !errors.Is(err, ErrWrongPassphrase) {
				t.Errorf("another passphrase: %v", err)
			}
		})
	}
}

// sealed builds an encrypted key of any parameters, good or bad.
func sealed(t testing.TB, derivation asn1.ObjectIdentifier, parameters any, cipher asn1.ObjectIdentifier, iv, data []byte) []byte {
	t.Helper()
	raw := func(value any) asn1.RawValue {
		der, err := asn1.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		return asn1.RawValue{FullBytes: der}
	}
	der, err := asn1.Marshal(envelope{
		Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: raw(pbes2{
			Derivation: pkix.AlgorithmIdentifier{Algorithm: derivation, Parameters: raw(parameters)},
			Encryption: pkix.AlgorithmIdentifier{Algorithm: cipher, Parameters: raw(iv)},
		})},
		Data: data,
	})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestDecryptPrivateKeyRefusesWhatIsTooDearOrMalformedBeforeTryingAPassphrase(t *testing.T) {
	aes := envelopeCiphers[0].oid
	iv, data := make([]byte, 16), make([]byte, 32)
	withScrypt := func(cost, block, parallelism int) []byte {
		return sealed(t, oidScrypt, scryptParameters{make([]byte, 8), cost, block, parallelism}, aes, iv, data)
	}
	cheap := scryptParameters{make([]byte, 8), 2, 1, 1}
	for name, test := range map[string]struct {
		der  []byte
		want string
	}{
		"scrypt with much memory":       {withScrypt(1<<30, 8, 1), "more than 256 MiB"},
		"scrypt with a huge block":      {withScrypt(2, 1<<30, 1), "more than 256 MiB"},
		"scrypt with much parallelism":  {withScrypt(2, 1, 1<<30), "too much work"},
		"scrypt with much work":         {withScrypt(1<<18, 8, 9), "too much work"},
		"scrypt, no power of two":       {withScrypt(3, 1, 1), "parameters are wrong"},
		"scrypt without cost":           {withScrypt(0, 0, 0), "parameters are wrong"},
		"scrypt with a negative cost":   {withScrypt(-16384, 8, 1), "parameters are wrong"},
		"scrypt with a long salt":       {sealed(t, oidScrypt, scryptParameters{make([]byte, 2000), 2, 1, 1}, aes, iv, data), "parameters are wrong"},
		"PBKDF2 without end":            {sealed(t, oidPBKDF2, pbkdf2{Salt: iv, Iterations: 1 << 30, Hash: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256}}, aes, iv, data), "iterations"},
		"PBKDF2 without a round":        {sealed(t, oidPBKDF2, pbkdf2{Salt: iv, Iterations: 0, Hash: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256}}, aes, iv, data), "parameters are wrong"},
		"PBKDF2 with another hash":      {sealed(t, oidPBKDF2, pbkdf2{Salt: iv, Iterations: 1, Hash: pkix.AlgorithmIdentifier{Algorithm: oidScrypt}}, aes, iv, data), "not known"},
		"another derivation":            {sealed(t, oidPBES2, cheap, aes, iv, data), "key derivation"},
		"another cipher":                {sealed(t, oidScrypt, cheap, oidPBES2, iv, data), "cipher"},
		"a short vector":                {sealed(t, oidScrypt, cheap, aes, iv[:8], data), "length of its data"},
		"data that fills no block":      {sealed(t, oidScrypt, cheap, aes, iv, data[:31]), "length of its data"},
		"no data":                       {sealed(t, oidScrypt, cheap, aes, iv, nil), "length of its data"},
		"rubbish":                       {[]byte("x"), "not PKCS#8"},
		"more bytes than any key needs": {make([]byte, maxEncryptedKey+1), "more than 16384 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecryptPrivateKey(inPEM(blockEncrypted, test.der), passphrase)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestDecryptPrivateKeyRefusesKeysOfOtherForms(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	_, plain := selfSigned(t, key, nil)
	legacy := pem.EncodeToMemory(&pem.Block{Type: blockRSA, Headers: map[string]string{"DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x")})
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := pkcs8.MarshalPrivateKey(edwards, passphrase, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"not encrypted":       {plain, "is not encrypted"},
		"encrypted as of old": {legacy, "openssl pkcs8 -topk8"},
		"no key":              {nil, "no private key"},
		"another kind of key": {inPEM(blockEncrypted, other), "RSA or ECDSA"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecryptPrivateKey(test.data, passphrase)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
	if _, err := ParsePrivateKey(legacy); !errors.Is(err, ErrEncrypted) {
		t.Errorf("encrypted as of old, and read: %v", err)
	}
}

// FuzzEncryptedKey holds checkEnvelope to its promise: what it lets through, and is cheap, is opened or refused, and
// never a panic.
func FuzzEncryptedKey(f *testing.F) {
	aes := envelopeCiphers[0].oid
	f.Add(sealed(f, oidScrypt, scryptParameters{make([]byte, 8), 2, 1, 1}, aes, make([]byte, 16), make([]byte, 32)))
	f.Add(sealed(f, oidPBKDF2, pbkdf2{Salt: make([]byte, 8), Iterations: 1, Hash: pkix.AlgorithmIdentifier{Algorithm: oidHMACSHA256}}, aes, make([]byte, 16), make([]byte, 32)))
	f.Fuzz(func(t *testing.T, der []byte) {
		if checkEnvelope(der) != nil || isDear(der) {
			return
		}
		if key, err := DecryptPrivateKey(inPEM(blockEncrypted, der), passphrase); err == nil && key == nil {
			t.Error("neither a key nor an error")
		}
	})
}

// isDear spares the fuzzer what the bounds allow and takes long.
func isDear(der []byte) bool {
	var outer envelope
	var parameters pbes2
	var scrypt scryptParameters
	var rounds pbkdf2
	if _, err := asn1.Unmarshal(der, &outer); err != nil || !unmarshalAll(outer.Algorithm, &parameters) {
		return true
	}
	unmarshalAll(parameters.Derivation, &scrypt)
	unmarshalAll(parameters.Derivation, &rounds)
	return scrypt.Cost*scrypt.BlockSize*scrypt.Parallelism > 1<<12 || rounds.Iterations > 1000
}
