package inventory

import (
	"cmp"
	"crypto/x509"
	"slices"

	"github.com/sallyport-project/sallyport/pki/revocation"
)

// keepUnproven settles which lists of unknown authorities wait for their callers, so that an older one cannot take a newer
// one's place: of those that an authority turns out to have signed, the highest number counts. What is new is kept over a
// restart.
func (t *trustLook) keepUnproven(sources []string) {
	given := t.holding.unproven.lists
	t.holding.unproven = waiting{}
	if !t.found.Intermediates.FromCaller {
		return
	}
	met := t.metAuthorities(slices.Concat(given, t.held.unproven.lists))
	t.holding.met = met
	t.holding.unproven = t.held.unproven.keep(sources, given, met)
	t.holding.saved = t.held.saved
	if hash := t.holding.unproven.hash(); hash != t.holding.saved {
		t.saveWaiting(sources, given, met)
	}
	for _, left := range t.holding.unproven.gaps {
		t.fault("its revocation list: %s has given so many lists in the name of %q, whose certificate nobody has shown, that some were dropped: of it, only a list of number %s or higher counts, and without one the certificates that it issued are refused with 503; find out who writes there, and publish a newer list",
			left.Source, left.Issuer, left.Number)
	}
	for _, source := range t.holding.unproven.overrun {
		t.fault("its revocation list: %s has given lists in so many names that some were dropped: the certificates of all intermediates of callers are refused with 503; find out who writes there, and have the lists published elsewhere", source)
	}
}

// metAuthorities are those that callers have shown and that have signed one of the lists.
func (t *trustLook) metAuthorities(lists []unprovenList) []*x509.Certificate {
	candidates := slices.Clone(t.held.met)
	if before := t.Current().Truststores[t.name]; before != nil {
		candidates = append(candidates, before.Revocation.Lists.Met()...)
	}
	known := make(map[revocation.Authority]bool)
	return slices.DeleteFunc(candidates, func(c *x509.Certificate) bool {
		authority := revocation.AuthorityOf(c)
		if known[authority] || len(signedBy(c, lists)) == 0 {
			return true
		}
		known[authority] = true
		return false
	})
}

// loadWaiting takes over, where this process holds nothing, what the one before held. Lists change their kind when the
// bundle does: those of an authority that it lost wait from now on, and those that an anchor proves to have signed, which
// are returned, wait no longer.
func (t *trustLook) loadWaiting(sources []string) []heldList {
	if !t.found.Intermediates.FromCaller {
		return nil
	}
	if t.held.saved == "" {
		kept, _ := t.kept()
		t.held.unproven = t.held.unproven.join(kept)
		t.held.saved = kept.hash() // what is on the disk, and not what it became here
	}
	t.held.unproven.lists = append(slices.Clone(t.held.unproven.lists), t.withoutAnchor()...)
	return t.provenNow(sources)
}

// withoutAnchor takes the lists out of those held whose authorities are in the bundle no longer.
func (t *trustLook) withoutAnchor() []unprovenList {
	anchored := make(map[revocation.Authority]bool)
	for _, anchor := range t.found.Anchors {
		anchored[revocation.AuthorityOf(anchor)] = true
	}
	var without []unprovenList
	for authority, held := range t.held.lists {
		if !anchored[authority] {
			without = append(without, unprovenList{held.List, held.source})
		}
	}
	slices.SortFunc(without, func(a, b unprovenList) int { return cmp.Compare(a.Content, b.Content) })
	return without
}

// provenNow takes the lists out of those that wait that bear the name of an anchor, and returns those that one has signed.
func (t *trustLook) provenNow(sources []string) []heldList {
	var proven []heldList
	t.held.unproven.lists = slices.DeleteFunc(t.held.unproven.lists, func(list unprovenList) bool {
		if !t.namesAnchor(list.List) {
			return false
		}
		verified, err := t.verifyList(list.List)
		held := heldList{Verified: verified, source: list.source}
		if err == nil && slices.Contains(sources, list.source) && t.checkAge(held) == nil {
			t.see(held)
			proven = append(proven, held)
		}
		return true
	})
	return slices.DeleteFunc(proven, func(l heldList) bool { return t.checkAge(l) != nil })
}

// givesOlder reports, and tells people, that a source gives a list of an unknown authority that it gave a newer one of.
func (t *trustLook) givesOlder(source string) bool {
	older := false
	held := newestOf(ofSource(t.held.unproven.lists, source))
	for claim, list := range newestOf(ofSource(t.holding.unproven.lists, source)) {
		newer, found := held[claim]
		switch {
		case found && newer.Number.Cmp(list.Number) == 0 && newer.Content != list.Content:
			t.fault("its revocation list: %s: the list of %q has the number %s, under which another one was seen: the later of the two counts",
				source, list.Issuer, list.Number)
		case found && newer.Number.Cmp(list.Number) > 0:
			older = true
			t.fault("its revocation list: %s: the list of %q has the number %s, and %s was seen, which counts if that authority has signed it",
				source, list.Issuer, list.Number, newer.Number)
		}
	}
	return older
}

// saveWaiting writes what waits, together with what another process has written meanwhile.
func (t *trustLook) saveWaiting(sources []string, given []unprovenList, met []*x509.Certificate) {
	others, writable := t.kept()
	others.lists = slices.DeleteFunc(others.lists, func(l unprovenList) bool { return t.namesAnchor(l.List) })
	t.holding.unproven = t.held.unproven.join(others).keep(sources, given, met)
	t.holding.saved = t.holding.unproven.hash()
	if !writable {
		return
	}
	if err := t.state.writeWaiting(t.name, t.holding.unproven); err != nil {
		t.holding.saved = "" // try again
		t.logger.Warn("lists of a truststore's intermediates cannot be kept over a restart", "truststore", t.name, "error", err)
	}
}
