package lockout

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/material/aws"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// listsWait is how long revocation lists and registers over the network may take to be read.
const listsWait = 15 * time.Second

// Trial is a truststore with the bundle that it has and the one that it would have, everything else being as its spec says.
type Trial struct {
	// Old and New are nil where no gateway would accept the bundle.
	Old, New *inventory.Truststore
	// Problems are what gateways would say of New.
	Problems []string
}

// Try reads a truststore with either bundle as a gateway does. Manifests are passed over: they say who may change a bundle,
// and nothing about callers. Without old bytes there is no Old. The base is the configuration's folder.
func Try(ctx context.Context, spec *sallyportv1.TruststoreSpec, base string, old, changed []byte, now time.Time) (Trial, error) {
	folder, err := os.MkdirTemp("", "sallyport-truststore-")
	if err != nil {
		return Trial{}, fmt.Errorf("try the bundle: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }() // nothing in it is secret
	specs := inventory.Specs{Truststores: map[string]*sallyportv1.TruststoreSpec{}}
	for file, bundle := range map[string][]byte{oldName: old, newName: changed} {
		if len(bundle) == 0 {
			continue
		}
		path := filepath.Join(folder, file)
		if err := os.WriteFile(path, bundle, 0o600); err != nil {
			return Trial{}, fmt.Errorf("try the bundle: %w", err)
		}
		with := proto.CloneOf(spec)
		with.Bundle, with.Signers, with.Manifest = "file:"+path, nil, ""
		specs.Truststores[file] = with
	}
	keeper, err := inventory.New(inventory.Config{
		Base: base, TruststoresOnly: true, AllowDevelopment: true, Clock: func() time.Time { return now },
		Store: material.NewStore(material.Config{Fetchers: aws.New().Fetchers(), ColdWait: listsWait, Timeout: listsWait}),
	})
	if err != nil {
		return Trial{}, err
	}
	snapshot := keeper.Apply(ctx, specs)
	trial := Trial{Old: snapshot.Truststores[oldName], New: snapshot.Truststores[newName]}
	for _, problem := range snapshot.Problems {
		if problem.Name == newName {
			trial.Problems = append(trial.Problems, problem.Err.Error())
		}
	}
	return trial, nil
}

// The names of the two truststores of a trial.
const (
	oldName = "published"
	newName = "replacement"
)
