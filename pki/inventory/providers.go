package inventory

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/signingkey"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// provenance is where a part of a Provider's material comes from.
type provenance struct {
	issuers, reference string
}

// standsFor reports whether what came from here may be used while the place that is named now gives nothing good. What was
// another issuer's, and from another place, is not: a secret would be sent to strangers, a key set would vouch for them.
func (p provenance) standsFor(now provenance) bool {
	return p.issuers == now.issuers || p.reference == now.reference
}

// part is something that a Provider needs, and where it came from. The zero value is nothing.
type part[T any] struct {
	value T
	from  provenance
	good  bool
}

// heldProvider is what a Provider has in force.
type heldProvider struct {
	secret     part[string]
	privateKey part[signingkey.Key]
	keySet     part[[]byte]
	signing    part[*signingkey.Set]
}

// providerLook is a look at one Provider.
type providerLook struct {
	*look
	name   string
	spec   *sallyportv1.ProviderSpec
	before heldProvider
}

// lookAtProvider looks at each part by itself: a key set that cannot be read keeps no secret from being rotated.
func (l *look) lookAtProvider(name string, spec *sallyportv1.ProviderSpec) {
	p := &providerLook{look: l, name: name, spec: spec, before: l.memory.providers[name]}
	held := heldProvider{
		secret:     settle(p, "its client's secret", spec.GetClient().GetSecret(), p.before.secret, p.findSecret),
		privateKey: settle(p, "its client's private key", spec.GetClient().GetPrivateKey(), p.before.privateKey, p.findPrivateKey),
		keySet:     p.lookAtKeySet(),
		signing:    p.lookAtSigningKeys(),
	}
	l.held[name] = held
	l.providers[name] = &Provider{
		Name: name, Secret: held.secret.value, PrivateKey: held.privateKey.value.Signer, KeySet: held.keySet.value,
		SigningKeys: held.signing.value, Hash: p.hash(held),
	}
}

// settle returns a part as it is found now, or else its last good value with a problem. What is named by no reference is
// nothing.
func settle[T any](p *providerLook, what, reference string, before part[T], find func(reference string) (T, error)) part[T] {
	if reference == "" {
		return part[T]{}
	}
	from := p.from(reference)
	found, err := find(reference)
	if err == nil {
		return part[T]{value: found, from: from, good: true}
	}
	kept := before.good && before.from.standsFor(from)
	p.problem(KindProvider, p.name, fmt.Errorf("%s: %w", what, err), kept)
	if kept {
		return before
	}
	return part[T]{}
}

func (p *providerLook) from(reference string) provenance {
	return provenance{issuers: strings.Join(p.spec.GetIssuers(), "\n"), reference: reference}
}

// findSecret reads a secret. One line break at its end is the editor's, and not the secret's.
func (p *providerLook) findSecret(reference string) (string, error) {
	if p.config.Substitute {
		return DevelopmentSecret(p.name), nil
	}
	data, err := p.read(reference)
	if err != nil {
		return "", err
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) == 0 {
		return "", errors.New("it is an empty line")
	}
	return string(data), nil
}

func (p *providerLook) findPrivateKey(reference string) (signingkey.Key, error) {
	if p.config.Substitute {
		return p.developmentClientKey()
	}
	data, err := p.read(reference)
	if err != nil {
		return signingkey.Key{}, err
	}
	return signingkey.Parse(data)
}

// developmentClientKey is one that is the same for as long as the process lives.
func (p *providerLook) developmentClientKey() (signingkey.Key, error) {
	known, found := p.memory.clientKeys[p.name]
	if found {
		return known, nil
	}
	made, err := signingkey.Generate(p.now)
	if err == nil {
		p.memory.clientKeys[p.name] = made
	}
	return made, err
}

// lookAtKeySet begins with what the process before took for good, where this one has seen nothing good yet.
func (p *providerLook) lookAtKeySet() part[[]byte] {
	reference := p.spec.GetKeySet()
	if p.config.Substitute || reference == "" {
		return part[[]byte]{}
	}
	before := p.before.keySet
	if from := p.from(reference); !before.good || !before.from.standsFor(from) {
		if data, found := p.lastGoodKeySet(reference); found {
			before = part[[]byte]{value: data, from: from, good: true}
		}
	}
	return settle(p, "its key set", reference, before, p.findKeySet)
}

func (p *providerLook) findKeySet(text string) ([]byte, error) {
	reference, err := material.Parse(text)
	if err != nil {
		return nil, err
	}
	reference = reference.In(p.config.Base)
	data, err := p.config.Store.Read(reference)
	if err == nil {
		err = checkKeySet(data)
	}
	if err != nil {
		return nil, err
	}
	p.config.Store.Accept(reference, data)
	return slices.Clone(data), nil
}

func (p *providerLook) lastGoodKeySet(text string) ([]byte, bool) {
	reference, err := material.Parse(text)
	if err != nil {
		return nil, false
	}
	data, found := p.config.Store.LastGood(reference.In(p.config.Base))
	return slices.Clone(data), found && checkKeySet(data) == nil
}

// checkKeySet looks at the form of a key set (RFC 7517, section 5), and leaves the keys to those who verify by them.
func checkKeySet(data []byte) error {
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	if json.Unmarshal(data, &set) != nil || len(set.Keys) == 0 {
		return errors.New("it is no key set: a JSON object with a list of `keys` is wanted (RFC 7517)")
	}
	return nil
}

// lookAtSigningKeys finds the keys of an issuer that is ourselves. Classes of tokens differ in their keys, so that one which
// is another Provider's already is not taken.
func (p *providerLook) lookAtSigningKeys() part[*signingkey.Set] {
	mint := p.spec.GetMint()
	if mint == nil {
		return part[*signingkey.Set]{}
	}
	find, named := p.materialKeys, strings.Join(mint.GetKeys(), "\n")
	if p.config.Substitute || named == "" {
		find, named = p.generatedKeys, "generated"
	}
	found := settle(p, "its signing keys", named, p.before.signing, func(string) (*signingkey.Set, error) {
		set, err := find()
		if err == nil {
			err = p.checkOwnKeys(set)
		}
		return set, err
	})
	if found.good {
		for _, key := range found.value.Published {
			p.signs[key.ID] = p.name
		}
		if !p.before.signing.good || p.before.signing.value.Hash != found.value.Hash {
			p.logger.Info("signing keys in force", "provider", p.name, "signs", found.value.Signing.ID, "published", len(found.value.Published))
		}
	}
	return found
}

func (p *providerLook) checkOwnKeys(set *signingkey.Set) error {
	for _, key := range set.Published {
		if other, taken := p.signs[key.ID]; taken && other != p.name {
			return fmt.Errorf("the key %s signs for the Provider %q already: give each its own", key.ID, other)
		}
	}
	return nil
}

func (p *providerLook) materialKeys() (*signingkey.Set, error) {
	var keys [][]byte
	for _, reference := range p.spec.GetMint().GetKeys() {
		data, err := p.read(reference)
		if err != nil {
			return nil, err
		}
		keys = append(keys, data)
	}
	return signingkey.FromMaterial(keys...)
}

// generatedKeys are those of the state folder. They rotate by themselves.
func (p *providerLook) generatedKeys() (*signingkey.Set, error) {
	ring := p.memory.rings[p.name]
	if ring == nil {
		path, err := p.state.signingPath(p.name, p.config.Substitute)
		if err != nil {
			return nil, err
		}
		ring = signingkey.Open(path)
		p.memory.rings[p.name] = ring
	}
	mint := p.spec.GetMint()
	set, until, err := ring.At(signingkey.Schedule{
		RotateEvery: mint.GetRotateEvery().AsDuration(), Lifetime: mint.GetLifetime().AsDuration(), Leeway: p.spec.GetLeeway().AsDuration(),
	}, p.now)
	if err != nil {
		return nil, err
	}
	p.due(until)
	return set, nil
}

// hash is over everything that a Provider has in force.
func (p *providerLook) hash(held heldProvider) string {
	mac := hmac.New(sha256.New, p.memory.salt[:])
	signing := ""
	if held.signing.good {
		signing = held.signing.value.Hash
	}
	content := contentHash([]byte(held.secret.value), []byte(held.privateKey.value.ID), held.keySet.value, []byte(signing))
	_, _ = mac.Write([]byte(content)) // a hash takes everything
	return hex.EncodeToString(mac.Sum(nil))
}
