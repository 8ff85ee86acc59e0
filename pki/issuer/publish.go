package issuer

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/signed"
)

// What follows a publication's reference in those of its companions.
const (
	IndexSuffix = ".index"
	HeadSuffix  = ".head"
)

// Published is what was published last.
type Published struct {
	register.Publication
	// Objects are what was written, in order.
	Objects []PublishedObject
	// Warnings are for people: lists that could not be renewed.
	Warnings []string
}

// PublishedObject is one written object.
type PublishedObject struct {
	Reference material.Reference
	// Version is empty where the place keeps none.
	Version string
}

// published is what stands at the publications at a moment.
type published struct {
	// places are in the order of the settings.
	places []standing
	// lists are all that stand anywhere.
	lists []*x509.RevocationList
	// last is the newest index that is ours; nil if there is none.
	last *register.Index
}

// standing is what stands at one publication; an object that is not there has an empty ETag.
type standing struct {
	list, index, head material.Content
	// lists and parsed are what list and index hold.
	lists  []*x509.RevocationList
	parsed *register.Index
	// err is why nobody can tell what stands there, or why it must stay. Then the rest is empty.
	err error
}

// failed is why publications cannot be read or must stay.
func (p published) failed() error {
	var failures []error
	for _, at := range p.places {
		failures = append(failures, at.err)
	}
	return errors.Join(failures...)
}

// publishAttempts bounds how often we start again because somebody else publishes at the same time.
const publishAttempts = 20

// Publish makes a new revocation list of each authority that issues, a new index and a new head, and writes them to all
// publications. Their number is higher than any that is published or ever was by this home. Nothing that somebody else
// publishes meanwhile is overwritten: we then start again, from what the register says by then. A publication that fails
// keeps no other from being made; the error tells of all that failed, and the next PublishIfDue makes them good.
//
// The lists of offline roots are published as they are; RenewRootLists makes new ones. A publication where something
// else stands is refused, and so is a register that holds less than what was published.
func (i *Issuer) Publish(ctx context.Context) (Published, error) {
	for range publishAttempts {
		made, err := i.tryPublish(ctx)
		if errors.Is(err, material.ErrConflict) {
			continue
		}
		if err != nil {
			return Published{}, fmt.Errorf("publish the revocation list: %w", err)
		}
		i.config.Logger.Info("revocation list published", "number", made.Number, "next_update", made.NextUpdate, "entries", made.Head.Count)
		for _, warning := range made.Warnings {
			i.config.Logger.Warn("revocation list", "warning", warning)
		}
		return made, nil
	}
	return Published{}, errors.New("publish the revocation list: others publish all the time, so that ours never came first: try again later")
}

// tryPublish reads what stands there before it reads the register: whoever has published meanwhile is noticed by the
// condition of our writes, and whoever published before has seen no more of the register than we do.
func (i *Issuer) tryPublish(ctx context.Context) (Published, error) {
	if err := i.loadGenerations(); err != nil { // another process may have brought one in
		return Published{}, err
	}
	before := i.readPublished(ctx)
	if !slices.ContainsFunc(before.places, func(at standing) bool { return at.err == nil }) {
		return Published{}, before.failed()
	}
	current, err := i.Register(ctx)
	if err != nil {
		return Published{}, err
	}
	if before.last != nil {
		if err := current.Check(before.last.Head); err != nil {
			return Published{}, err
		}
	}
	number, err := i.nextNumber(before)
	if err != nil {
		return Published{}, err
	}
	now := i.config.Clock().UTC().Truncate(time.Second)
	made := Published{Publication: register.Publication{
		Number: number, ThisUpdate: now, NextUpdate: now.Add(time.Duration(i.settings.ListLifetime)), Head: current.Head(),
	}}
	documents, err := i.makeDocuments(ctx, current, before, &made)
	if err != nil {
		return Published{}, err
	}
	failures := []error{before.failed()}
	for position, place := range i.publish {
		if at := before.places[position]; at.err == nil {
			failures = append(failures, i.write(ctx, place, at, documents, &made))
		}
	}
	if len(made.Objects) > 0 { // the number is used
		failures = append(failures, i.remember(state{Head: made.Head, Number: made.Number}))
	}
	return made, errors.Join(failures...)
}

// documents are what one publication consists of.
type documents struct {
	list, index, head []byte
}

func (i *Issuer) makeDocuments(ctx context.Context, current *register.Register, before published, made *Published) (documents, error) {
	var all documents
	active, err := i.active()
	if err != nil {
		return documents{}, err
	}
	for _, g := range i.inForce() {
		authority, err := i.authority(ctx, g, issuingName)
		if err != nil {
			return documents{}, err
		}
		entries, err := i.revokedBy(current, authority.Certificate(), made.ThisUpdate)
		if err != nil {
			return documents{}, err
		}
		list, err := authority.SignRevocationList(ca.RevocationList{
			Number: new(big.Int).SetUint64(made.Number), ThisUpdate: made.ThisUpdate, NextUpdate: made.NextUpdate, Entries: entries,
		})
		if err != nil {
			return documents{}, err
		}
		all.list = append(all.list, ca.EncodeRevocationList(list)...)
		if err := i.addRootList(g, current, before, &all, made); err != nil {
			return documents{}, err
		}
		key := authority.KeyPair().PrivateKey
		line, err := register.SignIndex(made.Publication, i.knownFrom(current, authority.Certificate(), made.ThisUpdate), key)
		if err != nil {
			return documents{}, err
		}
		all.index = append(all.index, line...)
		if g.number == active.number {
			if all.head, err = register.SignHead(made.Head, key); err != nil {
				return documents{}, err
			}
		}
	}
	if all.head == nil {
		return documents{}, fmt.Errorf("generation %d issues and was retired at the same time: %w", active.number, material.ErrConflict)
	}
	return all, nil
}

// addRootList takes over the list of an offline root. It warns in time of its end, and of revocations that it lacks.
func (i *Issuer) addRootList(g *generation, current *register.Register, before published, all *documents, made *Published) error {
	if g.root == nil || g.rootIssues() {
		return nil
	}
	list, err := i.latestRootList(g, before)
	if err != nil {
		return err
	}
	name := commonName(g.root)
	if list == nil {
		made.Warnings = append(made.Warnings, fmt.Sprintf("there is no list of the root %q: its key must be here once to sign one", name))
		return nil
	}
	if left := list.NextUpdate.Sub(made.ThisUpdate); left < time.Duration(i.settings.RootListLifetime)/6 {
		made.Warnings = append(made.Warnings, fmt.Sprintf("the list of the root %q runs out at %s: bring its key here to sign a new one",
			name, list.NextUpdate.UTC().Format(time.RFC3339)))
	}
	revoked, err := i.revokedBy(current, g.root, made.ThisUpdate)
	if err != nil {
		return err
	}
	if len(revoked) > len(list.RevokedCertificateEntries) {
		made.Warnings = append(made.Warnings, fmt.Sprintf("the list of the root %q lacks a revocation that the register holds: bring its key here to sign a new one", name))
	}
	all.list = append(all.list, ca.EncodeRevocationList(list.Raw)...)
	return nil
}

// write replaces what stood at one publication. The list comes first: a revocation is more urgent than an index.
func (i *Issuer) write(ctx context.Context, place material.Reference, before standing, all documents, made *Published) error {
	for _, object := range []struct {
		reference material.Reference
		data      []byte
		before    material.Content
	}{
		{place, all.list, before.list},
		{place.Beside(IndexSuffix), all.index, before.index},
		{place.Beside(HeadSuffix), all.head, before.head},
	} {
		condition := material.Condition{IfMatch: object.before.ETag, IfAbsent: object.before.ETag == ""}
		version, err := i.objects.Put(ctx, object.reference, object.data, condition)
		if err != nil {
			return err
		}
		made.Objects = append(made.Objects, PublishedObject{Reference: object.reference, Version: version.ID})
	}
	return nil
}

// readPublished reads what stands at all publications. What cannot be read or is not ours has its error in its place.
func (i *Issuer) readPublished(ctx context.Context) published {
	var found published
	for _, place := range i.publish {
		at, err := i.readStanding(ctx, place)
		if err != nil {
			at = standing{err: err}
		}
		found.places = append(found.places, at)
		found.lists = append(found.lists, at.lists...)
		if at.parsed != nil && (found.last == nil || at.parsed.Number > found.last.Number) {
			found.last = at.parsed
		}
	}
	return found
}

func (i *Issuer) readStanding(ctx context.Context, place material.Reference) (at standing, err error) {
	if at.list, err = i.get(ctx, place); err != nil {
		return standing{}, err
	}
	if at.index, err = i.get(ctx, place.Beside(IndexSuffix)); err != nil {
		return standing{}, err
	}
	if at.head, err = i.get(ctx, place.Beside(HeadSuffix)); err != nil {
		return standing{}, err
	}
	err = i.judge(place, &at)
	return at, err
}

// get returns empty content where there is nothing yet.
func (i *Issuer) get(ctx context.Context, reference material.Reference) (material.Content, error) {
	content, err := i.objects.Get(ctx, reference)
	if errors.Is(err, fs.ErrNotExist) {
		return material.Content{}, nil
	}
	return content, err
}

// judge parses what stands at a publication. What is not ours is refused.
func (i *Issuer) judge(place material.Reference, at *standing) (err error) {
	authorities := i.everyAuthority()
	if at.list.ETag != "" {
		if at.lists, err = parseLists(at.list.Data); err != nil {
			return fmt.Errorf("%s holds something else than revocation lists, and is not overwritten: %w", place, err)
		}
		for _, list := range at.lists {
			if !signedByAny(list, authorities) {
				return fmt.Errorf("%s holds a list of another authority, %q, and is not overwritten", place, list.Issuer)
			}
		}
	}
	if at.index.ETag == "" {
		return nil
	}
	at.parsed, err = register.ParseIndex(at.index.Data, authorities)
	switch {
	case errors.Is(err, signed.ErrUnknownSigner):
		return fmt.Errorf("%s holds the index of another authority, and is not overwritten", place.Beside(IndexSuffix))
	case err != nil:
		return fmt.Errorf("%s: %w; remove it to have it made anew", place.Beside(IndexSuffix), err)
	}
	return nil
}

// everyAuthority is every certificate that has ever signed lists in this home.
func (i *Issuer) everyAuthority() []*x509.Certificate {
	i.mu.Lock()
	defer i.mu.Unlock()
	var authorities []*x509.Certificate
	for _, generations := range [][]*generation{i.generations, i.retired} {
		for _, generation := range generations {
			authorities = append(authorities, generation.authorities()...)
		}
	}
	return authorities
}

func signedByAny(list *x509.RevocationList, authorities []*x509.Certificate) bool {
	for _, authority := range authorities {
		if bytes.Equal(list.RawIssuer, authority.RawSubject) && list.CheckSignatureFrom(authority) == nil {
			return true
		}
	}
	return false
}

// nextNumber is higher than every number that is known.
func (i *Issuer) nextNumber(before published) (uint64, error) {
	known, err := i.readState()
	if err != nil {
		return 0, err
	}
	highest := new(big.Int).SetUint64(known.Number)
	for _, list := range before.lists {
		if list.Number.Cmp(highest) > 0 {
			highest = list.Number
		}
	}
	if before.last != nil && new(big.Int).SetUint64(before.last.Number).Cmp(highest) > 0 {
		highest = new(big.Int).SetUint64(before.last.Number)
	}
	next := new(big.Int).Add(highest, big.NewInt(1))
	if !next.IsUint64() {
		return 0, fmt.Errorf("the published list has the number %s, and a higher one than %d cannot be given: publish at another place", highest, ^uint64(0))
	}
	return next.Uint64(), nil
}
