package authority

import (
	"context"
	"errors"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
)

// Home is the home of an authority on this machine, and what opens it.
type Home struct {
	// Dir is its folder.
	Dir string
	// Passphrase gets the passphrase of an encrypted private key. Nil: such keys cannot be used.
	Passphrase func(ctx context.Context, prompt string) ([]byte, error)
	// Logger is told what was issued, revoked and published; nil for nobody.
	Logger hclog.Logger
	// Clock is time.Now if nil.
	Clock func() time.Time
}

// Config is what package issuer needs to make or open the home: it publishes to files and to S3, and signs by AWS KMS where
// the home says so.
func (h Home) Config() issuer.Config {
	cloud := aws.New()
	return issuer.Config{
		Dir: h.Dir, Passphrase: h.Passphrase, KMS: cloud.NewSigner, Clock: h.Clock, Logger: h.Logger,
		Objects: func(expectedBucketOwner string) material.Objects {
			return material.ByScheme{material.File: material.Files{}, material.S3: cloud.Objects(expectedBucketOwner)}
		},
	}
}

// Open opens the home. No key is read yet.
func (h Home) Open() (*issuer.Issuer, error) { return issuer.Open(h.Config()) }

// Name is what the home is called among others: the name of its folder.
func (h Home) Name() string {
	absolute, err := filepath.Abs(h.Dir)
	if err != nil {
		return filepath.Base(h.Dir)
	}
	return filepath.Base(absolute)
}

// IsLocked tells whether an error is of a private key that cannot be used for want of the right passphrase, or because it is
// elsewhere: trying again does not help.
func IsLocked(err error) bool {
	return errors.Is(err, ca.ErrEncrypted) || errors.Is(err, ca.ErrWrongPassphrase) || errors.Is(err, issuer.ErrOffline)
}
