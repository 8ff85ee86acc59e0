package inventory

import (
	"cmp"
	"crypto/x509"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/pki/revocation"
)

// unprovenList is one whose authority's certificate is not in the bundle.
type unprovenList struct {
	*revocation.List
	source string
}

func (l unprovenList) same(other unprovenList) bool {
	return l.source == other.source && l.Content == other.Content
}

// waiting are lists of authorities that are not known yet, and what was dropped of them. Anybody who can write to a source
// can give such lists in any name, so none may push another out unnoticed: what a source gives now stays, and so does what
// it gave, within bounds; where these bite, a gap is left, which refuses whom the dropped lists may be about.
type waiting struct {
	lists []unprovenList
	gaps  []gap
	// overrun are the sources that have left more gaps than are kept.
	overrun []string
}

// gap is one that a source has left.
type gap struct {
	Source string `json:"source"`
	// Issuer is the authority's name for people, cut short.
	Issuer string `json:"issuer"`
	revocation.Gap
}

// Bounds of what is remembered of each source beyond what it gives now. Lists that one authority has signed and whose
// certificate a caller has shown once take one place, so honest sources do not reach them.
const (
	maxSuperseded   = 16 // of each authority by its claim
	maxWaiting      = 256
	maxWaitingBytes = 16 << 20
	maxGaps         = 256
	maxIssuerShown  = 200 // bytes
)

// keep makes what waits after a look from what the sources give now and what waited before. Only those of the sources that
// are still asked count. The lists in given stay in any case.
func (w waiting) keep(sources []string, given []unprovenList, met []*x509.Certificate) waiting {
	gone := func(source string) bool { return !slices.Contains(sources, source) }
	after := waiting{
		gaps:    slices.DeleteFunc(slices.Clone(w.gaps), func(g gap) bool { return gone(g.Source) }),
		overrun: slices.DeleteFunc(slices.Clone(w.overrun), gone),
	}
	for _, source := range slices.Compact(slices.Sorted(slices.Values(sources))) {
		now := distinct(ofSource(given, source), nil)
		before := distinct(ofSource(w.lists, source), now)
		before = withoutSuperseded(before, slices.Concat(before, now), met)
		kept, dropped := sift(before)
		after.lists = append(append(after.lists, kept...), now...)
		after.leaveGaps(source, dropped)
	}
	after.closeGaps(met)
	return after
}

func ofSource(lists []unprovenList, source string) []unprovenList {
	var found []unprovenList
	for _, list := range lists {
		if list.source == source {
			found = append(found, list)
		}
	}
	return found
}

// distinct leaves out lists that come twice, or are among others.
func distinct(lists, others []unprovenList) []unprovenList {
	var found []unprovenList
	for _, list := range lists {
		if !slices.ContainsFunc(found, list.same) && !slices.ContainsFunc(others, list.same) {
			found = append(found, list)
		}
	}
	return found
}

// withoutSuperseded leaves out those instead of which an authority has provably signed a newer one among all.
func withoutSuperseded(lists, all []unprovenList, met []*x509.Certificate) []unprovenList {
	superseded := make(map[*revocation.List]bool)
	for _, authority := range met {
		signed := signedBy(authority, all)
		for i := range signed {
			if signed[i].Number.Cmp(signed[0].Number) < 0 {
				superseded[signed[i].List] = true
			}
		}
	}
	return slices.DeleteFunc(lists, func(l unprovenList) bool { return superseded[l.List] })
}

// signedBy returns the lists that an authority has signed, the newest first.
func signedBy(authority *x509.Certificate, lists []unprovenList) []unprovenList {
	var signed []unprovenList
	for _, list := range lists {
		if _, err := list.Verify(authority); err == nil {
			signed = append(signed, list)
		}
	}
	slices.SortStableFunc(signed, byNumber)
	return signed
}

// byNumber sorts the newest first.
func byNumber(a, b unprovenList) int { return b.Number.Cmp(a.Number) }

// newestOf returns the newest list of each claim.
func newestOf(lists []unprovenList) map[string]unprovenList {
	newest := make(map[string]unprovenList)
	for _, list := range lists {
		if known, found := newest[list.Claim()]; !found || list.Number.Cmp(known.Number) > 0 {
			newest[list.Claim()] = list
		}
	}
	return newest
}

// sift keeps within the bounds what one source gave earlier: first the newest list of each claim, those that came first
// before the others, so that a flood of names pushes nobody out; then those that are superseded. Where one is dropped, so
// are all older ones of its claim.
func sift(lists []unprovenList) (kept, dropped []unprovenList) {
	newest := newestOf(lists)
	var first, others []unprovenList
	for _, list := range lists {
		if newest[list.Claim()].List == list.List {
			first = append(first, list)
		} else {
			others = append(others, list)
		}
	}
	slices.SortStableFunc(others, byNumber)
	size, of, shut := 0, make(map[string]int), make(map[string]bool)
	for _, list := range slices.Concat(first, others) {
		claim := list.Claim()
		fits := len(kept) < maxWaiting && size+len(list.Raw) <= maxWaitingBytes && of[claim] <= maxSuperseded
		if shut[claim] || !fits {
			shut[claim] = true
			dropped = append(dropped, list)
			continue
		}
		kept, size = append(kept, list), size+len(list.Raw)
		of[claim]++
	}
	return kept, dropped
}

// leaveGaps notes what is dropped, as one gap for each claim.
func (w *waiting) leaveGaps(source string, dropped []unprovenList) {
	for _, list := range dropped {
		w.leaveGap(gap{Source: source, Issuer: strings.ToValidUTF8(list.Issuer[:min(len(list.Issuer), maxIssuerShown)], ""), Gap: list.Gap()})
	}
}

func (w *waiting) leaveGap(left gap) {
	count := 0
	for i := range w.gaps {
		known := &w.gaps[i]
		if known.Source != left.Source {
			continue
		}
		count++
		if known.Same(left.Gap) {
			if known.Number.Cmp(left.Number) < 0 {
				known.Number = left.Number
			}
			return
		}
	}
	switch {
	case count < maxGaps:
		w.gaps = append(w.gaps, left)
	case !slices.Contains(w.overrun, left.Source):
		w.overrun = append(w.overrun, left.Source)
	}
}

// closeGaps removes those of authorities that have signed a list, no older than what was dropped, that is here.
func (w *waiting) closeGaps(met []*x509.Certificate) {
	for _, authority := range met {
		signed := signedBy(authority, w.lists)
		w.gaps = slices.DeleteFunc(w.gaps, func(g gap) bool {
			return g.Exactly(authority) && len(signed) > 0 && signed[0].Number.Cmp(g.Number) >= 0
		})
	}
}

// join adds what another process has kept.
func (w waiting) join(other waiting) waiting {
	joined := waiting{lists: slices.Concat(w.lists, other.lists), gaps: slices.Clone(w.gaps), overrun: slices.Clone(w.overrun)}
	for _, left := range other.gaps {
		joined.leaveGap(left)
	}
	for _, source := range other.overrun {
		if !slices.Contains(joined.overrun, source) {
			joined.overrun = append(joined.overrun, source)
		}
	}
	return joined
}

// sorted puts gaps and sources in an order of their own, so that the same is written the same.
func (w waiting) sorted() waiting {
	slices.SortFunc(w.gaps, func(a, b gap) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Key, b.Key))
	})
	slices.Sort(w.overrun)
	return w
}

// gapsOf are what a truststore's lists are to know of what was dropped.
func (w waiting) gapsOf(anchors []*x509.Certificate) revocation.Gaps {
	gaps := revocation.Gaps{All: len(w.overrun) > 0, Known: anchors}
	for _, left := range w.gaps {
		gaps.Of = append(gaps.Of, left.Gap)
	}
	return gaps
}

// hash tells whether what waits is what was written.
func (w waiting) hash() string {
	parts := [][]byte{[]byte("lists")}
	for _, list := range w.lists {
		parts = append(parts, []byte(list.source), []byte(list.Content))
	}
	return contentHash(append(parts, w.gapContent()...)...)
}

// gapContent is what the gaps contribute to a hash.
func (w waiting) gapContent() [][]byte {
	parts := [][]byte{[]byte("gaps")}
	for _, left := range w.sorted().gaps {
		parts = append(parts, []byte(left.Source), []byte(left.Name), []byte(left.Key), left.Number.Bytes())
	}
	parts = append(parts, []byte("overrun"))
	for _, source := range w.overrun {
		parts = append(parts, []byte(source))
	}
	return parts
}
