package inventory

import (
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sallyport-project/sallyport/pki/material"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func (l *look) lookAtTruststore(name string, spec *sallyportv1.TruststoreSpec) {
	bundle, err := l.findBundle(name, spec)
	if err == nil {
		bundle, err = l.withoutRefused(bundle)
	}
	found := l.memory.truststores[name]
	if err == nil {
		found = newTruststore(name, bundle.Anchors)
	}
	for _, reason := range bundle.LeftOut {
		l.problem(KindTruststore, name, reason, found != nil)
	}
	if err != nil {
		l.problem(KindTruststore, name, err, found != nil)
	}
	if found == nil {
		return
	}
	l.truststores[name] = found
	for _, anchor := range found.Anchors {
		if anchor.NotAfter.After(l.now) {
			l.due(anchor.NotAfter.Add(soonest))
		}
	}
}

// findBundle reads a bundle, or takes an authority for one.
func (l *look) findBundle(name string, spec *sallyportv1.TruststoreSpec) (Bundle, error) {
	reference, err := material.Parse(spec.GetBundle())
	switch {
	case err == nil && reference.Scheme == material.Authority:
		return l.authorityBundle(name, reference.Value)
	case l.config.Substitute:
		authority, err := l.developmentAuthority(developmentKey{ofTruststore, name})
		if err != nil {
			return Bundle{}, err
		}
		l.anchors[name] = authority.signer
		return Bundle{Anchors: []*x509.Certificate{authority.certificate}}, nil
	case err != nil:
		return Bundle{}, err
	}
	data, err := l.read(spec.GetBundle())
	if err != nil {
		return Bundle{}, err
	}
	return ParseBundle(data, l.now)
}

func (l *look) authorityBundle(name, authorityName string) (Bundle, error) {
	authority := l.authorities[authorityName]
	if authority == nil {
		return Bundle{}, fmt.Errorf("there is no good Authority %q", authorityName)
	}
	if err := checkAnchor(authority.certificate, l.now); err != nil {
		return Bundle{}, fmt.Errorf("the Authority %q: %w", authorityName, err)
	}
	if authority.signer != nil {
		l.anchors[name] = authority.signer
	}
	return Bundle{Anchors: []*x509.Certificate{authority.certificate}}, nil
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
