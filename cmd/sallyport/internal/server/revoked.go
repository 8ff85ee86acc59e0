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
	"github.com/sallyport-project/sallyport/pki/material/aws"
	"github.com/sallyport-project/sallyport/pki/revocation"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// revokedConfig is what a revokedProcesses needs.
type revokedConfig struct {
	// Name is what they are called in the plural, and Authorities is the path of their CA in PEM.
	Name, Authorities string
	// Lists are references; relative paths start from the working folder, as those of every other flag.
	Lists []string
	// AuthoritiesFlag and ListsFlag are the flags that they were given by.
	AuthoritiesFlag, ListsFlag string
	// StateDir keeps what was seen of the lists; memory if empty.
	StateDir string
	Clock    func() time.Time
	Logger   hclog.Logger
}

// revokedProcesses tells which certificates of our own processes, or of those who run them, have been revoked, by the lists of
// their authority. It keeps the authority as a truststore of its own: lists are fetched, judged and kept like those of partners.
// A list is required: where none is current, nobody can tell, and nobody is let in.
type revokedProcesses struct {
	config revokedConfig
	keeper *inventory.Keeper
}

// newRevokedProcesses begins with what can be read now.
func newRevokedProcesses(ctx context.Context, config revokedConfig) (*revokedProcesses, error) {
	authority, err := filepath.Abs(config.Authorities)
	if err != nil {
		return nil, &FlagError{config.AuthoritiesFlag, err}
	}
	keeper, err := inventory.New(inventory.Config{
		Logger: config.Logger, Base: ".", StateDir: config.StateDir, TruststoresOnly: true,
		Store: material.NewStore(material.Config{Logger: config.Logger, Fetchers: aws.New().Fetchers(), Keep: config.StateDir}),
	})
	if err != nil {
		return nil, err
	}
	keeper.Apply(ctx, inventory.Specs{Truststores: map[string]*sallyportv1.TruststoreSpec{
		config.Name: {Bundle: "file:" + authority, Revocation: &sallyportv1.Revocation{Lists: config.Lists}},
	}})
	return &revokedProcesses{config, keeper}, nil
}

// Run follows the lists until the context ends.
func (r *revokedProcesses) Run(ctx context.Context) error { return r.keeper.Run(ctx) }

// Changed returns a channel that is closed when there is another list.
func (r *revokedProcesses) Changed() <-chan struct{} {
	_, superseded := r.keeper.Watch()
	return superseded
}

// Check returns why a certificate does not count now.
func (r *revokedProcesses) Check(leaf, authority *x509.Certificate) error {
	truststore := r.keeper.Current().Truststores[r.config.Name]
	if truststore == nil {
		return fmt.Errorf("the authority in %s has never been good", r.config.AuthoritiesFlag)
	}
	status := truststore.Revocation.Lists.Status(leaf, authority, r.config.Clock(), 0)
	switch status.State {
	case revocation.Good:
		return nil
	case revocation.Revoked:
		return fmt.Errorf("it was revoked at %s (%s)", status.Entry.At.UTC().Format(time.RFC3339), status.Entry.Reason)
	case revocation.NotYet:
		return fmt.Errorf("the list of %s is from %s: is a clock behind?", r.config.ListsFlag, status.List.ThisUpdate.UTC().Format(time.RFC3339))
	case revocation.Expired:
		return fmt.Errorf("the list of %s ran out at %s: have a new one published", r.config.ListsFlag, status.List.NextUpdate.UTC().Format(time.RFC3339))
	default:
		return fmt.Errorf("there is no list of its authority: %s", r.config.ListsFlag)
	}
}
