package inventory

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
)

// look is one look at everything: from the specs and what the material is now to the next view. It begins with the
// authorities, because the others stand on them.
type look struct {
	*Keeper
	now      time.Time
	problems []Problem
	next     time.Time // when something is due by itself; zero if never

	authorities map[string]*authority
	truststores map[string]*Truststore
	holdings    map[string]holdings      // of truststores
	anchors     map[string]*ca.Authority // of truststores
	pairs       map[string]*KeyPair
	issued      map[string]issuance
	providers   map[string]*Provider
	held        map[string]heldProvider
	signs       map[string]string // the Provider that a signing key is of, by the key's ID
}

// refresh looks at everything and puts a new view in force if anything is different. Its caller holds the lock.
func (k *Keeper) refresh() {
	l := &look{
		Keeper:      k,
		now:         k.config.Clock(),
		authorities: make(map[string]*authority),
		truststores: make(map[string]*Truststore),
		holdings:    make(map[string]holdings),
		anchors:     make(map[string]*ca.Authority),
		pairs:       make(map[string]*KeyPair),
		issued:      make(map[string]issuance),
		providers:   make(map[string]*Provider),
		held:        make(map[string]heldProvider),
		signs:       make(map[string]string),
	}
	for _, name := range slices.Sorted(maps.Keys(k.specs.Authorities)) {
		l.lookAtAuthority(name, k.specs.Authorities[name])
	}
	for _, name := range slices.Sorted(maps.Keys(k.specs.Truststores)) {
		l.lookAtTruststore(name, k.specs.Truststores[name])
	}
	for _, name := range slices.Sorted(maps.Keys(k.specs.Certificates)) {
		l.lookAtCertificate(name, k.specs.Certificates[name])
	}
	for _, name := range slices.Sorted(maps.Keys(k.specs.Providers)) {
		l.lookAtProvider(name, k.specs.Providers[name])
	}
	k.publish(l)
}

// problem notes something that is wrong with a resource. Since is found out when all are known.
func (l *look) problem(kind, name string, err error, inForce bool) {
	l.problems = append(l.problems, Problem{Kind: kind, Name: name, Err: err, InForce: inForce})
}

// due asks for another look at a moment.
func (l *look) due(at time.Time) {
	if l.next.IsZero() || at.Before(l.next) {
		l.next = at
	}
}

// dueIfAhead asks for another look at a moment, unless it is over.
func (l *look) dueIfAhead(at time.Time) {
	if at.After(l.now) {
		l.due(at)
	}
}

// read parses a reference and returns its bytes.
func (l *look) read(text string) ([]byte, error) {
	reference, err := material.Parse(text)
	if err != nil {
		return nil, err
	}
	return l.config.Store.Read(reference.In(l.config.Base))
}

// refuse reports why a good certificate must not be trusted here, nor issue anything: it is for development, or bound up
// with the authority of our own processes.
func (l *look) refuse(certificate *x509.Certificate) error {
	if !l.config.AllowDevelopment && ca.IsDevelopment(certificate) {
		return errDevelopment
	}
	for _, forbidden := range l.config.ForbiddenAnchors {
		if related(certificate, forbidden) {
			return fmt.Errorf("%q belongs to the authority of our own proxies, %q: whoever it vouches for could be taken for one of them, so use another",
				certificate.Subject, forbidden.Subject)
		}
	}
	return nil
}

var errDevelopment = errors.New("`serve` refuses a development authority and what it issued: give an authority of your own as material (`sallyport ca init` makes one), or use `sallyport dev`")

// related reports whether two authorities have the same key, or one has signed the other.
func related(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo) || hasSigned(a, b) || hasSigned(b, a)
}

func hasSigned(issuer, certificate *x509.Certificate) bool {
	return issuer.CheckSignature(certificate.SignatureAlgorithm, certificate.RawTBSCertificate, certificate.Signature) == nil
}

// publish puts what a look has found in force and remembers it. Its caller holds the lock.
func (k *Keeper) publish(l *look) {
	problemsDiffer := k.dateProblems(l)
	content := l.content()
	before := k.view.Load()
	contentDiffers := content != k.memory.content || k.memory.generation == 0

	k.memory.content, k.memory.next = content, l.next
	k.memory.authorities, k.memory.truststores = l.authorities, l.truststores
	k.memory.holdings = l.holdings
	k.memory.pairs, k.memory.issued = l.pairs, l.issued
	k.memory.providers = l.held
	if contentDiffers {
		k.memory.generation++
	}
	after := &view{
		snapshot:    before.snapshot,
		superseded:  before.superseded,
		authorities: signers(l.authorities),
		truststores: l.anchors,
	}
	if contentDiffers || problemsDiffer {
		after.snapshot = &Snapshot{
			Generation: k.memory.generation, Truststores: l.truststores, Certificates: l.pairs, Providers: l.providers, Problems: l.problems,
		}
		after.superseded = make(chan struct{})
	}
	k.view.Store(after)
	if after.superseded != before.superseded {
		close(before.superseded)
	}
}

// dateProblems sorts the problems, says since when each is there, tells the log which came and went, and reports whether
// there is any difference.
func (k *Keeper) dateProblems(l *look) (differ bool) {
	dated := make(map[problemKey]time.Time, len(l.problems))
	for i := range l.problems {
		problem := &l.problems[i]
		key := problemKey{problem.Kind, problem.Name, problem.Error()}
		since, known := k.memory.problems[key]
		if !known {
			since = l.now
			k.logger.Warn("material is not as it should be", "kind", problem.Kind, "name", problem.Name, "error", problem.Err, "in_force", problem.InForce)
		}
		problem.Since, dated[key] = since, since
		differ = differ || !known
	}
	for key := range k.memory.problems {
		if _, still := dated[key]; !still {
			k.logger.Info("a problem with material is over", "kind", key.kind, "name", key.name, "problem", key.text)
			differ = true
		}
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Error(), b.Error()))
	})
	k.memory.problems = dated
	return differ
}

// content is a hash over everything that is in force.
func (l *look) content() string {
	var parts [][]byte
	for _, name := range slices.Sorted(maps.Keys(l.truststores)) {
		parts = append(parts, []byte(KindTruststore), []byte(name), []byte(l.truststores[name].Hash))
	}
	for _, name := range slices.Sorted(maps.Keys(l.pairs)) {
		parts = append(parts, []byte(KindCertificate), []byte(name), []byte(l.pairs[name].Hash))
	}
	for _, name := range slices.Sorted(maps.Keys(l.providers)) {
		parts = append(parts, []byte(KindProvider), []byte(name), []byte(l.providers[name].Hash))
	}
	return contentHash(parts...)
}
