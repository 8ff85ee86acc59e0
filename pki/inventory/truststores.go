package inventory

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sallyport-project/sallyport/pki/material"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// trustLook is one look at one truststore: its bundle, and with it the lists and registers that go into force with it.
type trustLook struct {
	*look
	name string
	spec *sallyportv1.TruststoreSpec
	// found is what comes of it; nil until there are anchors.
	found *Truststore
	// held and holding are the lists and registers from the look before, and from this one.
	held, holding holdings
	// seen is what was seen of rising numbers, in this process and those before.
	seen *seen
	// troubled are the sources of lists that have given less than they should, about which people have been told.
	troubled []string
	problems []error
}

func (l *look) lookAtTruststore(name string, spec *sallyportv1.TruststoreSpec) {
	t := &trustLook{look: l, name: name, spec: spec, held: l.memory.holdings[name], seen: l.seenOf(name)}
	t.lookAtBundle()
	if t.found != nil && !l.config.Substitute {
		t.lookAtLists()
		t.lookAtRegisters()
	}
	if t.found != nil {
		t.found.seal()
		l.truststores[name] = t.found
		l.holdings[name] = t.holding
		for _, anchor := range t.found.Anchors {
			l.dueIfAhead(anchor.NotAfter.Add(soonest))
		}
	}
	if t.found == nil {
		l.holdings[name] = t.held // for when it comes back
	}
	t.tellOfUnreadable()
	for _, err := range t.problems {
		l.problem(KindTruststore, name, err, t.found != nil)
	}
	l.saveSeen(name, t.seen)
}

// fault notes that something is wrong with the truststore, which may be in force nevertheless.
func (t *trustLook) fault(format string, args ...any) {
	t.problems = append(t.problems, fmt.Errorf(format, args...))
}

// opened is a bundle that was accepted.
type opened struct {
	Bundle
	manifest *Manifest
}

// lookAtBundle finds the anchors: those of the bundle as it is now, or the last good ones, or at the beginning those that
// the process before took for good.
func (t *trustLook) lookAtBundle() {
	bundle, err := t.openBundle()
	t.problems = append(t.problems, bundle.LeftOut...)
	if err == nil {
		t.found = &Truststore{Name: t.name, Anchors: bundle.Anchors, Manifest: bundle.manifest}
	} else {
		t.problems = append(t.problems, err)
		t.found = t.lastGoodBundle()
	}
	if t.found == nil {
		return
	}
	t.found.Intermediates = intermediatesOf(t.spec)
	if t.found.Manifest != nil && len(t.spec.GetSigners()) == 0 {
		t.found.Manifest = nil
	}
}

// lastGoodBundle is what was in force before; nil if nothing was. When it came into force it was good, and so was its
// manifest: that one has run out since does not take it away, but that its signers are none of the spec's does.
func (t *trustLook) lastGoodBundle() *Truststore {
	before := t.memory.truststores[t.name]
	if before != nil && !t.vouchedFor(before) {
		t.fault("what was in force was not accepted by a manifest of the signers that are named now: it is not kept")
		before = nil
	}
	if before != nil {
		return &Truststore{Name: t.name, Anchors: before.Anchors, Manifest: before.Manifest}
	}
	reference, err := material.Parse(t.spec.GetBundle())
	if err != nil || t.config.Substitute {
		return nil
	}
	data, found := t.config.Store.LastGood(reference.In(t.config.Base))
	if !found {
		return nil
	}
	bundle, err := t.accept(data, t.config.Store.LastGood)
	if err != nil {
		t.fault("what was kept of it cannot be used: %w", err)
		return nil
	}
	return &Truststore{Name: t.name, Anchors: bundle.Anchors, Manifest: bundle.manifest}
}

// openBundle reads the bundle, or takes an authority for one.
func (t *trustLook) openBundle() (opened, error) {
	reference, err := material.Parse(t.spec.GetBundle())
	switch {
	case err == nil && reference.Scheme == material.Authority:
		bundle, err := t.authorityBundle(reference.Value)
		return opened{Bundle: bundle}, err
	case t.config.Substitute:
		authority, err := t.developmentAuthority(developmentKey{ofTruststore, t.name})
		if err != nil {
			return opened{}, err
		}
		t.anchors[t.name] = authority.signer
		return opened{Bundle: Bundle{Anchors: []*x509.Certificate{authority.certificate}}}, nil
	case err != nil:
		return opened{}, err
	}
	reference = reference.In(t.config.Base)
	data, err := t.config.Store.Read(reference)
	if err != nil {
		return opened{}, err
	}
	bundle, err := t.accept(data, t.readManifest)
	if err == nil {
		t.config.Store.Accept(reference, data)
	}
	return bundle, err
}

// accept judges a bundle's bytes: first by their manifest, where one is demanded. A generation counts as seen only if the
// bundle is good as well.
func (t *trustLook) accept(data []byte, manifestOf func(material.Reference) ([]byte, bool)) (opened, error) {
	checked, err := t.checkManifest(data, manifestOf)
	if err != nil {
		return opened{}, err
	}
	bundle, err := ParseBundle(data, t.now)
	if err == nil {
		bundle, err = t.withoutRefused(bundle)
	}
	if err != nil {
		return opened{Bundle: bundle}, err
	}
	return opened{Bundle: bundle, manifest: t.remember(checked)}, nil
}

func (t *trustLook) authorityBundle(authorityName string) (Bundle, error) {
	authority := t.authorities[authorityName]
	if authority == nil {
		return Bundle{}, fmt.Errorf("there is no good Authority %q", authorityName)
	}
	if err := checkAnchor(authority.certificate, t.now); err != nil {
		return Bundle{}, fmt.Errorf("the Authority %q: %w", authorityName, err)
	}
	if authority.signer != nil {
		t.anchors[t.name] = authority.signer
	}
	return t.withoutRefused(Bundle{Anchors: []*x509.Certificate{authority.certificate}})
}

// withoutRefused leaves development authorities out, and refuses the whole bundle for an anchor that is bound up with our
// own processes: that is no accident of one certificate.
func (l *look) withoutRefused(bundle Bundle) (Bundle, error) {
	kept := Bundle{LeftOut: bundle.LeftOut}
	for _, anchor := range bundle.Anchors {
		switch err := l.refuse(anchor); {
		case err == nil:
			kept.Anchors = append(kept.Anchors, anchor)
		case errors.Is(err, errDevelopment):
			kept.LeftOut = append(kept.LeftOut, fmt.Errorf("%q is left out: %w", anchor.Subject, err))
		default:
			return kept, err
		}
	}
	if len(kept.Anchors) == 0 {
		return kept, errNoAnchor
	}
	return kept, nil
}

func intermediatesOf(spec *sallyportv1.TruststoreSpec) Intermediates {
	if !spec.GetIntermediates().GetFromCaller() {
		return Intermediates{}
	}
	depth := int(spec.GetIntermediates().GetMaxDepth())
	if depth == 0 {
		depth = DefaultMaxDepth
	}
	return Intermediates{FromCaller: true, MaxDepth: depth}
}
