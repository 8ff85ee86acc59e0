package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"

	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// keysFromFile reads the key set of --keys.
func keysFromFile(path string) (*jose.KeySet, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, usageError{fmt.Errorf("--keys: %w", err)}
	}
	keys, err := usableKeys(content)
	if err != nil {
		return nil, usageError{fmt.Errorf("--keys: %s: %w", path, err)}
	}
	return keys, nil
}

// usableKeys parses a key set. One without a key that can be used is none.
func usableKeys(content []byte) (*jose.KeySet, error) {
	keys, leftOut, err := jose.ParseKeySet(content)
	if err != nil {
		return nil, err
	}
	if err := keys.Usable(leftOut); err != nil {
		return nil, err
	}
	return keys, nil
}

// publicMaterial is what of a configuration vouches for Providers, and can be read from here: their key sets, and the truststores of their
// servers. No secret is read, and no private key.
func publicMaterial(ctx context.Context, source string, model *config.Model) (*inventory.Snapshot, error) {
	all := pipeline.SpecsOf(model)
	specs := inventory.Specs{Truststores: all.Truststores, Authorities: all.Authorities, Providers: map[string]*sallyportv1.ProviderSpec{}}
	for name, spec := range all.Providers {
		specs.Providers[name] = &sallyportv1.ProviderSpec{Issuers: spec.GetIssuers(), KeySet: spec.GetKeySet()}
	}
	keeper, err := inventory.New(inventory.Config{Base: source, TruststoresOnly: true, Providers: true})
	if err != nil {
		return nil, err
	}
	return keeper.Apply(ctx, specs), nil
}

// keySetsOf are the key sets that are material of a configuration, by Provider, as far as they can be read and used.
func keySetsOf(material *inventory.Snapshot) map[string]*jose.KeySet {
	found := map[string]*jose.KeySet{}
	for name, p := range material.Providers {
		if keys, err := usableKeys(p.KeySet); err == nil {
			found[name] = keys
		}
	}
	return found
}

// fetchKeys gets the key set of a Provider: from its material, or from the Provider itself.
func fetchKeys(ctx context.Context, p *config.Provider, material *inventory.Snapshot) (*jose.KeySet, error) {
	if p.Mint != nil {
		return nil, errors.New("its keys are those of the running servers: give its key set with --keys")
	}
	if p.KeySet != "" {
		return keysOfMaterial(p, material)
	}
	roots, err := rootsOf(p, material)
	if err != nil {
		return nil, err
	}
	asked, err := idp.New(idp.Config{Issuer: p.Issuers[0], KeySetURI: p.KeySetURI, InsecureHTTP: p.InsecureHTTP, Roots: roots})
	if err != nil {
		return nil, err
	}
	defer asked.Close()
	fetched, err := asked.KeySet(ctx, idp.Validator{})
	if err != nil {
		return nil, err
	}
	return usableKeys(fetched.Data)
}

// keysOfMaterial is the key set that the configuration refers to.
func keysOfMaterial(p *config.Provider, material *inventory.Snapshot) (*jose.KeySet, error) {
	if found := material.Providers[p.Name]; found != nil && len(found.KeySet) > 0 {
		return usableKeys(found.KeySet)
	}
	return nil, problemOf(material, inventory.KindProvider, p.Name)
}

// rootsOf are the authorities that vouch for the Provider's server; nil for those of the system.
func rootsOf(p *config.Provider, material *inventory.Snapshot) (*x509.CertPool, error) {
	if p.Truststore == nil {
		return nil, nil //nolint:nilnil // the system's
	}
	store := material.Truststores[p.Truststore.Name]
	if store == nil {
		return nil, problemOf(material, inventory.KindTruststore, p.Truststore.Name)
	}
	pool := x509.NewCertPool()
	for _, anchor := range store.Anchors {
		pool.AddCert(anchor)
	}
	return pool, nil
}

// problemOf is why a resource's material is not there.
func problemOf(material *inventory.Snapshot, kind, name string) error {
	for _, problem := range material.Problems {
		if problem.Kind == kind && problem.Name == name {
			return &problem
		}
	}
	return fmt.Errorf("the %s %s cannot be read here", kind, name)
}
