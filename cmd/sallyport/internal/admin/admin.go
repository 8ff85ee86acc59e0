// Package admin serves and asks the admin API: operators' questions about a running server, on a Unix socket of mode 0600.
package admin

import (
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/internal/serving"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
	"github.com/sallyport-project/sallyport/xds/cache"
)

// DefaultSocket is where a server's admin socket is unless --admin-socket says otherwise.
const DefaultSocket = "/run/sallyport/admin.sock"

// Server answers questions. Cache is nil where the process is no control plane.
type Server struct {
	adminv1.UnimplementedAdminServiceServer
	Version  string
	Roles    []string
	Pipeline *pipeline.Pipeline
	Keeper   *inventory.Keeper
	Cache    *cache.Cache
}

// GetStatus tells which configuration is in force, and what is wrong.
func (s *Server) GetStatus(context.Context, *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	state := s.Pipeline.Status()
	response := &adminv1.GetStatusResponse{
		Version: s.Version, Roles: s.Roles, Revision: state.Revision, RevisionTime: timeOf(state.Since),
	}
	for _, p := range state.Problems.Errors() {
		response.ConfigurationErrors = append(response.ConfigurationErrors, p.Error())
	}
	for _, p := range s.Keeper.Current().Problems {
		response.MaterialProblems = append(response.MaterialProblems, &adminv1.MaterialProblem{
			Kind: p.Kind, Name: p.Name, Message: p.Err.Error(), Since: timestamppb.New(p.Since), InForce: p.InForce,
		})
	}
	return response, nil
}

// ListProxies tells what each proxy has.
func (s *Server) ListProxies(context.Context, *adminv1.ListProxiesRequest) (*adminv1.ListProxiesResponse, error) {
	response := &adminv1.ListProxiesResponse{}
	if s.Cache == nil {
		return response, nil
	}
	for _, p := range s.Cache.Proxies() {
		proxy := &adminv1.Proxy{
			Identity: p.Identity, Group: p.Group, Connected: p.Connected, Since: timestamppb.New(p.Since), UserAgent: p.UserAgent,
		}
		for _, t := range p.Types {
			state := &adminv1.TypeState{Type: t.Type, Accepted: asCount(t.Accepted), Pending: asCount(t.Pending)}
			for _, r := range t.Refused {
				state.Refused = append(state.Refused, &adminv1.RefusedResource{
					Name: r.Name, Version: r.Version, Message: r.Message, Time: timestamppb.New(r.Time),
				})
			}
			proxy.Types = append(proxy.Types, state)
		}
		response.Proxies = append(response.Proxies, proxy)
	}
	return response, nil
}

// asCount is a number of resources in the form of the API.
func asCount(n int) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }

func timeOf(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// Listen makes the socket, with mode 0600, and the folder that it is in. A socket that a dead process left behind is
// replaced; one that is answered is an error.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the admin socket's folder: %w; name another place with --admin-socket", err)
	}
	listener, err := asker.Listen(ctx, path)
	if err != nil {
		return nil, fmt.Errorf("%w; name another place with --admin-socket", err)
	}
	return listener, nil
}

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	server := grpc.NewServer()
	adminv1.RegisterAdminServiceServer(server, s)
	return serving.GRPC(ctx, server, listener, drain)
}

// drain is how long an operator's question may take to be answered once the server is to end.
const drain = time.Second

// Dial makes a client of a server's admin socket, and returns how to close it. Nothing is sent yet.
func Dial(path string) (adminv1.AdminServiceClient, func(), error) {
	connection, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials())) // the socket's mode guards it
	if err != nil {
		return nil, nil, fmt.Errorf("reach the server: %w", err)
	}
	return adminv1.NewAdminServiceClient(connection), func() { _ = connection.Close() }, nil
}

// Explain puts an error of a call into words for the person who made it.
func Explain(path string, err error) error {
	if _, missing := os.Stat(path); missing != nil {
		return fmt.Errorf("no server has its admin socket at %s; name the right one with --admin-socket", path)
	}
	return fmt.Errorf("the server at %s does not answer: %s", path, status.Convert(err).Message())
}
