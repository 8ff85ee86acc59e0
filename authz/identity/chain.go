package identity

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// Bounds of what a caller sends beside its certificate: bytes as encoded, and certificates. A truststore can allow four
// intermediates at most; a root may come with them.
const (
	maxEncodedChain = 96 << 10
	maxChain        = 5
)

// parseChain reads the certificates that were sent beside a leaf: URL-encoded PEM that begins with the leaf. Those that are
// no authority's, or too weak to be one, are passed over before any signature is verified: with a public key of his own
// making, of any size, a stranger could make that dear. The error says for people what is wrong and has no text of the caller's.
func parseChain(encoded string, leaf *x509.Certificate) ([]*x509.Certificate, error) {
	if encoded == "" {
		return nil, nil
	}
	if len(encoded) > maxEncodedChain {
		return nil, fmt.Errorf("it has more than %d bytes", maxEncodedChain)
	}
	text, err := url.PathUnescape(encoded)
	if err != nil {
		return nil, errors.New("it is not URL-encoded")
	}
	var authorities []*x509.Certificate
	rest := []byte(text)
	for count := 0; len(bytes.TrimSpace(rest)) > 0; count++ {
		if count > maxChain {
			return nil, fmt.Errorf("there are more than %d certificates", maxChain)
		}
		block, after := pem.Decode(rest)
		if block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(rest, []byte("-----BEGIN CERTIFICATE-----")) {
			return nil, errors.New("it is not a series of certificates in PEM")
		}
		rest = bytes.TrimLeft(after, "\r\n")
		if count == 0 {
			if !bytes.Equal(block.Bytes, leaf.Raw) {
				return nil, errors.New("it does not begin with the caller's certificate")
			}
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, errors.New("the DER of a certificate cannot be parsed")
		}
		if ca.CheckAuthority(certificate) == nil {
			authorities = append(authorities, certificate)
		}
	}
	return authorities, nil
}

// judgeChain returns nil if the leaf leads to an anchor by way of certificates that the caller has sent. Path lengths,
// name constraints and the like are checked by crypto/x509.
func (j *judging) judgeChain() *Refusal {
	j.boundedBy(j.leaf.NotBefore, j.leaf.NotAfter, j.now)
	intermediates := x509.NewCertPool()
	for _, certificate := range j.chain {
		j.boundedBy(certificate.NotBefore, certificate.NotAfter, j.now)
		intermediates.AddCert(certificate)
	}
	for _, anchor := range j.material.Anchors {
		j.boundedBy(anchor.NotBefore, anchor.NotAfter, j.now)
	}
	options := x509.VerifyOptions{
		Roots: j.pool, Intermediates: intermediates, CurrentTime: j.now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}
	paths, err := j.leaf.Verify(options)
	if err != nil {
		return j.explainChain(options, err)
	}
	var refusal *Refusal
	for _, path := range paths {
		found := j.checkLinks(path)
		if found == nil {
			found = j.judgePath(path)
		}
		if found == nil {
			return nil
		}
		if refusal == nil {
			refusal = found
		}
		refusal = moreTelling(refusal, found)
	}
	return refusal
}

// explainChain tells a partner whose own certificate has expired from a stranger: crypto/x509 says the same of both. It
// asks again for the moment at which the leaf was valid last, or will be first.
func (j *judging) explainChain(options x509.VerifyOptions, err error) *Refusal {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		switch {
		case j.now.After(j.leaf.NotAfter):
			options.CurrentTime = j.leaf.NotAfter
		case j.now.Before(j.leaf.NotBefore):
			options.CurrentTime = j.leaf.NotBefore
		}
		if !options.CurrentTime.Equal(j.now) {
			if _, err := j.leaf.Verify(options); err == nil {
				return j.outOfTime()
			}
		}
	}
	return j.untrusted(fmt.Sprintf("no chain of valid certificates leads from it to an authority of the truststore %q", j.name))
}

// checkLinks checks what crypto/x509 does not: how many authorities stand between, and that each may issue for clients. Weak
// ones have not come so far, see parseChain.
func (j *judging) checkLinks(path []*x509.Certificate) *Refusal {
	between := path[1 : len(path)-1]
	if len(between) > j.material.Intermediates.MaxDepth {
		return j.untrusted(fmt.Sprintf("%d authorities stand between it and the truststore %q, which allows %d",
			len(between), j.name, j.material.Intermediates.MaxDepth))
	}
	for _, authority := range path[1:] {
		if !forClients(authority) {
			return j.untrusted("an authority above it may not issue certificates for clients")
		}
	}
	return j.usage()
}
