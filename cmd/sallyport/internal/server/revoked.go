package server

import (
	"context"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/revocation"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// revokedProxies tells which certificates of our own processes have been revoked, by the lists of their authority. It keeps
// the authority as a truststore of its own: lists are fetched, judged and kept like those of partners. A list is required:
// where none is current, nobody can tell, and nobody is let in.
type revokedProxies struct {
	keeper *inventory.Keeper
	clock  func() time.Time
}

// proxiesTruststore is the one truststore of that keeper.
const proxiesTruststore = "proxies"

// newRevokedProxies begins with what can be read now. References are those of --proxy-crl; relative paths start from the
// working folder, as those of every other flag.
func newRevokedProxies(ctx context.Context, authority string, lists []string, stateDir string, store *material.Store, logger hclog.Logger) (*revokedProxies, error) {
	authority, err := filepath.Abs(authority)
	if err != nil {
		return nil, &FlagError{"--proxy-ca", err}
	}
	keeper, err := inventory.New(inventory.Config{
		Logger: logger, Base: ".", StateDir: stateDir, TruststoresOnly: true, Store: store,
	})
	if err != nil {
		return nil, err
	}
	r := &revokedProxies{keeper: keeper, clock: time.Now}
	keeper.Apply(ctx, inventory.Specs{Truststores: map[string]*sallyportv1.TruststoreSpec{
		proxiesTruststore: {Bundle: "file:" + authority, Revocation: &sallyportv1.Revocation{Lists: lists}},
	}})
	return r, nil
}

// Run follows the lists until the context ends.
func (r *revokedProxies) Run(ctx context.Context) error { return r.keeper.Run(ctx) }

// Changed returns a channel that is closed when there is another list.
func (r *revokedProxies) Changed() <-chan struct{} {
	_, superseded := r.keeper.Watch()
	return superseded
}

// Check returns why a certificate does not count now.
func (r *revokedProxies) Check(leaf, authority *x509.Certificate) error {
	truststore := r.keeper.Current().Truststores[proxiesTruststore]
	if truststore == nil {
		return fmt.Errorf("the authority in --proxy-ca has never been good")
	}
	status := truststore.Revocation.Lists.Status(leaf, authority, r.clock(), 0)
	switch status.State {
	case revocation.Good:
		return nil
	case revocation.Revoked:
		return fmt.Errorf("it was revoked at %s (%s)", status.Entry.At.UTC().Format(time.RFC3339), status.Entry.Reason)
	case revocation.NotYet:
		return fmt.Errorf("the list of --proxy-crl is from %s: is a clock behind?", status.List.ThisUpdate.UTC().Format(time.RFC3339))
	case revocation.Expired:
		return fmt.Errorf("the list of --proxy-crl ran out at %s: have a new one published", status.List.NextUpdate.UTC().Format(time.RFC3339))
	default:
		return fmt.Errorf("there is no list of its authority: --proxy-crl")
	}
}
