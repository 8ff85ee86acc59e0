package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// loopback is where everything listens.
const loopback = "127.0.0.1"

// addresses moves a configuration to loopback: each listener to its own port there, or a free one where that is taken;
// each upstream to the listener that it stands for, or to a sample API. Once given, an address stays for the life of the
// environment, so that an edit moves nothing.
type addresses struct {
	// listeners by gateway and listener, upstreams by name and endpoint.
	listeners, upstreams map[string]string
	// given says to what each address was given.
	given map[string]string
	// ports are the configured ports of listeners, by gateway, listener and the address that they have.
	ports map[string]uint32
	// moved says where something does not listen where the configuration says, for people.
	moved []string
	// api is called for each upstream endpoint that needs a sample API.
	api func(upstream, address string, listener net.Listener)
	// failed is told of what could not be given an address.
	failed func(error)
	// held keep other environments from ports that nobody listens on yet.
	held []io.Closer

	mu sync.Mutex // guards all of it
}

func newAddresses(api func(upstream, address string, listener net.Listener), failed func(error)) *addresses {
	return &addresses{listeners: map[string]string{}, upstreams: map[string]string{}, given: map[string]string{}, ports: map[string]uint32{}, api: api, failed: failed}
}

// move rewrites the addresses in the documents.
func (a *addresses) move(ctx context.Context, documents []*document.Document) {
	a.mu.Lock()
	defer a.mu.Unlock()
	serving := map[string]string{} // where the listener is that serves a host and port
	for _, d := range documents {
		if gateway, ok := d.Message.(*sallyportv1.Gateway); ok {
			a.moveGateway(ctx, gateway, serving)
		}
	}
	for _, d := range documents {
		switch message := d.Message.(type) {
		case *sallyportv1.Upstream:
			a.moveUpstream(ctx, message, serving)
		case *sallyportv1.Route:
			moveOrigins(message.GetSpec().GetCors(), serving)
		}
	}
}

// moveOrigins lets pages call whose hosts are those of listeners, under the ports at which those listen here as well: a browser
// names the port of the page that calls (RFC 6454, section 7).
func moveOrigins(cors *sallyportv1.CrossOrigin, serving map[string]string) {
	if cors == nil {
		return
	}
	for _, written := range slices.Clone(cors.GetAllowOrigins()) {
		scheme, host, _ := strings.Cut(written, "://")
		host, _, _ = strings.Cut(host, ":")
		for _, key := range slices.Sorted(maps.Keys(serving)) {
			hostname, _, _ := strings.Cut(key, ":")
			_, port, err := net.SplitHostPort(serving[key])
			moved := scheme + "://" + host + ":" + port
			if err == nil && covers(host, hostname) && !slices.Contains(cors.GetAllowOrigins(), moved) {
				cors.AllowOrigins = append(cors.AllowOrigins, moved)
			}
		}
	}
}

// covers tells whether one of two hostnames is the other, or one that its `*` stands for.
func covers(one, other string) bool {
	for _, pair := range [][2]string{{one, other}, {other, one}} {
		suffix, wildcard := strings.CutPrefix(pair[0], "*.")
		if first, rest, _ := strings.Cut(pair[1], "."); wildcard && first != "" && rest == suffix {
			return true
		}
	}
	return one == other
}

func (a *addresses) moveGateway(ctx context.Context, g *sallyportv1.Gateway, serving map[string]string) {
	for _, l := range g.GetSpec().GetListeners() {
		port := strconv.Itoa(int(l.GetPort()))
		key := g.GetMetadata().GetName() + "/" + l.GetName() + "/" + port
		if a.listeners[key] == "" {
			held, err := a.claim(ctx, l.GetPort(), "the listener "+g.GetMetadata().GetName()+"/"+l.GetName())
			if err != nil {
				a.failed(err)
				continue
			}
			a.listeners[key] = held.Addr().String()
			_ = held.Close() // Envoy binds it next
		}
		address := netip.MustParseAddrPort(a.listeners[key])
		a.ports[g.GetMetadata().GetName()+"/"+l.GetName()+"/"+a.listeners[key]] = l.GetPort()
		l.Address, l.Port = address.Addr().String(), uint32(address.Port())
		for _, entry := range l.GetTls() {
			for _, hostname := range entry.GetHostnames() {
				serving[hostname+":"+port] = a.listeners[key]
			}
		}
		if l.GetPlaintext() {
			serving[":"+port] = a.listeners[key]
		}
	}
}

// moveUpstream sends an upstream to one of our own listeners where its TLS server name and port are that listener's, and
// to a sample API otherwise.
func (a *addresses) moveUpstream(ctx context.Context, u *sallyportv1.Upstream, serving map[string]string) {
	endpoints := u.GetSpec().GetEndpoints()
	wanted := endpoints.GetAddresses().GetItems()
	if dns := endpoints.GetDns(); dns != "" {
		wanted = []string{dns}
	}
	moved := make([]string, 0, len(wanted))
	for _, endpoint := range wanted {
		_, port, err := net.SplitHostPort(endpoint)
		if err != nil {
			return // Build reports it
		}
		if address := serving[u.GetSpec().GetTls().GetServerName()+":"+port]; address != "" {
			moved = append(moved, address)
			continue
		}
		address, err := a.sample(ctx, u.GetMetadata().GetName(), endpoint, port)
		if err != nil {
			a.failed(err)
			return
		}
		moved = append(moved, address)
	}
	endpoints.Form = &sallyportv1.Endpoints_Addresses{Addresses: &sallyportv1.AddressList{Items: slices.Compact(moved)}}
}

// sample returns the address of the sample API that stands for an endpoint, which it starts if there is none.
func (a *addresses) sample(ctx context.Context, upstream, endpoint, port string) (string, error) {
	key := upstream + "/" + endpoint
	if a.upstreams[key] == "" {
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return "", fmt.Errorf("%s: %w", endpoint, err)
		}
		listener, err := a.claim(ctx, uint32(number), "the upstream "+upstream)
		if err != nil {
			return "", err
		}
		a.upstreams[key] = listener.Addr().String()
		a.api(upstream, listener.Addr().String(), listener)
	}
	return a.upstreams[key], nil
}

// configured is the port that the configuration gives a listener.
func (a *addresses) configured(l *config.Listener) uint32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if port, ok := a.ports[l.Gateway.Name+"/"+l.Name+"/"+l.HostPort()]; ok {
		return port
	}
	return l.Port
}

// listenFor is claim, for what is no part of the configuration.
func (a *addresses) listenFor(ctx context.Context, port uint32, what string) (net.Listener, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.claim(ctx, port, what)
}

// claim listens on a port of loopback, or on a free one where it cannot.
func (a *addresses) claim(ctx context.Context, port uint32, what string) (net.Listener, error) {
	listener, obstacle := a.listen(ctx, port)
	if obstacle == "" {
		a.given[listener.Addr().String()] = what
		return listener, nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
	if err != nil {
		return nil, fmt.Errorf("%s: no port of %s is free: %w", what, loopback, err)
	}
	address := listener.Addr().String()
	a.given[address] = what
	a.moved = append(a.moved, fmt.Sprintf("port %d %s: %s is on %s", port, obstacle, what, address))
	return listener, nil
}

// listen listens on a port of loopback and reserves it, or says to people what is in the way.
func (a *addresses) listen(ctx context.Context, port uint32) (listener net.Listener, obstacle string) {
	wanted := net.JoinHostPort(loopback, strconv.Itoa(int(port)))
	if owner := a.given[wanted]; owner != "" {
		return nil, "is that of " + owner + " already"
	}
	mark, err := reserve(ctx, port)
	if err != nil {
		return nil, "is taken by another `sallyport dev`"
	}
	listener, err = new(net.ListenConfig).Listen(ctx, "tcp", wanted)
	if err == nil {
		a.held = append(a.held, mark)
		return listener, ""
	}
	_ = mark.Close() // the port is not ours
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, "may not be bound without privileges"
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, "is taken by another program"
	}
	return nil, "cannot be bound (" + err.Error() + ")"
}

// reserve keeps other environments from a port, which an Envoy binds only later, until the result is closed. It is an error
// if another has it. Where there are no abstract sockets (unix(7)), an environment that begins in the same moment may get
// the same port.
func reserve(ctx context.Context, port uint32) (io.Closer, error) {
	if runtime.GOOS != "linux" {
		return io.NopCloser(nil), nil
	}
	return new(net.ListenConfig).Listen(ctx, "unix", fmt.Sprintf("@sallyport/dev/port/%d", port))
}

// hold keeps the reservations until the context ends.
func (a *addresses) hold(ctx context.Context) error {
	<-ctx.Done()
	a.mu.Lock()
	defer a.mu.Unlock()
	var err error
	for _, mark := range a.held {
		err = errors.Join(err, mark.Close())
	}
	return err
}

// takeMoved returns what has been moved since it was last called.
func (a *addresses) takeMoved() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	moved := a.moved
	a.moved = nil
	return moved
}

// describe lists the upstreams and where what stands for them is, for people.
func (a *addresses) describe() [][2]string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all [][2]string
	for _, key := range slices.Sorted(maps.Keys(a.upstreams)) {
		upstream, _, _ := strings.Cut(key, "/")
		all = append(all, [2]string{upstream, a.upstreams[key]})
	}
	return all
}
