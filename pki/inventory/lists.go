package inventory

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/revocation"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// holdings are a truststore's lists and registers, kept from one look to the next.
type holdings struct {
	lists     map[revocation.Authority]heldList
	unproven  waiting
	saved     string                  // the hash of what of unproven is kept over a restart; empty before anything was looked for
	met       []*x509.Certificate     // authorities of unproven lists, as callers have shown them
	registers map[string]heldRegister // by reference
}

// heldList is a list in force.
type heldList struct {
	revocation.Verified
	source     string
	staleSince time.Time
}

// lookAtLists finds the lists in force: what the sources have now, if it is no older than what was seen, and else the last
// good ones.
func (t *trustLook) lookAtLists() {
	spec := t.spec.GetRevocation()
	if spec == nil {
		return
	}
	t.found.Revocation = Revocation{Mode: modeOf(spec.GetMode()), Grace: spec.GetGrace().AsDuration()}
	t.holding.lists = make(map[revocation.Authority]heldList)
	proven := t.loadWaiting(spec.GetLists())
	for _, list := range newestFirst(append(proven, t.readLists(spec.GetLists())...)) {
		t.consider(list)
	}
	t.keepLists(spec.GetLists())
	t.keepUnproven(spec.GetLists())
	t.describeLists()
}

func modeOf(mode sallyportv1.RevocationMode) RevocationMode {
	switch mode {
	case sallyportv1.RevocationMode_REVOCATION_MODE_WHEN_PRESENT:
		return RevocationWhenPresent
	case sallyportv1.RevocationMode_REVOCATION_MODE_OFF:
		return RevocationOff
	default:
		return RevocationRequired
	}
}

func newestFirst(lists []heldList) []heldList {
	slices.SortStableFunc(lists, func(a, b heldList) int { return b.Number.Cmp(a.Number) })
	return lists
}

// readLists reads all sources, and returns what an anchor has signed and is not older than what was seen.
func (t *trustLook) readLists(sources []string) []heldList {
	var fitting []heldList
	for _, source := range sources {
		reference, err := material.ParseList(source)
		if err != nil {
			t.fault("its revocation list: %w", err)
			continue
		}
		reference = reference.In(t.config.Base)
		data, err := t.config.Store.Read(reference)
		var found []heldList
		if err == nil {
			found, err = t.openLists(source, data)
		}
		if err != nil {
			t.fault("its revocation list: %w", err)
		}
		fit := t.fitting(found)
		whole := err == nil && len(fit) == len(found)
		if whole && !t.givesOlder(source) {
			t.config.Store.Accept(reference, data)
		}
		if !whole {
			t.troubled = append(t.troubled, source)
			fit = append(fit, t.lastGoodLists(source, reference)...)
		}
		fitting = append(fitting, fit...)
	}
	return fitting
}

// lastGoodLists is what the process before took for good, for a source from which this one has had nothing yet.
func (t *trustLook) lastGoodLists(source string, reference material.Reference) []heldList {
	for _, held := range t.held.lists {
		if held.source == source {
			return nil
		}
	}
	data, found := t.config.Store.LastGood(reference)
	if !found {
		return nil
	}
	lists, err := t.openLists(source, data)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(lists, func(l heldList) bool { return t.checkAge(l) != nil })
}

// fitting leaves out lists that are too old, each with a word about it.
func (t *trustLook) fitting(lists []heldList) []heldList {
	var fit []heldList
	for _, list := range lists {
		if err := t.checkAge(list); err != nil {
			t.problems = append(t.problems, err)
			continue
		}
		fit = append(fit, list)
	}
	return fit
}

// checkAge refuses a list if a higher number was seen, or another list under the same one.
func (t *trustLook) checkAge(list heldList) error {
	known := t.seen.list(list.Authority())
	switch order := list.Number.Cmp(known.number()); {
	case order < 0:
		return fmt.Errorf("its revocation list: %s: the list of %q has the number %s, and %s was seen: an older one is not taken",
			list.source, list.Issuer, list.Number, known.Number)
	case order == 0 && known.Content != list.Content:
		return fmt.Errorf("its revocation list: %s: the list of %q has the number %s, under which another one was seen: it is not taken",
			list.source, list.Issuer, list.Number)
	}
	return nil
}

// openLists reads a source's lists and finds who signed them. Where one is bad, none of the source is taken, so that what
// it has is never half in force.
func (t *trustLook) openLists(source string, data []byte) ([]heldList, error) {
	lists, err := revocation.Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", source, err)
	}
	var verified []heldList
	var unproven []unprovenList
	for _, list := range lists {
		switch found, err := t.verifyList(list); {
		case err == nil:
			verified = append(verified, heldList{Verified: found, source: source})
		case t.found.Intermediates.FromCaller && !t.namesAnchor(list):
			unproven = append(unproven, unprovenList{list, source})
		default:
			return nil, fmt.Errorf("%s: the list of %q: %w", source, list.Issuer, err)
		}
	}
	t.holding.unproven.lists = append(t.holding.unproven.lists, unproven...)
	return verified, nil
}

// verifyList finds the anchor that has signed a list. Several may bear the name.
func (t *trustLook) verifyList(list *revocation.List) (revocation.Verified, error) {
	err := errors.New("it is of an authority that is not in the bundle")
	for _, anchor := range t.found.Anchors {
		if !list.Names(anchor) {
			continue
		}
		var verified revocation.Verified
		if verified, err = list.Verify(anchor); err == nil {
			return verified, nil
		}
	}
	return revocation.Verified{}, err
}

func (t *trustLook) namesAnchor(list *revocation.List) bool {
	return slices.ContainsFunc(t.found.Anchors, list.Names)
}

// consider puts a list in force, unless another source has given a newer one.
func (t *trustLook) consider(list heldList) {
	if err := t.checkAge(list); err != nil {
		t.problems = append(t.problems, err)
		return
	}
	t.see(list)
	if _, twice := t.holding.lists[list.Authority()]; !twice {
		t.holding.lists[list.Authority()] = list
	}
}

func (t *trustLook) see(list heldList) {
	t.seen.Lists[list.Authority().String()] = seenList{Number: list.Number.String(), Content: list.Content}
}

// keepLists takes over the last good list of each anchor that has none from this look, as long as its source is still
// one.
func (t *trustLook) keepLists(sources []string) {
	for _, anchor := range t.found.Anchors {
		authority := revocation.AuthorityOf(anchor)
		held, found := t.held.lists[authority]
		if _, fresh := t.holding.lists[authority]; fresh || !found || !slices.Contains(sources, held.source) {
			continue
		}
		if held.staleSince.IsZero() {
			held.staleSince = t.now
		}
		t.holding.lists[authority] = held
		if !slices.Contains(t.troubled, held.source) {
			t.fault("its revocation list: %s no longer gives the list of %q: the last good one, number %s, stays in force",
				held.source, held.Issuer, held.Number)
		}
	}
}

// describeLists fills in what the truststore says of its lists, and asks for another look when one changes by itself.
func (t *trustLook) describeLists() {
	r := &t.found.Revocation
	var verified []revocation.Verified
	var unproven []*revocation.List
	for _, held := range t.holding.lists {
		verified = append(verified, held.Verified)
		r.States = append(r.States, stateOf(held.List, held.source, held.staleSince, false))
		t.judgeList(held.List)
	}
	for _, held := range t.holding.unproven.lists {
		unproven = append(unproven, held.List)
	}
	r.Lists = revocation.NewSet(verified, unproven)
	t.describeUnproven(r)
	slices.SortFunc(r.States, func(a, b ListState) int {
		return cmp.Or(cmp.Compare(a.Issuer, b.Issuer), cmp.Compare(a.SHA256, b.SHA256), cmp.Compare(a.Source, b.Source))
	})
	r.contents = contentsOf(verified, unproven)
	if waiting := t.holding.unproven; len(waiting.gaps) > 0 || len(waiting.overrun) > 0 {
		r.Lists = r.Lists.WithGaps(waiting.gapsOf(t.found.Anchors))
		r.gaps = waiting.gapContent()
	}
	for _, anchor := range t.found.Anchors {
		if r.Lists.List(anchor) == nil {
			r.Missing = append(r.Missing, anchor.Subject.String())
		}
	}
	slices.Sort(r.Missing)
	r.Missing = slices.Compact(r.Missing)
	if r.Mode == RevocationRequired {
		for _, issuer := range r.Missing {
			t.fault("there is no good revocation list of %q: the certificates that it issued are refused with 503; give one, or leave the authority out of the bundle", issuer)
		}
	}
	r.ProxyPEM = t.proxyLists()
}

// describeUnproven tells of the newest list of each authority that callers present: older ones wait only in case the newest
// is a forgery.
func (t *trustLook) describeUnproven(r *Revocation) {
	newest := r.Lists.Unproven()
	for _, held := range t.holding.unproven.lists {
		if slices.Contains(newest, held.List) {
			r.States = append(r.States, stateOf(held.List, held.source, time.Time{}, true))
			t.judgeList(held.List)
		}
	}
	if r.Mode == RevocationRequired && t.found.Intermediates.FromCaller && len(newest) == 0 && !slices.ContainsFunc(t.found.Anchors, isIntermediate) {
		t.fault("there is no revocation list of an authority below those of the bundle: certificates that intermediates issued are refused with 503; give their lists as well")
	}
}

func isIntermediate(anchor *x509.Certificate) bool { return !ca.IsSelfSigned(anchor) }

// contentsOf are the hashes of all lists, sorted.
func contentsOf(verified []revocation.Verified, unproven []*revocation.List) []string {
	var contents []string
	for _, list := range verified {
		contents = append(contents, list.Content)
	}
	for _, list := range unproven {
		contents = append(contents, list.Content)
	}
	slices.Sort(contents)
	return contents
}

func stateOf(list *revocation.List, source string, staleSince time.Time, unproven bool) ListState {
	return ListState{
		Issuer: list.Issuer, Number: list.Number.String(), Source: source, ThisUpdate: list.ThisUpdate, NextUpdate: list.NextUpdate,
		Entries: list.Len(), SHA256: list.Content, StaleSince: staleSince, Unproven: unproven,
	}
}

// judgeList tells people of a list that does not count now, or will soon not.
func (t *trustLook) judgeList(list *revocation.List) {
	r := &t.found.Revocation
	t.dueIfAhead(list.ThisUpdate)
	for _, moment := range list.Moments(r.Grace) {
		t.dueIfAhead(moment)
	}
	ended := list.NextUpdate.UTC().Format(time.RFC3339)
	switch state := list.At(t.now, r.Grace); {
	case state == revocation.NotYet:
		t.fault("the revocation list %s of %q is of the future, %s: a clock is wrong, here or there", list.Number, list.Issuer, list.ThisUpdate.UTC().Format(time.RFC3339))
	case state == revocation.Expired:
		t.fault("the revocation list %s of %q has run out, at %s: publish a new one", list.Number, list.Issuer, ended)
	case !t.now.Before(list.NextUpdate):
		t.fault("the revocation list %s of %q has run out, at %s, and counts until %s (grace): publish a new one", list.Number, list.Issuer, ended,
			list.NextUpdate.Add(r.Grace).UTC().Format(time.RFC3339))
	}
}

// proxyLists are the lists with which a proxy refuses only whom it should; nil where it would refuse others. It looks for
// the list of every authority of a chain by the authority's name, up to the self-signed one, and refuses the handshake
// where one is missing or out of date.
func (t *trustLook) proxyLists() []byte {
	r := t.found.Revocation
	if r.Mode != RevocationRequired {
		return nil
	}
	named := make(map[string]*x509.Certificate, len(t.found.Anchors))
	for _, anchor := range t.found.Anchors {
		if other := named[string(anchor.RawSubject)]; other != nil && revocation.AuthorityOf(other) != revocation.AuthorityOf(anchor) {
			return nil
		}
		named[string(anchor.RawSubject)] = anchor
	}
	for _, anchor := range t.found.Anchors {
		list := r.Lists.List(anchor)
		current := list != nil && !t.now.Before(list.ThisUpdate) && list.At(t.now, 0) == revocation.Good
		if !current || !bytes.Equal(anchor.RawSubject, anchor.RawIssuer) && named[string(anchor.RawIssuer)] == nil {
			return nil
		}
	}
	return revocation.EncodePEM(r.Lists.Verified()...)
}
