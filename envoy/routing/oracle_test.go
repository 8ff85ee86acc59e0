package routing_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	routerv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/router/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sallyport-project/sallyport/envoy/process"
	"github.com/sallyport-project/sallyport/envoy/routing"
)

// deadline bounds every wait of these tests; nothing waits that long when all is well.
const deadline = 30 * time.Second

// The headers by which the real Envoy tells what it has chosen, and what the request had become by then.
const (
	choiceHeader = "chosen-route"
	pathHeader   = "seen-path"
	hostHeader   = "seen-host"
)

// newSubject prepares a generated filter chain for both sides, without its TLS: only the choice of a route is compared.
func newSubject(t *testing.T, name, configuration string, generated *listenerv3.FilterChain, routes map[string]*routev3.RouteConfiguration) *subject {
	t.Helper()
	chain := proto.CloneOf(generated)
	chain.FilterChainMatch, chain.TransportSocket, chain.TransportSocketConnectTimeout = nil, nil, nil
	listener := &listenerv3.Listener{
		Name: name,
		Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address: "127.0.0.1", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 0},
		}}},
		FilterChains: []*listenerv3.FilterChain{chain},
	}
	simulated, err := routing.Compile(listener, routes)
	if err != nil {
		t.Fatalf("%v\n%s", err, configuration)
	}
	manager := &hcmv3.HttpConnectionManager{}
	if err := chain.GetFilters()[0].GetTypedConfig().UnmarshalTo(manager); err != nil {
		t.Fatal(err)
	}
	s := &subject{name: name, configuration: configuration, simulated: simulated, routes: routes[manager.GetRds().GetRouteConfigName()]}
	manager.RouteSpecifier = &hcmv3.HttpConnectionManager_RouteConfig{RouteConfig: telling(s.routes)}
	manager.HttpFilters = []*hcmv3.HttpFilter{{
		Name: "router", ConfigType: &hcmv3.HttpFilter_TypedConfig{TypedConfig: packed(t, &routerv3.Router{})},
	}}
	manager.LocalReplyConfig = nil // it would hide which route took a TRACE
	s.served = proto.CloneOf(listener)
	s.served.FilterChains[0].Filters[0].ConfigType = &listenerv3.Filter_TypedConfig{TypedConfig: packed(t, manager)}
	return s
}

func packed(t *testing.T, message proto.Message) *anypb.Any {
	t.Helper()
	made, err := anypb.New(message)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// telling keeps the hosts and matches of routes as they were generated, and has each answer with its own name.
func telling(generated *routev3.RouteConfiguration) *routev3.RouteConfiguration {
	routes := proto.CloneOf(generated)
	for _, host := range routes.GetVirtualHosts() {
		for i, route := range host.GetRoutes() {
			route.TypedPerFilterConfig = nil
			route.Action = &routev3.Route_DirectResponse{DirectResponse: &routev3.DirectResponseAction{Status: http.StatusOK}}
			route.ResponseHeadersToAdd = []*corev3.HeaderValueOption{
				{Header: &corev3.HeaderValue{Key: choiceHeader, Value: choice(host, i)}},
				{Header: &corev3.HeaderValue{Key: pathHeader, Value: "%REQ(:PATH)%"}},
				{Header: &corev3.HeaderValue{Key: hostHeader, Value: "%REQ(:AUTHORITY)%"}},
			}
		}
	}
	return routes
}

// serve runs one Envoy for all subjects until the test ends, and connects each to its listener.
func serve(t *testing.T, subjects []*subject) {
	t.Helper()
	listeners := make([]*listenerv3.Listener, 0, len(subjects))
	for _, s := range subjects {
		listeners = append(listeners, s.served)
	}
	ports := runEnvoy(t, listeners)
	for _, s := range subjects {
		s.oracle = &oracle{address: net.JoinHostPort("127.0.0.1", fmt.Sprint(ports[s.name]))}
		t.Cleanup(s.oracle.hangUp)
	}
}

// runEnvoy runs an Envoy with static listeners on ports of its own choice, which it returns by the listeners' names.
func runEnvoy(t *testing.T, listeners []*listenerv3.Listener) map[string]uint32 {
	t.Helper()
	directory, err := os.MkdirTemp("", "routing") // short, because of the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(directory) })
	socket := filepath.Join(directory, "admin.sock")
	bootstrap := &bootstrapv3.Bootstrap{
		Admin:           &bootstrapv3.Admin{Address: &corev3.Address{Address: &corev3.Address_Pipe{Pipe: &corev3.Pipe{Path: socket}}}},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{Listeners: listeners},
		LayeredRuntime: &bootstrapv3.LayeredRuntime{Layers: []*bootstrapv3.RuntimeLayer{{
			Name: "regex",
			LayerSpecifier: &bootstrapv3.RuntimeLayer_StaticLayer{StaticLayer: &structpb.Struct{Fields: map[string]*structpb.Value{
				"re2.max_program_size.error_level": structpb.NewNumberValue(10_000),
			}}},
		}}},
	}
	content, err := protojson.Marshal(bootstrap)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "bootstrap.json")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := process.Find(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	envoy, err := process.New(process.Config{
		Binary: binary, BootstrapPath: path, Name: "oracle", Concurrency: 1,
		Logger: hclog.New(&hclog.LoggerOptions{Output: t.Output(), Level: hclog.Error}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- envoy.Run(ctx)
		cancel()
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	waiting, stop := context.WithTimeout(ctx, deadline)
	defer stop()
	if err := process.NewAdmin(socket).WaitReady(waiting); err != nil {
		t.Fatal(err)
	}
	return ports(waiting, t, socket)
}

// ports asks an Envoy for the ports of its listeners.
func ports(ctx context.Context, t *testing.T, socket string) map[string]uint32 {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://envoy/listeners?format=json", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var status struct {
		Listeners []struct {
			Name    string `json:"name"`
			Address struct {
				Socket struct {
					Port uint32 `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		t.Fatal(err)
	}
	found := map[string]uint32{}
	for _, listener := range status.Listeners {
		found[listener.Name] = listener.Address.Socket.Port
	}
	return found
}

// oracle is a connection to the real Envoy, made anew whenever Envoy has closed it. One goroutine at a time uses it.
type oracle struct {
	address    string
	connection net.Conn
	reader     *bufio.Reader
}

func (o *oracle) hangUp() {
	if o.connection != nil {
		_ = o.connection.Close() // it may be closed already
		o.connection = nil
	}
}

// ask sends a request byte by byte as it is, which net/http would tidy up.
func (o *oracle) ask(ctx context.Context, request routing.Request) (answer, error) {
	got, err := o.send(ctx, request)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		o.hangUp() // the connection was closed between two requests
		got, err = o.send(ctx, request)
	}
	if err != nil {
		o.hangUp()
		return answer{}, fmt.Errorf("ask Envoy about %+v: %w", request, err)
	}
	return got, nil
}

func (o *oracle) send(ctx context.Context, request routing.Request) (answer, error) {
	if o.connection == nil {
		connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", o.address)
		if err != nil {
			return answer{}, err
		}
		o.connection, o.reader = connection, bufio.NewReader(connection)
	}
	if err := o.connection.SetDeadline(time.Now().Add(deadline)); err != nil {
		return answer{}, err
	}
	if _, err := o.connection.Write(raw(request)); err != nil {
		return answer{}, err
	}
	response, err := http.ReadResponse(o.reader, &http.Request{Method: request.Method})
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return answer{}, err
	}
	if response.Close {
		o.hangUp()
	}
	return answer{
		Status: response.StatusCode, Choice: response.Header.Get(choiceHeader),
		Path: response.Header.Get(pathHeader), Host: response.Header.Get(hostHeader),
	}, nil
}

func raw(request routing.Request) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", request.Method, request.Path, request.Host)
	names := make([]string, 0, len(request.Headers))
	for name := range request.Headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range request.Headers[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}
