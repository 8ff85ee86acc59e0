package ca

import (
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// MaxCertificateRequest is the size of the largest certificate signing request that is read, in bytes.
const MaxCertificateRequest = 64 << 10

// ParseCertificateRequest reads one certificate signing request (PKCS #10, RFC 2986) in PEM or DER. It wants exactly one
// and nothing but it, of at most MaxCertificateRequest bytes, signed by the key that stands in it, which proves that
// who made it has the private key. Key and signature must be as strong as CheckStrength wants those of a certificate.
//
// Only the public key is of any use: give it to a Request. What else the request asks for is told by Ignored, and never
// comes into a certificate.
func ParseCertificateRequest(data []byte) (*x509.CertificateRequest, error) {
	request, err := parseCertificateRequest(data)
	if err != nil {
		return nil, fmt.Errorf("read the certificate signing request: %w", err)
	}
	return request, nil
}

func parseCertificateRequest(data []byte) (*x509.CertificateRequest, error) {
	if len(data) > MaxCertificateRequest {
		return nil, fmt.Errorf("it has more than %d bytes", MaxCertificateRequest)
	}
	der, err := requestDER(data)
	if err != nil {
		return nil, err
	}
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, errors.New("it cannot be parsed: a PKCS #10 request in PEM or DER is wanted, as `openssl req -new` and `keytool -certreq` make it")
	}
	if err := checkPublicKey(request.PublicKey); err != nil {
		return nil, err
	}
	if err := CheckSignatureAlgorithm(request.SignatureAlgorithm); err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, errors.New("it is not signed by the key that it holds, so nothing proves that its sender has that key")
	}
	return request, nil
}

// requestDER finds the one request in the data. DER is looked for first, so that no text within it is taken for PEM.
func requestDER(data []byte) ([]byte, error) {
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(data, &whole); err == nil && len(rest) == 0 && whole.Tag == asn1.TagSequence {
		return data, nil
	}
	var der []byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case strings.HasSuffix(block.Type, blockPKCS8):
			return nil, errors.New("a private key stands beside it: that key is no longer secret; have a new one made, and the request alone sent")
		case block.Type != blockRequest && block.Type != blockOldRequest:
			return nil, fmt.Errorf("a PEM block of type %q stands where only a certificate signing request belongs", block.Type)
		case der != nil:
			return nil, errors.New("more than one was found, and it is unclear which is meant")
		}
		der = block.Bytes
	}
	if der == nil {
		return nil, errors.New("none was found, neither in PEM nor in DER")
	}
	return der, nil
}
