// Package sampleapi is an HTTP API that answers with what reached it, so that a person or a test can see what a gateway
// lets through and how. It stands in for the upstreams of a configuration in `sallyport dev`, and is no part of `serve`. It can
// serve the files of a single-page app instead, and then says in a header what reached it.
//
// It verifies no token and shows none: it tells what one says of itself.
package sampleapi

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/internal/serving"
)

// Received is what reached the API, as it answers in JSON.
type Received struct {
	// API is the name of the Upstream that it stands in for.
	API    string `json:"api"`
	Method string `json:"method"`
	// Path is the path with its query, as it came.
	Path string `json:"path"`
	Host string `json:"host"`
	// Headers by name in lower case, several values joined by a comma; secrets are replaced by `(redacted)`.
	Headers map[string]string `json:"headers"`
	// ClientCertificate is the first URI of the caller's certificate, or its subject; empty without one.
	ClientCertificate string `json:"client_certificate,omitempty"`
	// Token is what the bearer token says, unverified; nil without one that says something.
	Token map[string]any `json:"token,omitempty"`
}

// Config is what a sample API needs.
type Config struct {
	// Name is that of the Upstream that it stands in for.
	Name string
	// Listener is where it answers.
	Listener net.Listener
	// TLS is asked for with each connection: it answers in plaintext where that is nil.
	TLS func() *tls.Config
	// App is asked for with each request: it answers in place of the API, unless that is nil.
	App func() http.Handler
}

// Server is one sample API.
type Server struct {
	config   Config
	requests atomic.Int64
}

// New makes a sample API that will answer once it runs.
func New(config Config) *Server { return &Server{config: config} }

// Requests is how many requests have reached the API.
func (s *Server) Requests() int64 { return s.requests.Load() }

// Run serves until the context ends.
func (s *Server) Run(ctx context.Context) error {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Handler: s, ReadHeaderTimeout: 5 * time.Second, Protocols: &protocols,
		// What goes wrong in a handshake is the caller's to report.
		ErrorLog: hclog.NewNullLogger().StandardLogger(nil),
	}
	if err := serving.HTTP(ctx, server, &securing{Listener: s.config.Listener, tls: s.config.TLS}); err != nil {
		return fmt.Errorf("sample API %s: %w", s.config.Name, err)
	}
	return nil
}

// securing asks for each connection whether it is to be TLS.
type securing struct {
	net.Listener
	tls func() *tls.Config
}

// Accept waits for a connection.
func (l *securing) Accept() (net.Conn, error) {
	connection, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if settings := l.tls(); settings != nil {
		return tls.Server(connection, settings), nil
	}
	return connection, nil
}

const maxBody = 1 << 20

// ServeHTTP answers with what reached it, or as the app does.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.requests.Add(1)
	_, _ = io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)) // the body is of no interest
	received := s.received(r)
	if app := s.config.App(); app != nil {
		received.tell(w.Header())
		app.ServeHTTP(w, r)
		return
	}
	w.Header().Set("content-type", "application/json")
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(received) // the caller has gone away
}

// received is what can be told of a request.
func (s *Server) received(r *http.Request) Received {
	received := Received{
		API: s.config.Name, Method: r.Method, Path: r.RequestURI, Host: r.Host, Headers: map[string]string{},
		Token: TokenClaims(r.Header.Get(Authorization)),
	}
	for name, values := range r.Header {
		name = strings.ToLower(name)
		received.Headers[name] = strings.Join(values, ",")
		if secret(name) {
			received.Headers[name] = Redacted
		}
	}
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		leaf := r.TLS.PeerCertificates[0]
		received.ClientCertificate = leaf.Subject.String()
		if len(leaf.URIs) > 0 {
			received.ClientCertificate = leaf.URIs[0].String()
		}
	}
	return received
}

// secret tells whether a header's value must not be shown.
func secret(name string) bool {
	return strings.Contains(name, "authorization") || strings.Contains(name, "cookie") ||
		strings.Contains(name, "token") || strings.Contains(name, "secret") || strings.Contains(name, "api-key")
}
