package dev

import (
	"context"
	"fmt"
	"net"
	"path/filepath"

	"google.golang.org/grpc"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/rungroup"
	"github.com/sallyport-project/sallyport/config"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// assembleOperations makes the admin socket, at which commands ask an environment that stays up as they ask a server.
func (e *environment) assembleOperations(ctx context.Context, group *rungroup.Group) error {
	if e.config.Once {
		return nil
	}
	listener, path, err := listenForOperators(ctx, e.state.folder, e.runtime)
	if err != nil {
		return err
	}
	e.adminSocket = path
	api := &admin.Server{
		Version: e.config.Version, Roles: []string{"xds", "authz"}, Pipeline: e.pipeline, Keeper: e.keeper, Cache: e.cache, Tokens: e.tokens,
	}
	group.Add("admin", func(ctx context.Context) error { return api.Run(ctx, listener, e.operatorsServices()...) })
	return nil
}

// listenForOperators makes the socket in the first of these folders whose path is short enough for one, so that it has the same
// place after a restart where that can be.
func listenForOperators(ctx context.Context, folders ...string) (listener net.Listener, path string, err error) {
	for _, folder := range folders {
		path = filepath.Join(folder, "admin.sock")
		if listener, err = asker.Listen(ctx, path); err == nil {
			return listener, path, nil
		}
	}
	return nil, "", fmt.Errorf("listen for operators: %w; name a folder with a shorter path with --state", err)
}

// operatorsServices are those of the admin socket beside status.
func (e *environment) operatorsServices() []admin.Service {
	sources := expiry.Sources{
		Sightings: e.sightings.List, Material: e.keeper.Current, Model: func() *config.Model { return e.pipeline.Status().Model },
	}
	certificates := &admin.Certificates{List: sources.List, Refusals: e.sightings.Refusals, Sightings: e.sightings.List, Clock: e.clock}
	questions := &admin.Questions{Pipeline: e.pipeline, Keeper: e.keeper, Remembered: e.ring, Judge: e.service.Judge}
	records := &admin.Audit{Feed: e.feed, Ring: e.ring}
	return []admin.Service{
		func(r grpc.ServiceRegistrar) { adminv1.RegisterCertificatesServiceServer(r, certificates) },
		func(r grpc.ServiceRegistrar) { adminv1.RegisterQuestionsServiceServer(r, questions) },
		func(r grpc.ServiceRegistrar) { adminv1.RegisterAuditServiceServer(r, records) },
	}
}
