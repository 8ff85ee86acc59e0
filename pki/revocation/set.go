package revocation

import (
	"cmp"
	"crypto/x509"
	"maps"
	"slices"
	"time"
)

// State is what is known about a certificate's revocation. The zero value is that nothing is.
type State int

// The states.
const (
	// NoList says that no list of the certificate's authority is here.
	NoList State = iota
	// Good says that the certificate does not stand in a list that counts now.
	Good
	// Revoked says that the certificate stands in the list, whatever the list's dates.
	Revoked
	// Expired says that the list's nextUpdate and the grace are over.
	Expired
	// NotYet says that the list is from the future: a clock is behind, the authority's or ours.
	NotYet
	// Forgotten says that a list of the certificate's authority may have been here and was dropped: unlike with NoList, the
	// certificate may be known to be revoked, and is not to be accepted.
	Forgotten
)

// String names the state, for logs and tests.
func (s State) String() string {
	names := [...]string{NoList: "no_list", Good: "good", Revoked: "revoked", Expired: "expired", NotYet: "not_yet", Forgotten: "forgotten"}
	if s < 0 || int(s) >= len(names) {
		return "unknown"
	}
	return names[s]
}

// Status is the answer about one certificate at one moment.
type Status struct {
	State State
	// List that the answer comes from; nil with NoList, and perhaps with Forgotten.
	List *List
	// Entry of the list, for a certificate that is Revoked.
	Entry Entry
	// InGrace says that the certificate is Good only by the grace: the list has run out.
	InGrace bool
}

// Moments are when the state may become another by the passing of time alone: from each of them on.
func (l *List) Moments(grace time.Duration) []time.Time {
	return []time.Time{l.ThisUpdate.Add(-ClockTolerance), l.NextUpdate, l.NextUpdate.Add(grace)}
}

// At judges the list's dates: Good, Expired or NotYet.
func (l *List) At(now time.Time, grace time.Duration) State {
	switch {
	case now.Before(l.ThisUpdate.Add(-ClockTolerance)):
		return NotYet
	case !now.Before(l.NextUpdate.Add(grace)):
		return Expired
	}
	return Good
}

// Set holds the newest list of each authority. What it says does not change, and it is safe for concurrent use; a nil Set
// holds none.
type Set struct {
	verified map[Authority]Verified
	// unproven are lists of authorities whose certificates are not known yet, by the name that they give.
	unproven map[string][]*List
	// gaps are by the hash of the authority's name; all and known are as in Gaps.
	gaps  map[string][]Gap
	all   bool
	known map[Authority]bool
	met   met
}

// NewSet makes a set. Of several lists of one authority, the one of the highest number counts. Unproven lists, of one
// number the later one first, are verified when somebody asks about a certificate of an authority that they name.
func NewSet(verified []Verified, unproven []*List) *Set {
	s := &Set{verified: make(map[Authority]Verified, len(verified)), unproven: make(map[string][]*List)}
	for _, list := range verified {
		if known, found := s.verified[list.authority]; !found || known.Number.Cmp(list.Number) < 0 {
			s.verified[list.authority] = list
		}
	}
	for _, list := range unproven {
		s.unproven[list.IssuerKey()] = append(s.unproven[list.IssuerKey()], list)
	}
	for _, lists := range s.unproven {
		slices.SortStableFunc(lists, func(a, b *List) int { return cmp.Or(b.Number.Cmp(a.Number), b.ThisUpdate.Compare(a.ThisUpdate)) })
	}
	return s
}

// List returns the list of an authority, or nil.
func (s *Set) List(issuer *x509.Certificate) *List {
	if s == nil {
		return nil
	}
	if found, ok := s.verified[AuthorityOf(issuer)]; ok {
		return found.List
	}
	for _, list := range s.unproven[string(issuer.RawSubject)] {
		if _, err := list.Verify(issuer); err == nil {
			s.met.add(issuer)
			return list
		}
	}
	return nil
}

// Status tells what is known at a moment about a certificate that the issuer has signed, which is not verified here. A
// list counts for the grace beyond its nextUpdate.
func (s *Set) Status(certificate, issuer *x509.Certificate, now time.Time, grace time.Duration) Status {
	list := s.List(issuer)
	forgotten := s.forgotten(issuer, list)
	if list != nil {
		if entry, found := list.Find(certificate.SerialNumber); found {
			return Status{State: Revoked, List: list, Entry: entry}
		}
	}
	switch {
	case forgotten:
		return Status{State: Forgotten, List: list}
	case list == nil:
		return Status{State: NoList}
	}
	state := list.At(now, grace)
	return Status{State: state, List: list, InGrace: state == Good && !now.Before(list.NextUpdate)}
}

// Unproven returns, of the lists whose authorities are not known until somebody presents their certificates, the newest of each
// Claim, in the order of these.
func (s *Set) Unproven() []*List {
	if s == nil {
		return nil
	}
	newest := make(map[string]*List)
	for _, lists := range s.unproven {
		for _, list := range lists {
			if known := newest[list.Claim()]; known == nil || known.Number.Cmp(list.Number) < 0 {
				newest[list.Claim()] = list
			}
		}
	}
	return slices.SortedFunc(maps.Values(newest), func(a, b *List) int { return cmp.Compare(a.Claim(), b.Claim()) })
}

// Verified returns the lists whose authorities are known, in an order that depends on nothing but the authorities.
func (s *Set) Verified() []Verified {
	if s == nil {
		return nil
	}
	lists := make([]Verified, 0, len(s.verified))
	for _, list := range s.verified {
		lists = append(lists, list)
	}
	slices.SortFunc(lists, func(a, b Verified) int { return cmp.Compare(a.authority.String(), b.authority.String()) })
	return lists
}
