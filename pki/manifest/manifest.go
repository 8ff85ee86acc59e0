package manifest

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/pki/signed"
)

// Suffix follows the reference of a bundle in the default reference of its manifest.
const Suffix = ".manifest"

// payloadType is that of version 1. Another version is another type.
const payloadType = "application/vnd.sallyport.truststore-manifest.v1+json"

// skew is by how much a manifest may have been made in the future, for verifiers whose clock is a little slow.
const skew = 5 * time.Minute

// The reasons for which a manifest is not accepted.
var (
	// ErrUnknownSigner: none of the signers has signed it as it stands.
	ErrUnknownSigner = signed.ErrUnknownSigner
	// ErrBundle: it is another bundle's.
	ErrBundle = errors.New("the manifest is for another bundle: push bundle and manifest together")
	// ErrTruststore: it names another Truststore.
	ErrTruststore = errors.New("the manifest is for another truststore")
	// ErrExpired: its time is over.
	ErrExpired = errors.New("the manifest has expired: push the bundle again")
	// ErrNotYet: it was made in the future, so a clock is wrong, here or where it was made.
	ErrNotYet = errors.New("the manifest was made in the future: a clock is wrong")
	// ErrOlder: a later generation has been seen.
	ErrOlder = errors.New("the manifest is of an older generation than one that was seen before")
)

// Manifest says which bundle is in force.
type Manifest struct {
	// Truststore is the name of the Truststore that the bundle is for; empty if it is for any that believes the signer.
	Truststore string `json:"truststore,omitempty"`
	// BundleSHA256 is the SHA-256 of the bundle's bytes, in lower-case hex, as HashBundle gives it.
	BundleSHA256 string `json:"bundle_sha256"`
	// Generation rises with each push. It begins with 1.
	Generation uint64 `json:"generation"`
	// Created and Expires bound when the manifest is accepted, in whole seconds.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
}

// HashBundle is what stands in a manifest for a bundle.
func HashBundle(bundle []byte) string {
	sum := sha256.Sum256(bundle)
	return hex.EncodeToString(sum[:])
}

// Sign makes the bytes to publish beside the bundle. It refuses a manifest that nobody would accept.
func Sign(manifest Manifest, signer crypto.Signer) ([]byte, error) {
	manifest.Created = manifest.Created.UTC().Truncate(time.Second)
	manifest.Expires = manifest.Expires.UTC().Truncate(time.Second)
	if err := manifest.check(); err != nil {
		return nil, fmt.Errorf("sign a manifest: %w", err)
	}
	payload, err := json.Marshal(manifest)
	if err != nil {
		return nil, fmt.Errorf("encode a manifest: %w", err)
	}
	data, err := signed.Sign(payloadType, payload, signer)
	if err != nil {
		return nil, fmt.Errorf("sign a manifest: %w", err)
	}
	return append(data, '\n'), nil
}

func (m Manifest) check() error {
	digest, err := hex.DecodeString(m.BundleSHA256)
	switch {
	case err != nil || len(digest) != sha256.Size || m.BundleSHA256 != hex.EncodeToString(digest):
		return errors.New("bundle_sha256 is not a SHA-256 in lower-case hex")
	case m.Generation == 0:
		return errors.New("the generation must be at least 1")
	case m.Created.IsZero() || !m.Expires.After(m.Created):
		return errors.New("it must expire after it was made")
	}
	return nil
}

// Expected is what a manifest is held against.
type Expected struct {
	// Signers are those who are believed. With none, nothing is accepted.
	Signers []crypto.PublicKey
	// Bundle is the bytes that the manifest must be for.
	Bundle []byte
	// Truststore is the name of the Truststore. A manifest that names none is for any.
	Truststore string
	// Now is the time of the judgement.
	Now time.Time
	// Floor is the lowest generation that is accepted: the highest that was seen before, which may be seen again.
	Floor uint64
}

// Read returns what a manifest says, if one of the signers has signed it. It judges neither time, generation nor bundle.
func Read(data []byte, signers []crypto.PublicKey) (Manifest, error) {
	payload, _, err := signed.Open(data, payloadType, signers)
	if err != nil {
		return Manifest{}, fmt.Errorf("read a manifest: %w", err)
	}
	var manifest Manifest
	if err := signed.Decode(payload, &manifest); err != nil {
		return Manifest{}, fmt.Errorf("read a manifest: %w", err)
	}
	if err := manifest.check(); err != nil {
		return Manifest{}, fmt.Errorf("read a manifest: %w", err)
	}
	return manifest, nil
}

// Verify returns the manifest if it is to be accepted. Else the error wraps one of this package's errors, unless the
// bytes are no manifest at all; where a signer is believed, the manifest is returned with the error, to tell people of it.
func Verify(data []byte, expected Expected) (Manifest, error) {
	manifest, err := Read(data, expected.Signers)
	if err != nil {
		return Manifest{}, err
	}
	switch {
	case manifest.Truststore != "" && manifest.Truststore != expected.Truststore:
		err = fmt.Errorf("%w: it names %q", ErrTruststore, manifest.Truststore)
	case manifest.Generation < expected.Floor:
		err = fmt.Errorf("%w: it is of generation %d, and %d was seen", ErrOlder, manifest.Generation, expected.Floor)
	case manifest.BundleSHA256 != HashBundle(expected.Bundle):
		err = ErrBundle
	case manifest.Created.After(expected.Now.Add(skew)):
		err = fmt.Errorf("%w: at %s", ErrNotYet, manifest.Created.Format(time.RFC3339))
	case !expected.Now.Before(manifest.Expires):
		err = fmt.Errorf("%w: it was valid until %s", ErrExpired, manifest.Expires.Format(time.RFC3339))
	}
	return manifest, err
}
