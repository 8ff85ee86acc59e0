// Package admin serves and asks the admin API: operators' questions about a running server, on a Unix socket of mode 0600.
package admin

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/internal/serving"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/revocation"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
	"github.com/sallyport-project/sallyport/xds/cache"
)

// DefaultSocket is where a server's admin socket is unless --admin-socket says otherwise.
const DefaultSocket = "/run/sallyport/admin.sock"

// Server answers questions. Cache is nil where the process is no control plane, Pipeline and Keeper where it has no
// configuration.
type Server struct {
	adminv1.UnimplementedAdminServiceServer
	Version  string
	Roles    []string
	Pipeline *pipeline.Pipeline
	Keeper   *inventory.Keeper
	// Store fetches the material of the configuration; nil where nothing is fetched.
	Store *material.Store
	Cache *cache.Cache
	// Tokens tell how it stands with Providers; nil where the process judges and gets no tokens.
	Tokens Tokens
	// Further keepers have truststores that the configuration does not name: that of proxies.
	Further []*inventory.Keeper
}

// GetStatus tells which configuration is in force, and what is wrong.
func (s *Server) GetStatus(context.Context, *adminv1.GetStatusRequest) (*adminv1.GetStatusResponse, error) {
	if s.Pipeline == nil {
		return &adminv1.GetStatusResponse{Version: s.Version, Roles: s.Roles}, nil
	}
	state := s.Pipeline.Status()
	response := &adminv1.GetStatusResponse{
		Version: s.Version, Roles: s.Roles, Revision: state.Revision, RevisionTime: timeOf(state.Since),
	}
	for _, p := range state.Problems.Errors() {
		response.ConfigurationErrors = append(response.ConfigurationErrors, p.Error())
	}
	for _, keeper := range append([]*inventory.Keeper{s.Keeper}, s.Further...) {
		current := keeper.Current()
		for _, p := range current.Problems {
			response.MaterialProblems = append(response.MaterialProblems, &adminv1.MaterialProblem{
				Kind: p.Kind, Name: p.Name, Message: p.Err.Error(), Since: timestamppb.New(p.Since), InForce: p.InForce,
			})
		}
		for _, t := range current.Truststores {
			response.Truststores = append(response.Truststores, truststoreState(t))
		}
	}
	slices.SortFunc(response.Truststores, func(a, b *adminv1.TruststoreState) int { return strings.Compare(a.GetName(), b.GetName()) })
	if s.Store != nil {
		for _, m := range s.Store.States() {
			response.Materials = append(response.Materials, materialState(m))
		}
	}
	if s.Tokens != nil && state.Model != nil {
		response.Providers = providerStates(state.Model, s.Tokens.States())
	}
	if s.Cache != nil {
		response.ProxiesBehind = s.Cache.Behind()
	}
	return response, nil
}

func truststoreState(t *inventory.Truststore) *adminv1.TruststoreState {
	state := &adminv1.TruststoreState{Name: t.Name, Hash: t.Hash}
	for _, anchor := range t.Anchors {
		state.Anchors = append(state.Anchors, anchor.Subject.String())
	}
	for _, list := range t.Revocation.Lists.Verified() {
		state.Lists = append(state.Lists, listState(list.List, list.Authority().String()))
	}
	for _, list := range t.Revocation.Lists.Unproven() {
		state.Lists = append(state.Lists, listState(list, list.Claim()))
	}
	for _, index := range t.Issuance.Registers {
		state.Registers = append(state.Registers, &adminv1.RegisterState{Keys: index.Signers, Number: strconv.FormatUint(index.Number, 10)})
	}
	if t.Manifest != nil {
		state.ManifestGeneration = t.Manifest.Generation
	}
	return state
}

func listState(list *revocation.List, authority string) *adminv1.RevocationListState {
	return &adminv1.RevocationListState{
		Issuer: list.Issuer, Authority: authority, Number: list.Number.String(), Entries: asCount(list.Len()),
		ThisUpdate: timeOf(list.ThisUpdate), NextUpdate: timeOf(list.NextUpdate),
	}
}

func materialState(m material.State) *adminv1.MaterialState {
	state := &adminv1.MaterialState{Reference: m.Reference.String(), Checked: timeOf(m.Fetched), Version: cmp.Or(m.Version.Version, m.Version.ETag), Since: timeOf(m.Since)}
	if m.Err != nil {
		state.Error = m.Err.Error()
	}
	return state
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

// GetConsumer tells what is in force about a consumer.
func (s *Server) GetConsumer(_ context.Context, request *adminv1.GetConsumerRequest) (*adminv1.GetConsumerResponse, error) {
	if s.Pipeline == nil {
		return nil, status.Error(codes.FailedPrecondition, "this server has no configuration")
	}
	state := s.Pipeline.Status()
	response := &adminv1.GetConsumerResponse{Revision: state.Revision}
	if state.Model == nil {
		return response, nil
	}
	consumer := state.Model.Consumer(request.GetName())
	if consumer == nil {
		return response, nil
	}
	response.Known, response.Suspended = true, consumer.Suspended
	response.Certificates = asCount(len(consumer.Certificates))
	for _, role := range consumer.Roles {
		response.Roles = append(response.Roles, role.Name)
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

// Service registers a further service.
type Service func(grpc.ServiceRegistrar)

// Run serves this and further services until the context ends.
func (s *Server) Run(ctx context.Context, listener net.Listener, further ...Service) error {
	server := grpc.NewServer(credentialsOfSocket()...)
	adminv1.RegisterAdminServiceServer(server, s)
	for _, register := range further {
		register(server)
	}
	return serving.GRPC(ctx, server, listener, drain)
}

// credentialsOfSocket have the kernel tell who connects, where it can: the socket's mode guards it, and the register of an
// authority names who asked.
func credentialsOfSocket() []grpc.ServerOption {
	if runtime.GOOS != "linux" {
		return nil
	}
	return []grpc.ServerOption{grpc.Creds(asker.SocketCredentials("admin"))}
}

// drain is how long an operator's question may take to be answered once the server is to end.
const drain = time.Second

// Dial makes a client of a server's admin socket, and returns how to close it. Nothing is sent yet.
func Dial(path string) (adminv1.AdminServiceClient, func(), error) {
	connection, closeConnection, err := dial(path)
	return adminv1.NewAdminServiceClient(connection), closeConnection, err
}

// dial makes a connection to an admin socket, and returns how to close it.
func dial(path string, options ...grpc.DialOption) (*grpc.ClientConn, func(), error) {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials())) // the socket's mode guards it
	connection, err := grpc.NewClient("unix:"+path, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("reach the server: %w", err)
	}
	return connection, func() { _ = connection.Close() }, nil
}

// rolesTimeout is how long a server that has just answered may take to tell its roles.
const rolesTimeout = 2 * time.Second

// rolesAt says what a server is there for, as far as it tells.
func rolesAt(ctx context.Context, path string) string {
	ctx, cancel := context.WithTimeout(ctx, rolesTimeout)
	defer cancel()
	const unknown = "it does not have the role for it, or is of an earlier version"
	client, closeClient, err := Dial(path)
	if err != nil {
		return unknown
	}
	defer closeClient()
	told, err := client.GetStatus(ctx, &adminv1.GetStatusRequest{})
	if err != nil || len(told.GetRoles()) == 0 {
		return unknown
	}
	return "its role is " + strings.Join(told.GetRoles(), ", ")
}

// Explain puts an error of a call into words for the person who made it.
func Explain(ctx context.Context, path string, err error) error {
	if _, missing := os.Stat(path); missing != nil {
		return fmt.Errorf("no server has its admin socket at %s; name the right one with --admin-socket", path)
	}
	if status.Code(err) == codes.Unimplemented {
		return fmt.Errorf("the server at %s cannot answer this: %s; ask one with the role xds or authz, by --admin-socket", path, rolesAt(ctx, path))
	}
	return fmt.Errorf("the server at %s does not answer: %s", path, status.Convert(err).Message())
}
