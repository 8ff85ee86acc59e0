package revocation

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// ClockTolerance is by how much a clock may be behind the authority's: a list counts from so long before its thisUpdate
// on.
const ClockTolerance = time.Minute

// List is a revocation list that is whole and understood. Whether anybody's authority signed it, Verify tells. It is
// immutable.
type List struct {
	// Issuer is the authority's name as RFC 4514 writes it.
	Issuer string
	// Number rises from one list of an authority to the next (RFC 5280, section 5.2.3). Do not change it.
	Number *big.Int
	// ThisUpdate is when the list was made, NextUpdate when there will be a newer one at the latest.
	ThisUpdate, NextUpdate time.Time
	// Content is the SHA-256 of what was signed, in lower-case hexadecimal. It is the same for two signatures over the same
	// list.
	Content string
	// Raw is the list in DER. Do not change it.
	Raw []byte

	rawIssuer []byte
	keyID     []byte // of the authority key identifier; empty if there is none
	entries   map[string]Entry
	signed    signature
}

// signature is what Verify needs of a parsed list, without the entries that crypto/x509 keeps twice.
type signature struct {
	algorithm     x509.SignatureAlgorithm
	message, made []byte
}

// Entry is what a list says of one certificate.
type Entry struct {
	// Reason is why it was revoked; ca.Unspecified if the list does not say.
	Reason ca.ReasonCode
	// At is since when. It may lie in the future: what stands in a list is revoked nevertheless.
	At time.Time
}

// Len is how many certificates stand in the list.
func (l *List) Len() int { return len(l.entries) }

// Find looks a serial number up.
func (l *List) Find(serial *big.Int) (Entry, bool) {
	entry, found := l.entries[string(serial.Bytes())]
	return entry, found
}

// Names reports whether the list says that it is this authority's: by name, and by key identifier where both have one. It
// is no proof.
func (l *List) Names(issuer *x509.Certificate) bool {
	return bytes.Equal(l.rawIssuer, issuer.RawSubject) &&
		(len(l.keyID) == 0 || len(issuer.SubjectKeyId) == 0 || bytes.Equal(l.keyID, issuer.SubjectKeyId))
}

// Claim is a hash, in lower-case hexadecimal, of the authority's name and key identifier as the list itself gives them: it
// tells lists that nobody has verified yet apart. It is no proof.
func (l *List) Claim() string { return claim(l.rawIssuer, l.keyID) }

// ClaimOf is the Claim of a list that names the authority's key identifier, as ours do.
func ClaimOf(issuer *x509.Certificate) string { return claim(issuer.RawSubject, issuer.SubjectKeyId) }

func claim(rawName, keyID []byte) string {
	name, key := sha256.Sum256(rawName), sha256.Sum256(keyID)
	sum := sha256.Sum256(append(name[:], key[:]...))
	return hex.EncodeToString(sum[:])
}

// IssuerKey tells the authority that a list says to be of from all others, for lists whose authority is not known.
func (l *List) IssuerKey() string { return string(l.rawIssuer) }

// Verified is a list that its authority has signed.
type Verified struct {
	*List
	authority Authority
}

// Authority is whose list it is.
func (v Verified) Authority() Authority { return v.authority }

// Authority tells one authority from another: by name and public key, because a renewed certificate of both is the same
// authority, and another key under the same name is not. It is comparable.
type Authority struct{ sum [sha256.Size]byte }

// AuthorityOf is the authority that a CA certificate is for.
func AuthorityOf(issuer *x509.Certificate) Authority {
	subject := sha256.Sum256(issuer.RawSubject)
	key := sha256.Sum256(issuer.RawSubjectPublicKeyInfo)
	return Authority{sha256.Sum256(append(subject[:], key[:]...))}
}

// String is a hash in lower-case hexadecimal, which is the same in every process.
func (a Authority) String() string { return hex.EncodeToString(a.sum[:]) }

// Verify reports whether an authority has signed the list and may sign lists (RFC 5280, section 6.3.3 (f), (g)).
func (l *List) Verify(issuer *x509.Certificate) (Verified, error) {
	switch {
	case !l.Names(issuer):
		return Verified{}, fmt.Errorf("it is the list of another authority than %q, by name or by key identifier", issuer.Subject)
	case issuer.KeyUsage != 0 && issuer.KeyUsage&x509.KeyUsageCRLSign == 0:
		return Verified{}, fmt.Errorf("the key usage of %q does not allow it to sign revocation lists", issuer.Subject)
	}
	if err := ca.CheckAuthority(issuer); err != nil {
		return Verified{}, fmt.Errorf("%q cannot sign revocation lists: %w", issuer.Subject, err)
	}
	if err := issuer.CheckSignature(l.signed.algorithm, l.signed.message, l.signed.made); err != nil {
		return Verified{}, fmt.Errorf("%q did not sign it", issuer.Subject)
	}
	return Verified{List: l, authority: AuthorityOf(issuer)}, nil
}

// newList takes over what was parsed, if it is understood.
func newList(parsed *x509.RevocationList) (*List, error) {
	if err := checkForm(parsed); err != nil {
		return nil, err
	}
	list := &List{
		Issuer: parsed.Issuer.String(), Number: parsed.Number, ThisUpdate: parsed.ThisUpdate, NextUpdate: parsed.NextUpdate,
		Content: contentOf(parsed), Raw: bytes.Clone(parsed.Raw),
		rawIssuer: bytes.Clone(parsed.RawIssuer), keyID: bytes.Clone(parsed.AuthorityKeyId),
		entries: make(map[string]Entry, len(parsed.RevokedCertificateEntries)),
		signed: signature{
			algorithm: parsed.SignatureAlgorithm, message: bytes.Clone(parsed.RawTBSRevocationList), made: bytes.Clone(parsed.Signature),
		},
	}
	for _, revoked := range parsed.RevokedCertificateEntries {
		if err := checkEntry(revoked); err != nil {
			return nil, err
		}
		entry := Entry{Reason: ca.ReasonCode(revoked.ReasonCode), At: revoked.RevocationTime}
		serial := string(revoked.SerialNumber.Bytes())
		if earlier, twice := list.entries[serial]; twice && earlier.At.Before(entry.At) {
			entry = earlier
		}
		list.entries[serial] = entry
	}
	return list, nil
}

func contentOf(parsed *x509.RevocationList) string {
	sum := sha256.Sum256(parsed.RawTBSRevocationList)
	return hex.EncodeToString(sum[:])
}

// maxNumberBits bounds a list's number, which is written out and kept.
const maxNumberBits = 8 * 20

// checkForm judges what can be judged without the authority: fields that must be there, what the list covers, and the
// strength of its signature.
func checkForm(parsed *x509.RevocationList) error {
	switch {
	case parsed.Number == nil || parsed.Number.Sign() < 0:
		return errors.New("it has no number (RFC 5280, section 5.2.3), so an older list could not be told from it")
	case parsed.Number.BitLen() > maxNumberBits:
		return errors.New("its number is longer than 20 bytes (RFC 5280, section 5.2.3)")
	case parsed.NextUpdate.IsZero():
		return errors.New("it has no nextUpdate (RFC 5280, section 5.1.2.5), so it could never be told that it is out of date")
	case !parsed.NextUpdate.After(parsed.ThisUpdate):
		return errors.New("its nextUpdate is not later than its thisUpdate")
	}
	if err := checkExtensions(parsed); err != nil {
		return err
	}
	return ca.CheckSignatureAlgorithm(parsed.SignatureAlgorithm)
}
