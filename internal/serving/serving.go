// Package serving runs a server on a listener until a context ends, and then ends it in order. It knows nothing of what
// is served.
package serving

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc"
)

// GRPC serves until the context ends, and then returns nil once the calls have ended or the drain timeout has passed. It
// closes the listener.
func GRPC(ctx context.Context, server *grpc.Server, listener net.Listener, drain time.Duration) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return ended(err)
	case <-ctx.Done():
	}
	stopped := make(chan struct{})
	go func() { server.GracefulStop(); close(stopped) }()
	timer := time.NewTimer(drain)
	defer timer.Stop()
	select {
	case <-stopped:
	case <-timer.C:
		server.Stop()
	}
	if err := <-done; err != nil && !errors.Is(err, grpc.ErrServerStopped) { // stopped before it began
		return err
	}
	return nil
}

// HTTP serves until the context ends, and then closes every connection and returns nil. It closes the listener.
func HTTP(ctx context.Context, server *http.Server, listener net.Listener) error {
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	select {
	case err := <-done:
		return ended(err)
	case <-ctx.Done():
	}
	err := server.Close()
	if served := <-done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// ended makes an error of an end that nobody asked for.
func ended(err error) error {
	if err == nil {
		return errors.New("the server has ended by itself")
	}
	return err
}
