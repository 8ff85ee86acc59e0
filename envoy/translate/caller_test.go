package translate_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// call sends a request by a connection for the server name and with the certificate given, if any.
func call(t *testing.T, port int, roots *x509.CertPool, serverName string, pair *ca.KeyPair, request *http.Request) (*http.Response, error) {
	t.Helper()
	config := &tls.Config{RootCAs: roots, ServerName: serverName}
	if pair != nil {
		config.Certificates = []tls.Certificate{pair.TLS()}
	}
	client := &http.Client{
		Timeout: deadline,
		Transport: &http.Transport{
			TLSClientConfig: config, DisableKeepAlives: true, ForceAttemptHTTP2: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
			},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	t.Cleanup(client.CloseIdleConnections)
	return client.Do(request.WithContext(t.Context()))
}

// anySession offers the session that came last, whichever server it is from.
type anySession struct{ state *tls.ClientSessionState }

func (s *anySession) Get(string) (*tls.ClientSessionState, bool)  { return s.state, s.state != nil }
func (s *anySession) Put(_ string, state *tls.ClientSessionState) { s.state = state }

// handshake connects and has a request answered, after which a TLS 1.3 client has its tickets, or its alert.
func (e *edge) handshake(config *tls.Config, serverName string) (tls.ConnectionState, error) {
	e.Helper()
	config = config.Clone()
	config.ServerName = serverName
	dialer := &tls.Dialer{NetDialer: &net.Dialer{Timeout: deadline}, Config: config}
	connection, err := dialer.DialContext(e.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", e.port))
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(deadline)); err != nil {
		return tls.ConnectionState{}, err
	}
	if _, err := fmt.Fprintf(connection, "GET /unknown HTTP/1.1\r\nHost: %s\r\n\r\n", serverName); err != nil {
		return tls.ConnectionState{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		return tls.ConnectionState{}, err
	}
	_ = response.Body.Close() // the connection goes with it
	return connection.(*tls.Conn).ConnectionState(), nil
}
