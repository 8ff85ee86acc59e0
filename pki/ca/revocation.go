package ca

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// maxIntegerBits is the length of the longest positive serial or list number that fits into the 20 bytes which RFC 5280
// allows (sections 4.1.2.2 and 5.2.3).
const maxIntegerBits = 20*8 - 1

// RevocationList is what an authority is asked to sign (RFC 5280, section 5).
type RevocationList struct {
	// Number must rise from one list of an authority to the next. It is positive and has at most 159 bits.
	Number *big.Int
	// ThisUpdate is when the list was made, not later than now. NextUpdate is when it runs out, after ThisUpdate. Both are
	// written in whole seconds.
	ThisUpdate, NextUpdate time.Time
	// Entries may stand in any order, and may be none. An expired certificate may stay in the list.
	Entries []Revoked
}

// Revoked is one certificate in a list.
type Revoked struct {
	Serial *big.Int
	// Time is since when it is revoked, not later than now.
	Time   time.Time
	Reason ReasonCode
}

// SignRevocationList signs a list of revoked certificates and returns it in DER, with the entries in the order of their
// serial numbers. What was signed has been read again, verified against the authority and compared with what was asked.
// It refuses an authority whose key usage does not allow it to sign lists. An authority that has expired still signs:
// a list takes rights away and grants none.
func (a *Authority) SignRevocationList(list RevocationList) ([]byte, error) {
	der, err := a.signRevocationList(list)
	if err != nil {
		return nil, fmt.Errorf("sign a revocation list by %q: %w", a.pair.Certificate.Subject, err)
	}
	return der, nil
}

func (a *Authority) signRevocationList(list RevocationList) ([]byte, error) {
	issuer := a.pair.Certificate
	if issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0 {
		return nil, errors.New("the authority's key usage does not allow it to sign revocation lists")
	}
	template, err := list.template(a.clock())
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, listIssuer(issuer), a.pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if err := checkRevocationList(der, template, issuer); err != nil {
		return nil, fmt.Errorf("check what was signed: %w", err)
	}
	return der, nil
}

// template checks the list and turns it into what is signed.
func (l RevocationList) template(now time.Time) (*x509.RevocationList, error) {
	switch {
	case l.Number == nil || l.Number.Sign() <= 0 || l.Number.BitLen() > maxIntegerBits:
		return nil, fmt.Errorf("the number must be positive and of at most %d bits", maxIntegerBits)
	case l.ThisUpdate.After(now):
		return nil, errors.New("the list would be made in the future")
	case !l.NextUpdate.Truncate(time.Second).After(l.ThisUpdate.Truncate(time.Second)):
		return nil, errors.New("the next update must be later than this one")
	}
	entries := make([]x509.RevocationListEntry, 0, len(l.Entries))
	for _, revoked := range l.Entries {
		if err := revoked.check(now); err != nil {
			return nil, err
		}
		entries = append(entries, x509.RevocationListEntry{
			SerialNumber: revoked.Serial, RevocationTime: revoked.Time.UTC().Truncate(time.Second), ReasonCode: int(revoked.Reason),
		})
	}
	slices.SortFunc(entries, func(a, b x509.RevocationListEntry) int { return a.SerialNumber.Cmp(b.SerialNumber) })
	for i := 1; i < len(entries); i++ {
		if entries[i].SerialNumber.Cmp(entries[i-1].SerialNumber) == 0 {
			return nil, fmt.Errorf("the serial number %x stands there twice", entries[i].SerialNumber)
		}
	}
	return &x509.RevocationList{
		Number:                    l.Number,
		ThisUpdate:                l.ThisUpdate.UTC().Truncate(time.Second),
		NextUpdate:                l.NextUpdate.UTC().Truncate(time.Second),
		RevokedCertificateEntries: entries,
	}, nil
}

// check takes the serial number zero, which is no longer allowed but was issued by others.
func (r Revoked) check(now time.Time) error {
	switch {
	case r.Serial == nil || r.Serial.Sign() < 0 || r.Serial.BitLen() > maxIntegerBits:
		return fmt.Errorf("an entry has a serial number that is missing, negative or longer than %d bits", maxIntegerBits)
	case r.Time.IsZero() || r.Time.After(now):
		return fmt.Errorf("the serial number %x is not revoked yet: it comes into the first list that is made from then on", r.Serial)
	case !r.Reason.known():
		return fmt.Errorf("the serial number %x has a reason that a list cannot hold: %s", r.Serial, r.Reason)
	}
	return nil
}

// listIssuer is the issuer as crypto/x509 wants it. Where an authority of others has no key usage it may sign lists
// (RFC 5280, section 4.2.1.3). Where it has no subject key identifier one is made from its key, because a list must
// name its signer's (section 5.2.1); verifiers compare it only with an identifier that the certificate has.
func listIssuer(certificate *x509.Certificate) *x509.Certificate {
	if certificate.KeyUsage != 0 && len(certificate.SubjectKeyId) != 0 {
		return certificate
	}
	issuer := *certificate
	if issuer.KeyUsage == 0 {
		issuer.KeyUsage = x509.KeyUsageCRLSign
	}
	if len(issuer.SubjectKeyId) == 0 {
		sum := sha256.Sum256(certificate.RawSubjectPublicKeyInfo)
		issuer.SubjectKeyId = sum[:20]
	}
	return &issuer
}

// checkRevocationList verifies a signed list against the authority and compares it with what was meant.
func checkRevocationList(der []byte, template *x509.RevocationList, issuer *x509.Certificate) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("read it back: %w", err)
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return fmt.Errorf("verify it against the authority: %w", err)
	}
	switch {
	case !bytes.Equal(list.RawIssuer, issuer.RawSubject):
		return errors.New("another issuer was signed")
	case !bytes.Equal(list.AuthorityKeyId, listIssuer(issuer).SubjectKeyId):
		return errors.New("another authority key identifier was signed")
	case list.Number == nil || list.Number.Cmp(template.Number) != 0:
		return errors.New("another number was signed")
	case !list.ThisUpdate.Equal(template.ThisUpdate) || !list.NextUpdate.Equal(template.NextUpdate):
		return errors.New("other times were signed")
	case !slices.EqualFunc(list.RevokedCertificateEntries, template.RevokedCertificateEntries, sameEntry):
		return errors.New("other entries were signed")
	}
	return CheckSignatureAlgorithm(list.SignatureAlgorithm)
}

func sameEntry(a, b x509.RevocationListEntry) bool {
	return a.SerialNumber.Cmp(b.SerialNumber) == 0 && a.RevocationTime.Equal(b.RevocationTime) && a.ReasonCode == b.ReasonCode
}

// EncodeRevocationList writes a revocation list, given in DER, as one PEM block.
func EncodeRevocationList(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: blockRevocationList, Bytes: der})
}
