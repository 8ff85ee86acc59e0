package translate_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	accesslogv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logservicev3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"

	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// logged is what a test looks at of an entry.
type logged struct {
	log, entry, sni, details, reason, serial, path string
	status                                         uint32
}

// logbook is an access log service that hands on what it is told.
type logbook struct {
	logservicev3.UnimplementedAccessLogServiceServer
	entries chan logged
}

func (b *logbook) StreamAccessLogs(stream logservicev3.AccessLogService_StreamAccessLogsServer) error {
	name := ""
	for {
		message, err := stream.Recv()
		if err != nil {
			return err
		}
		if given := message.GetIdentifier().GetLogName(); given != "" {
			name = given
		}
		for _, entry := range message.GetTcpLogs().GetLogEntry() {
			b.entries <- common(name, entry.GetCommonProperties())
		}
		for _, entry := range message.GetHttpLogs().GetLogEntry() {
			told := common(name, entry.GetCommonProperties())
			told.status, told.path = entry.GetResponse().GetResponseCode().GetValue(), entry.GetRequest().GetPath()
			b.entries <- told
		}
	}
}

func common(name string, c *accesslogv3.AccessLogCommon) logged {
	return logged{
		log: name, entry: c.GetCustomTags()[checkcontext.LogEntry], sni: c.GetTlsProperties().GetTlsSniHostname(),
		details: c.GetCustomTags()[checkcontext.LogDetails], reason: c.GetDownstreamTransportFailureReason(),
		serial: strings.TrimLeft(c.GetCustomTags()[checkcontext.LogCertificateSerial], "0"),
	}
}

// next is the next entry.
func (b *logbook) next(t *testing.T, after string) logged {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	select {
	case entry := <-b.entries:
		return entry
	case <-ctx.Done():
		t.Fatalf("%s: no entry came", after)
		return logged{}
	}
}

// send connects with a certificate, sends a request if the handshake allows it, and waits for an end of any kind.
func (e *edge) send(serverName string, pair *ca.KeyPair, version uint16, request string) {
	e.Helper()
	raw, err := new(net.Dialer).DialContext(e.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", e.port))
	if err != nil {
		e.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if err := raw.SetDeadline(time.Now().Add(deadline)); err != nil {
		e.Fatal(err)
	}
	config := &tls.Config{RootCAs: e.internal.pool(), ServerName: serverName, MinVersion: version, MaxVersion: version}
	if pair != nil {
		// Whatever authorities the server names.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			certificate := pair.TLS()
			return &certificate, nil
		}
	}
	connection := tls.Client(raw, config)
	if connection.HandshakeContext(e.Context()) != nil {
		return
	}
	_, _ = fmt.Fprint(connection, request)
	if response, err := http.ReadResponse(bufio.NewReader(connection), nil); err == nil {
		_ = response.Body.Close()
	}
}

func get(host, path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n"
}

func TestEnvoyTellsWhatItRefusesWithoutAsking(t *testing.T) {
	e := &edge{T: t, port: freePort(t), internal: newIssuer(t, "internal"), partners: newIssuer(t, "partners"), authorizer: &authorizer{}}
	book := &logbook{entries: make(chan logged, 100)}
	address, _ := serveGRPC(t, func(s *grpc.Server) {
		authv3.RegisterAuthorizationServer(s, e.authorizer)
		logservicev3.RegisterAccessLogServiceServer(s, book)
	})
	e.admin = runEnvoy(t, e.resources(), address)

	now := time.Now()
	mapps, stranger := e.partners.client("mapps"), newIssuer(t, "unknown").client("stranger")
	expired := e.partners.issue(ca.Request{
		Profile: ca.Client, Subject: pkix.Name{CommonName: "expired"}, Validity: &ca.Validity{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)},
	})
	server := e.partners.server("server.example.org")
	for name, test := range map[string]struct {
		sni     string
		pair    *ca.KeyPair
		version uint16
		request string
		want    logged // reason is a part of it
	}{
		"no certificate":      {sni: "strict.example.org", want: logged{reason: "PEER_DID_NOT_RETURN_A_CERTIFICATE"}},
		"no certificate, 1.2": {sni: "strict.example.org", version: tls.VersionTLS12, want: logged{reason: "PEER_DID_NOT_RETURN_A_CERTIFICATE"}},
		"a stranger's":        {sni: "strict.example.org", pair: &stranger, want: logged{reason: "unable to get local issuer certificate"}},
		"a stranger's, 1.2":   {sni: "strict.example.org", pair: &stranger, version: tls.VersionTLS12, want: logged{reason: "unable to get local issuer certificate"}},
		"an expired one":      {sni: "strict.example.org", pair: &expired, want: logged{reason: "certificate has expired"}},
		"one for servers":     {sni: "strict.example.org", pair: &server, want: logged{reason: "unsupported certificate purpose"}},
		"an old protocol":     {sni: "strict.example.org", version: tls.VersionTLS11, want: logged{reason: "UNSUPPORTED_PROTOCOL"}},
		"a name of no entry":  {sni: "example.net", want: logged{details: "filter_chain_not_found"}},
		"an escaped slash":    {sni: "api.example.org", request: get("api.example.org", "/v1/persons/%2f"), want: logged{details: "path_normalization_failed", status: 400}},
		"an underscore":       {sni: "api.example.org", request: "GET / HTTP/1.1\r\nHost: api.example.org\r\na_b: 1\r\n\r\n", want: logged{details: "http1.unexpected_underscore", status: 400}},
		"no HTTP":             {sni: "api.example.org", request: "xxx\r\n\r\n", want: logged{details: "http1.codec_error", status: 400}},
		"an upgrade":          {sni: "api.example.org", request: "GET /v1/persons/1 HTTP/1.1\r\nHost: api.example.org\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", want: logged{details: "upgrade_failed", status: 403}},
		"CONNECT":             {sni: "api.example.org", request: "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", want: logged{details: "route_not_found", status: 404}},
		"a request with a length and chunks": {sni: "api.example.org", request: "POST / HTTP/1.1\r\nHost: api.example.org\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
			want: logged{details: "http1.content_length_and_chunked_not_allowed", status: 400}},
	} {
		// What was asked about is in between, and not told.
		e.send("strict.example.org", &mapps, tls.VersionTLS13, get("strict.example.org", "/v1/persons/1"))
		e.send("api.example.org", nil, tls.VersionTLS13, get("api.example.org", "/unknown"))
		e.send("api.example.org", nil, tls.VersionTLS13, get("api.example.org", "/blocked"))
		if test.version == 0 {
			test.version = tls.VersionTLS13
		}
		e.send(test.sni, test.pair, test.version, test.request)

		got, want := book.next(t, name), test.want
		want.log, want.sni, want.path = "edge/https", test.sni, got.path
		if want.details != "filter_chain_not_found" {
			want.entry = test.sni
		}
		if test.pair != nil {
			want.serial = test.pair.Certificate.SerialNumber.Text(16)
		}
		if strings.Contains(got.reason, want.reason) && (want.reason == "") == (got.reason == "") {
			want.reason = got.reason
		}
		if got != want {
			t.Errorf("%s:\n got %+v\nwant %+v", name, got, want)
		}
	}
	if len(book.entries) > 0 {
		t.Errorf("more was told: %+v", <-book.entries)
	}
}
