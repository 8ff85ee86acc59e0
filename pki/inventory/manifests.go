package inventory

import (
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/sallyport-project/sallyport/pki/manifest"
	"github.com/sallyport-project/sallyport/pki/material"
)

// checkedManifest is a manifest that fits its bundle.
type checkedManifest struct {
	manifest.Manifest
	reference material.Reference
	data      []byte
}

// checkManifest wants one of the signers to have signed a manifest of this bundle: not expired, of no lower generation
// than one that was seen, and of no other bundle than was seen under its generation. Without signers it returns nil.
func (t *trustLook) checkManifest(bundle []byte, manifestOf func(material.Reference) ([]byte, bool)) (*checkedManifest, error) {
	if len(t.spec.GetSigners()) == 0 {
		return nil, nil
	}
	signers, err := t.signers()
	if err != nil {
		return nil, err
	}
	reference, err := manifestReference(t.spec.GetBundle(), t.spec.GetManifest())
	if err != nil {
		return nil, err
	}
	reference = reference.In(t.config.Base)
	data, found := manifestOf(reference)
	if !found {
		return nil, fmt.Errorf("the bundle is not used without its signed manifest, %s, which cannot be read: `sallyport truststore push` writes both", reference)
	}
	read, err := manifest.Verify(data, manifest.Expected{
		Signers: signers, Bundle: bundle, Truststore: t.name, Now: t.now, Floor: t.seen.Manifest.Generation,
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("the bundle is not used, because of its manifest %s: %w", reference, err)
	case read.Generation == t.seen.Manifest.Generation && read.BundleSHA256 != t.seen.Manifest.BundleSHA256:
		return nil, fmt.Errorf("the bundle is not used: generation %d of its manifest %s was seen with another bundle", read.Generation, reference)
	}
	return &checkedManifest{Manifest: read, reference: reference, data: data}, nil
}

// remember notes the generation of a manifest whose bundle is in force now.
func (t *trustLook) remember(checked *checkedManifest) *Manifest {
	if checked == nil {
		return nil
	}
	t.seen.Manifest = seenManifest{Generation: checked.Generation, BundleSHA256: checked.BundleSHA256}
	t.config.Store.Accept(checked.reference, checked.data)
	t.dueIfAhead(checked.Expires)
	return &Manifest{
		Generation: checked.Generation, Created: checked.Created, Expires: checked.Expires,
		document: checked.data, signers: t.spec.GetSigners(),
	}
}

// vouchedFor reports whether what is in force was accepted as the spec demands now. Signers that are named later, or
// other keys in their place, count at once: they may be there because somebody else has written the bundle. Where the
// signers are the same by name and cannot be read now, nothing speaks against what they accepted.
func (t *trustLook) vouchedFor(before *Truststore) bool {
	reference, err := material.Parse(t.spec.GetBundle())
	switch {
	case len(t.spec.GetSigners()) == 0, t.config.Substitute, err == nil && reference.Scheme == material.Authority:
		return true
	case before.Manifest == nil:
		return false
	}
	keys, err := t.signers()
	if err != nil {
		return slices.Equal(before.Manifest.signers, t.spec.GetSigners())
	}
	_, err = manifest.Read(before.Manifest.document, keys)
	return err == nil
}

// readManifest gives the manifest as it is now.
func (t *trustLook) readManifest(reference material.Reference) ([]byte, bool) {
	data, err := t.config.Store.Read(reference)
	if err != nil {
		t.problems = append(t.problems, err)
	}
	return data, err == nil
}

// signers reads the keys that are believed. One that cannot be read makes it an error: with fewer signers than the
// configuration names, an honest manifest may look forged.
func (t *trustLook) signers() ([]crypto.PublicKey, error) {
	var keys []crypto.PublicKey
	for _, text := range t.spec.GetSigners() {
		data, err := t.read(text)
		if err != nil {
			return nil, fmt.Errorf("the signer of its manifests: %w", err)
		}
		found, err := manifest.ParseSigners(data)
		if err != nil {
			return nil, fmt.Errorf("the signer of its manifests, %s: %w", text, err)
		}
		keys = append(keys, found...)
	}
	return keys, nil
}

// manifestReference is where a bundle's manifest is: where the configuration says, or beside the bundle.
func manifestReference(bundle, written string) (material.Reference, error) {
	if written != "" {
		return material.Parse(written)
	}
	reference, err := material.Parse(bundle)
	if err != nil {
		return material.Reference{}, err
	}
	beside := reference.Beside(manifest.Suffix)
	if beside == reference {
		return material.Reference{}, errors.New("nothing lies beside its bundle: say under `manifest` where the signed manifest is")
	}
	return beside, nil
}
