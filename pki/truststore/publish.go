package truststore

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/sallyport-project/sallyport/pki/manifest"
	"github.com/sallyport-project/sallyport/pki/material"
)

// DefaultManifestLifetime is how long a manifest is accepted, unless told otherwise. Before it is over, somebody must push
// again, the same bundle if need be.
const DefaultManifestLifetime = 365 * 24 * time.Hour

var (
	// ErrManifest is wrapped by the error of Push where the bundle is published and its manifest is not. Gateways that demand
	// one keep what they have; pushing again ends it.
	ErrManifest = errors.New("the bundle was written and its manifest was not, so gateways that demand one keep what they have: push again")
	// ErrSigner is wrapped where a manifest is published and cannot be followed by another of ours.
	ErrSigner = errors.New("a signed manifest is published beside the bundle")
)

// Publisher publishes the bundle of one truststore.
type Publisher struct {
	Objects material.Objects
	// Bundle is where it is published, by no version; Manifest where its manifest is, beside the bundle if zero.
	Bundle, Manifest material.Reference
	// Truststore is the name that manifests give; empty for any.
	Truststore string
	// Signer signs manifests. Without one none is written, and a truststore that has one is left alone.
	Signer crypto.Signer
	// Believed are others whose manifests count when the last generation is looked up: the key before this one.
	Believed []crypto.PublicKey
	// ManifestLifetime is DefaultManifestLifetime if zero.
	ManifestLifetime time.Duration
	// Generation is the least generation of a manifest, where what is published does not tell; 1 if zero.
	Generation uint64
	// Clock is time.Now if nil.
	Clock func() time.Time
}

// Current is what is published now.
type Current struct {
	// Bundle is empty, with the zero Version, where nothing is.
	Bundle material.Content
	// manifest likewise.
	manifest material.Content
}

// Published is what Push has written.
type Published struct {
	// Bundle is the version in force; BundleWritten is not set where it was the same before.
	Bundle        material.Version
	BundleWritten bool
	// Manifest was written last, and is nil where there is none.
	Manifest *manifest.Manifest
	// ManifestVersion is its object's.
	ManifestVersion material.Version
}

// Look reads what is published.
func (p Publisher) Look(ctx context.Context) (Current, error) {
	if p.Bundle.AtVersion("") != p.Bundle {
		return Current{}, fmt.Errorf("%s is one version, which stays as it is: leave the version out", p.Bundle)
	}
	bundle, err := p.get(ctx, p.Bundle)
	if err != nil {
		return Current{}, err
	}
	published, err := p.get(ctx, p.manifestReference())
	if err != nil {
		return Current{}, fmt.Errorf("the manifest: %w", err)
	}
	return Current{Bundle: bundle, manifest: published}, nil
}

// Exists tells whether a bundle is published.
func (c Current) Exists() bool { return c.Bundle.ETag != "" }

func (p Publisher) manifestReference() material.Reference {
	if p.Manifest != (material.Reference{}) {
		return p.Manifest
	}
	return p.Bundle.Beside(manifest.Suffix)
}

func (p Publisher) get(ctx context.Context, reference material.Reference) (material.Content, error) {
	content, err := p.Objects.Get(ctx, reference)
	if errors.Is(err, fs.ErrNotExist) {
		return material.Content{}, nil
	}
	return content, err
}

// Push publishes a bundle in the place of what Look returned. Where somebody else has published since, nothing is written,
// and the error wraps material.ErrConflict.
//
// The bundle goes first, because its condition is what decides between two operators; the manifest, signed before anything
// is written, follows at once. A gateway that looks in between keeps what it has.
func (p Publisher) Push(ctx context.Context, bundle []byte, current Current) (Published, error) {
	next, signed, err := p.sign(bundle, current)
	if err != nil {
		return Published{}, err
	}
	published := Published{Bundle: current.Bundle.Version, Manifest: next}
	if !current.Exists() || !bytes.Equal(current.Bundle.Data, bundle) {
		published.Bundle, err = p.Objects.Put(ctx, p.Bundle, bundle, conditionOf(current.Bundle))
		if err != nil {
			return Published{}, explained(err)
		}
		published.BundleWritten = true
	}
	if signed == nil {
		return published, nil
	}
	published.ManifestVersion, err = p.Objects.Put(ctx, p.manifestReference(), signed, conditionOf(current.manifest))
	switch {
	case err != nil && published.BundleWritten:
		return published, fmt.Errorf("%w: %w", ErrManifest, err)
	case err != nil:
		return published, explained(err)
	}
	return published, nil
}

// conditionOf demands that what was looked at is still there.
func conditionOf(seen material.Content) material.Condition {
	if seen.ETag == "" {
		return material.Condition{IfAbsent: true}
	}
	return material.Condition{IfMatch: seen.ETag}
}

func explained(err error) error {
	if errors.Is(err, material.ErrConflict) {
		return fmt.Errorf("nothing was published: %w; see what is there now with `sallyport truststore diff`, and push again", err)
	}
	return err
}

// sign makes the manifest that follows the published one; nil where nobody signs.
func (p Publisher) sign(bundle []byte, current Current) (*manifest.Manifest, []byte, error) {
	if p.Signer == nil {
		if current.manifest.ETag != "" {
			return nil, nil, fmt.Errorf("%w (%s): sign the next one with --signing-key, or remove it if no gateway demands it", ErrSigner, p.manifestReference())
		}
		return nil, nil, nil
	}
	generation := max(p.Generation, 1)
	if current.manifest.ETag != "" {
		last, err := manifest.Read(current.manifest.Data, append([]crypto.PublicKey{p.Signer.Public()}, p.Believed...))
		switch {
		case err == nil:
			generation = max(generation, last.Generation+1)
		case p.Generation == 0:
			return nil, nil, fmt.Errorf("%w (%s), and its generation cannot be believed: %w. Give the key that signed it with --signer, or a generation that no gateway has seen with --generation",
				ErrSigner, p.manifestReference(), err)
		}
	}
	now := p.now().UTC().Truncate(time.Second)
	lifetime := p.ManifestLifetime
	if lifetime == 0 {
		lifetime = DefaultManifestLifetime
	}
	next := manifest.Manifest{
		Truststore: p.Truststore, BundleSHA256: manifest.HashBundle(bundle), Generation: generation, Created: now, Expires: now.Add(lifetime),
	}
	signed, err := manifest.Sign(next, p.Signer)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the manifest: %w", err)
	}
	return &next, signed, nil
}

func (p Publisher) now() time.Time {
	if p.Clock == nil {
		return time.Now()
	}
	return p.Clock()
}
