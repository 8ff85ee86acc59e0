package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
)

// keyFlags say whose key is certified: the partner's, by its certificate request, or one that is made here for it.
type keyFlags struct {
	csr              string
	generate, pkcs12 bool
	age              []string
}

func (f *keyFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.csr, "csr", "", "the partner's certificate request (PKCS#10, PEM); nothing but its public key is used")
	flags.BoolVar(&f.generate, "generate", false, "make the key here, for a partner who cannot; the kit is then encrypted")
	flags.StringArrayVar(&f.age, "age", nil, "with --generate: encrypt the kit to an age or SSH public key of the partner's; may be repeated")
	flags.BoolVar(&f.pkcs12, "pkcs12", false, "with --generate: put key and certificate into a PKCS#12 file with a password that is shown once")
}

func (f *keyFlags) check() error {
	switch {
	case f.csr == "" && !f.generate:
		return errors.New("give the partner's certificate request with --csr, or have a key made with --generate")
	case f.csr != "" && f.generate:
		return errors.New("--csr and --generate exclude each other: who has sent a request has a key")
	case !f.generate && (f.pkcs12 || len(f.age) > 0):
		return errors.New("--age and --pkcs12 are for --generate: without it the kit holds no key, and nothing to encrypt")
	case f.generate && f.pkcs12 == (len(f.age) > 0):
		return errors.New("with --generate give --age RECIPIENT or --pkcs12, one of the two: a key leaves encrypted or not at all")
	}
	return nil
}

// requestedKey is a public key with the request that proves it, and the private key where it was made here.
type requestedKey struct {
	request    []byte // PEM
	public     crypto.PublicKey
	spkiSHA256 string
	private    crypto.Signer
}

// get reads or makes the request.
func (f *keyFlags) get() (requestedKey, error) {
	if f.generate {
		return generatedKey()
	}
	content, err := os.ReadFile(f.csr)
	if err != nil {
		return requestedKey{}, fmt.Errorf("--csr: %w", err)
	}
	if bytes.Contains(content, []byte("PRIVATE KEY-----")) {
		return requestedKey{}, fmt.Errorf("--csr: %s holds a private key: it should never have left its owner; have the partner make a new one, and send the request alone", f.csr)
	}
	csr, err := ca.ParseCertificateRequest(content)
	if err != nil {
		return requestedKey{}, fmt.Errorf("--csr: %s: %w", f.csr, err)
	}
	return requestedKey{request: content, public: csr.PublicKey, spkiSHA256: register.Digest(csr.RawSubjectPublicKeyInfo)}, nil
}

func generatedKey() (requestedKey, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return requestedKey{}, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private)
	if err != nil {
		return requestedKey{}, fmt.Errorf("make a certificate request: %w", err)
	}
	spki, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return requestedKey{}, fmt.Errorf("make a certificate request: %w", err)
	}
	return requestedKey{
		request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
		public:  private.Public(), spkiSHA256: register.Digest(spki), private: private,
	}, nil
}
