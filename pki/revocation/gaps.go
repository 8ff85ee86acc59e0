package revocation

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"math/big"
	"sync"
)

// Gap stands for lists that were here, of an authority that was not known, and were dropped before anybody could verify
// them. Of that authority, only a list that is no older than they are says anything.
type Gap struct {
	// Name and Key are the SHA-256, in lower-case hexadecimal, of the authority's name and of its key identifier as the
	// lists give them. Key is empty where they give none.
	Name string `json:"name"`
	Key  string `json:"key,omitempty"`
	// Number is the highest of those lists.
	Number *big.Int `json:"number"`
}

// Gap is what a list leaves behind when it is dropped.
func (l *List) Gap() Gap {
	gap := Gap{Name: hashOf(l.rawIssuer), Number: l.Number}
	if len(l.keyID) > 0 {
		gap.Key = hashOf(l.keyID)
	}
	return gap
}

// Names reports whether the lists may have been an authority's, by the rule of List.Names.
func (g Gap) Names(issuer *x509.Certificate) bool {
	return g.Name == hashOf(issuer.RawSubject) &&
		(g.Key == "" || len(issuer.SubjectKeyId) == 0 || g.Key == hashOf(issuer.SubjectKeyId))
}

// Same reports whether two gaps are about the same claim to be an authority.
func (g Gap) Same(other Gap) bool { return g.Name == other.Name && g.Key == other.Key }

// Exactly reports whether a gap is about an authority by name and key identifier, both given.
func (g Gap) Exactly(issuer *x509.Certificate) bool {
	return g.Key != "" && len(issuer.SubjectKeyId) > 0 && g.Names(issuer)
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Gaps are what a Set knows to be missing from it. The zero value is nothing.
type Gaps struct {
	Of []Gap
	// All says that too much was dropped to be told apart: no list that is verified on demand says any more that a
	// certificate is good.
	All bool
	// Known are authorities whose lists are never dropped, so that nothing of the above is about them.
	Known []*x509.Certificate
}

// WithGaps returns a set of the same lists that says Forgotten where the answer may be among what was dropped.
func (s *Set) WithGaps(gaps Gaps) *Set {
	with := &Set{verified: s.verified, unproven: s.unproven, all: gaps.All, known: make(map[Authority]bool), gaps: make(map[string][]Gap)}
	for _, certificate := range gaps.Known {
		with.known[AuthorityOf(certificate)] = true
	}
	for _, gap := range gaps.Of {
		with.gaps[gap.Name] = append(with.gaps[gap.Name], gap)
	}
	return with
}

// forgotten reports whether a newer list of an authority than this one may have been dropped. The list may be nil.
func (s *Set) forgotten(issuer *x509.Certificate, list *List) bool {
	if s == nil || !s.all && len(s.gaps) == 0 {
		return false
	}
	authority := AuthorityOf(issuer)
	if _, verified := s.verified[authority]; verified || s.known[authority] {
		return false
	}
	if s.all {
		return true
	}
	for _, gap := range s.gaps[hashOf(issuer.RawSubject)] {
		if gap.Names(issuer) && (list == nil || list.Number.Cmp(gap.Number) < 0) {
			return true
		}
	}
	return false
}

// met remembers the authorities that have turned out to have signed an unproven list: one for each list at most.
type met struct {
	mu           sync.Mutex
	certificates map[Authority]*x509.Certificate
}

func (m *met) add(issuer *x509.Certificate) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.certificates == nil {
		m.certificates = make(map[Authority]*x509.Certificate)
	}
	m.certificates[AuthorityOf(issuer)] = issuer
}

// Met returns the certificates of authorities that have signed an unproven list of the set and were asked about, in no
// order. That they have signed it is all that is known of them.
func (s *Set) Met() []*x509.Certificate {
	if s == nil {
		return nil
	}
	s.met.mu.Lock()
	defer s.met.mu.Unlock()
	certificates := make([]*x509.Certificate, 0, len(s.met.certificates))
	for _, certificate := range s.met.certificates {
		certificates = append(certificates, certificate)
	}
	return certificates
}
