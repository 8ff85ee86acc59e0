package register

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/pki/signed"
)

// Origin is what stands for the entry before the first one.
var Origin = strings.Repeat("0", 2*sha256.Size)

// Entry is one line of a register: a Record in its place. Do not change one.
type Entry struct {
	// Sequence is 1 for the first entry.
	Sequence uint64 `json:"seq"`
	// Time is when it was appended, in UTC and whole seconds, by the clock of whoever appended it.
	Time time.Time `json:"time"`
	Record
	// Previous is the Hash of the entry before, Origin for the first.
	Previous string `json:"prev"`
	// Hash is the SHA-256 of the entry's line without this field, in lower-case hex.
	Hash string `json:"hash,omitempty"`
}

// Record is what is to be remembered: exactly one of its fields is set.
type Record struct {
	Issued  *Issued  `json:"issued,omitempty"`
	Revoked *Revoked `json:"revoked,omitempty"`
}

// Source says how a certificate came into the register.
type Source string

// The sources.
const (
	// Made is a certificate that was entered before it was handed out.
	Made Source = "issued"
	// Imported is one that the authority had issued before there was a register.
	Imported Source = "imported"
)

// Issued tells of a certificate. What the certificate itself says is taken from it by NewIssued, and checked again
// whenever a register is read. Hashes are SHA-256 in lower-case hex, serial numbers lower-case hex without leading zeros.
type Issued struct {
	Serial string `json:"serial"`
	// IssuerSHA256 is the issuing authority's certificate.
	IssuerSHA256 string `json:"issuer_sha256"`
	Subject      string `json:"subject"`
	// Names are the subject alternative names: dns:NAME, uri:URI, ip:ADDRESS, email:ADDRESS.
	Names             []string  `json:"names,omitempty"`
	SPKISHA256        string    `json:"spki_sha256"`
	CertificateSHA256 string    `json:"certificate_sha256"`
	NotBefore         time.Time `json:"not_before"`
	NotAfter          time.Time `json:"not_after"`
	// Consumer is whose it is; empty if it is nobody's.
	Consumer string `json:"consumer,omitempty"`
	// Profile is what it is for.
	Profile string `json:"profile,omitempty"`
	// RequestedBy is the person or program that asked.
	RequestedBy string `json:"requested_by,omitempty"`
	Source      Source `json:"source"`
	// Replaces is the CertificateSHA256 of the one that it renews.
	Replaces string `json:"replaces,omitempty"`
	// Certificate is its DER.
	Certificate []byte `json:"certificate"`
}

// Revoked tells that a certificate is not to be trusted from a moment on.
type Revoked struct {
	// CertificateSHA256 is that of a certificate that the register holds. Serial is its serial number, for people.
	CertificateSHA256 string `json:"certificate_sha256"`
	Serial            string `json:"serial"`
	// Reason is a name of RFC 5280, section 5.3.1, as package ca writes it.
	Reason string `json:"reason"`
	// At is when it takes effect. It may lie in the future: then it is scheduled.
	At time.Time `json:"at"`
	// By is the person or program that asked.
	By string `json:"by,omitempty"`
}

// NewIssued takes from a certificate what an entry says of it. The rest is the caller's to fill in.
func NewIssued(certificate, issuer *x509.Certificate) *Issued {
	return &Issued{
		Serial:            Serial(certificate.SerialNumber),
		IssuerSHA256:      Digest(issuer.Raw),
		Subject:           strings.ToValidUTF8(certificate.Subject.String(), "\uFFFD"),
		Names:             namesOf(certificate),
		SPKISHA256:        Digest(certificate.RawSubjectPublicKeyInfo),
		CertificateSHA256: Digest(certificate.Raw),
		NotBefore:         certificate.NotBefore.UTC(),
		NotAfter:          certificate.NotAfter.UTC(),
		Source:            Made,
		Certificate:       certificate.Raw,
	}
}

// NewRevoked makes the record that revokes a certificate of the register.
func NewRevoked(certificate *Issued, reason string, at time.Time, by string) *Revoked {
	return &Revoked{
		CertificateSHA256: certificate.CertificateSHA256,
		Serial:            certificate.Serial,
		Reason:            reason,
		At:                at.UTC().Truncate(time.Second),
		By:                by,
	}
}

// Digest is a SHA-256 in lower-case hex.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Serial writes a serial number as the register does: lower-case hex without leading zeros.
func Serial(number *big.Int) string { return number.Text(16) }

func namesOf(certificate *x509.Certificate) []string {
	var names []string
	for _, name := range certificate.DNSNames {
		names = append(names, "dns:"+name)
	}
	for _, uri := range certificate.URIs {
		names = append(names, "uri:"+uri.String())
	}
	for _, address := range certificate.IPAddresses {
		names = append(names, "ip:"+address.String())
	}
	for _, address := range certificate.EmailAddresses {
		names = append(names, "email:"+address)
	}
	return names
}

// check reports why a record cannot be right by itself.
func (r Record) check() error {
	switch {
	case (r.Issued == nil) == (r.Revoked == nil):
		return errors.New("it must tell of one certificate issued or revoked")
	case r.Issued != nil:
		return r.Issued.check()
	default:
		return r.Revoked.check()
	}
}

func (i *Issued) check() error {
	certificate, err := x509.ParseCertificate(i.Certificate)
	if err != nil {
		return fmt.Errorf("its certificate cannot be read: %w", err)
	}
	said := NewIssued(certificate, certificate)
	switch {
	case i.Serial != said.Serial, i.Subject != said.Subject, i.SPKISHA256 != said.SPKISHA256, i.CertificateSHA256 != said.CertificateSHA256,
		!slices.Equal(i.Names, said.Names), !i.NotBefore.Equal(said.NotBefore), !i.NotAfter.Equal(said.NotAfter):
		return errors.New("what it says of the certificate is not what the certificate says")
	case !isDigest(i.IssuerSHA256):
		return errors.New("issuer_sha256 is not a SHA-256 in lower-case hex")
	case i.Replaces != "" && !isDigest(i.Replaces):
		return errors.New("replaces is not a SHA-256 in lower-case hex")
	case i.Source != Made && i.Source != Imported:
		return fmt.Errorf("its source %q is neither %s nor %s", i.Source, Made, Imported)
	}
	return nil
}

func (r *Revoked) check() error {
	switch {
	case !isDigest(r.CertificateSHA256):
		return errors.New("certificate_sha256 is not a SHA-256 in lower-case hex")
	case r.Reason == "":
		return errors.New("it gives no reason")
	case r.At.IsZero():
		return errors.New("it does not say from when")
	}
	return nil
}

// encode writes an entry in the one way in which it is written, without an end of line.
func (e Entry) encode() ([]byte, error) {
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(e); err != nil {
		return nil, fmt.Errorf("encode an entry: %w", err)
	}
	return bytes.TrimSuffix(line.Bytes(), []byte("\n")), nil
}

// hash is what must stand in Hash.
func (e Entry) hash() (string, error) {
	e.Hash = ""
	line, err := e.encode()
	if err != nil {
		return "", err
	}
	return Digest(line), nil
}

// decodeEntry reads a line that encode has written. Anything that could be read in two ways is refused, because it is not
// what encode writes.
func decodeEntry(line []byte) (Entry, error) {
	var entry Entry
	if err := signed.Decode(line, &entry); err != nil {
		return Entry{}, err
	}
	if again, err := entry.encode(); err != nil || !bytes.Equal(again, line) {
		return Entry{}, errors.New("it is not written as the register writes")
	}
	return entry, nil
}
