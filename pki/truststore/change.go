package truststore

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
)

// Anchors are the authorities that a bundle holds, whatever else it holds and however long they are valid: what people
// compare. Which of them a gateway trusts, pki/inventory decides.
func Anchors(bundle []byte) []*x509.Certificate {
	var anchors []*x509.Certificate
	blocks, _ := split(bundle)
	for _, data := range blocks {
		block, _ := pem.Decode(data)
		if block == nil || block.Type != "CERTIFICATE" {
			continue
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil && certificate.IsCA {
			anchors = append(anchors, certificate)
		}
	}
	return anchors
}

// Change is what takes place between two bundles. Each certificate stands in it once.
type Change struct {
	Added, Removed, Kept []*x509.Certificate
}

// Empty tells whether both hold the same authorities.
func (c Change) Empty() bool { return len(c.Added)+len(c.Removed) == 0 }

// Diff compares the authorities of two bundles, whatever their order.
func Diff(old, replacement []*x509.Certificate) Change {
	var c Change
	for _, certificate := range old {
		if has(replacement, certificate) {
			c.Kept = appendOnce(c.Kept, certificate)
		} else {
			c.Removed = appendOnce(c.Removed, certificate)
		}
	}
	for _, certificate := range replacement {
		if !has(old, certificate) {
			c.Added = appendOnce(c.Added, certificate)
		}
	}
	return c
}

func has(certificates []*x509.Certificate, one *x509.Certificate) bool {
	return slices.ContainsFunc(certificates, one.Equal)
}

func appendOnce(certificates []*x509.Certificate, one *x509.Certificate) []*x509.Certificate {
	if has(certificates, one) {
		return certificates
	}
	return append(certificates, one)
}
