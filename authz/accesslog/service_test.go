package accesslog_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	entryv3 "github.com/envoyproxy/go-control-plane/envoy/data/accesslog/v3"
	logv3 "github.com/envoyproxy/go-control-plane/envoy/service/accesslog/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/sallyport-project/sallyport/authz/accesslog"
	"github.com/sallyport-project/sallyport/authz/asker"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// shelf keeps records.
type shelf struct {
	mu      sync.Mutex
	records []audit.Record
}

func (s *shelf) Record(r audit.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = append(s.records, r)
	return nil
}

// tell sends messages on one stream and returns what came of it.
func tell(t *testing.T, config accesslog.Config, messages ...*logv3.StreamAccessLogsMessage) (kept []audit.Record, err error) {
	t.Helper()
	sink := &shelf{}
	config.Sink, config.Clock = sink, func() time.Time { return noon }
	if config.Identify == nil {
		config.Identify = func(context.Context) (asker.Asker, error) {
			return asker.Asker{Group: "edge", Name: "spiffe://example.org/proxy/edge/one"}, nil
		}
	}
	config.Group = func(gateway string) (string, bool) {
		group, known := map[string]string{"edge": "edge", "inner": "sidecar"}[gateway]
		return group, known
	}
	service, err := accesslog.New(config)
	if err != nil {
		t.Fatal(err)
	}
	_, stream, err := open(t, service)
	if err != nil {
		t.Fatal(err)
	}
	for _, message := range messages {
		if err := stream.Send(message); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	_, err = stream.CloseAndRecv()
	sink.mu.Lock()
	defer sink.mu.Unlock()
	return sink.records, err
}

// open serves the service until the test ends, and opens a stream to it.
func open(t *testing.T, service logv3.AccessLogServiceServer) (*grpc.Server, logv3.AccessLogService_StreamAccessLogsClient, error) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	logv3.RegisterAccessLogServiceServer(server, service)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	connection, err := grpc.NewClient("passthrough:///log", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	stream, err := logv3.NewAccessLogServiceClient(connection).StreamAccessLogs(t.Context())
	return server, stream, err
}

func log(name string, entries ...*entryv3.TCPAccessLogEntry) *logv3.StreamAccessLogsMessage {
	message := &logv3.StreamAccessLogsMessage{LogEntries: &logv3.StreamAccessLogsMessage_TcpLogs{
		TcpLogs: &logv3.StreamAccessLogsMessage_TCPAccessLogEntries{LogEntry: entries},
	}}
	if name != "" {
		message.Identifier = &logv3.StreamAccessLogsMessage_Identifier{LogName: name}
	}
	return message
}

func refused(words string) *entryv3.TCPAccessLogEntry {
	return &entryv3.TCPAccessLogEntry{CommonProperties: &entryv3.AccessLogCommon{
		StartTime:                        timestamppb.New(noon.Add(-time.Second)),
		DownstreamTransportFailureReason: "TLS_error:|268435581:SSL routines:OPENSSL_internal:" + words + ":TLS_error_end",
		TlsProperties: &entryv3.TLSProperties{
			TlsSniHostname:            "api.example.org",
			PeerCertificateProperties: &entryv3.TLSProperties_CertificateProperties{Subject: "CN=mapps", Issuer: "CN=partners"},
		},
		CustomTags: map[string]string{
			checkcontext.LogEntry: "api.example.org", checkcontext.LogCertificateSHA256: "ab", checkcontext.LogCertificateSerial: "001f",
			checkcontext.LogCertificateNotAfter: "2030-05-31T12:00:00.000Z",
		},
	}}
}

func TestAnOpenStreamEndsWithTheServer(t *testing.T) {
	ending := make(chan struct{})
	service, err := accesslog.New(accesslog.Config{
		Identify: func(context.Context) (asker.Asker, error) { return asker.Asker{Group: "edge"}, nil },
		Group:    func(string) (string, bool) { return "edge", true }, Sink: &shelf{}, Ending: ending,
	})
	if err != nil {
		t.Fatal(err)
	}
	server, stream, err := open(t, service)
	if err == nil {
		err = stream.Send(log("edge/https"))
	}
	if err != nil {
		t.Fatal(err)
	}
	close(ending)
	if err := stream.RecvMsg(&logv3.StreamAccessLogsResponse{}); status.Code(err) != codes.Unavailable {
		t.Errorf("the stream ends with %v, want Unavailable", err)
	}
	server.GracefulStop()
}

const expired = "CERTIFICATE_VERIFY_FAILED:verify cert failed: X509_verify_cert: certificate verification error at depth 0: certificate has expired"

func TestARefusedHandshakeBecomesARecord(t *testing.T) {
	records, err := tell(t, accesslog.Config{}, log("edge/https", refused(expired)), log("", refused("UNSUPPORTED_PROTOCOL")))
	if err != nil || len(records) != 2 {
		t.Fatalf("%d records, error %v", len(records), err)
	}
	want := audit.Record{
		Time: noon.Add(-time.Second), Kind: audit.KindHandshake, Reason: reason.CertificateExpired,
		Detail: strings.TrimPrefix(expired, ""), Asker: "spiffe://example.org/proxy/edge/one",
		Gateway: "edge", Listener: "https", Entry: "api.example.org", Host: "api.example.org",
		CertificateSHA256: "ab", CertificateSerial: "1f", CertificateSubject: "CN=mapps", CertificateIssuer: "CN=partners",
		CertificateNotAfter: noon.Add(-24 * time.Hour),
	}
	if got := records[0]; got.Line() != want.Line() || got.Time != want.Time || got.CertificateNotAfter != want.CertificateNotAfter ||
		got.CertificateSerial != want.CertificateSerial || got.Entry != want.Entry || got.Asker != want.Asker || got.Detail != want.Detail {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
	if records[1].Reason != reason.HandshakeProtocol || records[1].Listener != "https" {
		t.Errorf("the second message: %+v", records[1])
	}
}

func TestWordsOfTheTransportHaveFewMeanings(t *testing.T) {
	const depth = "CERTIFICATE_VERIFY_FAILED:verify cert failed: X509_verify_cert: certificate verification error at depth "
	for words, want := range map[string]reason.Reason{
		"PEER_DID_NOT_RETURN_A_CERTIFICATE:peer did not provide required client certificate": reason.CertificateMissing,
		expired:                              reason.CertificateExpired,
		depth + "1: certificate has expired": reason.CertificateUntrusted,
		depth + "0: certificate is not yet valid":              reason.CertificateNotYetValid,
		depth + "0: unable to get local issuer certificate":    reason.CertificateUntrusted,
		depth + "0: unsupported certificate purpose":           reason.CertificateUsage,
		depth + "0: certificate revoked":                       reason.HandshakeRevoked,
		depth + "0: unable to get certificate CRL":             reason.HandshakeList,
		depth + "0: CRL has expired":                           reason.HandshakeList,
		"UNSUPPORTED_PROTOCOL":                                 reason.HandshakeProtocol,
		"NO_SHARED_CIPHER":                                     reason.HandshakeProtocol,
		"HTTP_REQUEST":                                         reason.HandshakePlain,
		"SSLV3_ALERT_CERTIFICATE_UNKNOWN:SSL alert number 46":  reason.HandshakeCaller,
		"something that nobody has seen yet, " + "\x1b[31mred": reason.HandshakeFailed,
	} {
		records, err := tell(t, accesslog.Config{}, log("edge/https", refused(words)))
		if err != nil || len(records) != 1 || records[0].Reason != want {
			t.Errorf("%s: %+v, %v, want %s", words, records, err, want)
		}
		if len(records) == 1 && strings.ContainsRune(records[0].Detail, '\x1b') {
			t.Errorf("detail %q", records[0].Detail)
		}
	}
}

func TestANameOfNoEntryIsSaid(t *testing.T) {
	entry := refused("")
	entry.CommonProperties.DownstreamTransportFailureReason = ""
	entry.CommonProperties.CustomTags = map[string]string{checkcontext.LogDetails: "filter_chain_not_found"}
	records, err := tell(t, accesslog.Config{}, log("edge/https", entry))
	if err != nil || len(records) != 1 || records[0].Reason != reason.HandshakeName {
		t.Errorf("%+v, %v", records, err)
	}
}

func TestAConnectionThatCarriedSomethingWasNotRefused(t *testing.T) {
	entry := refused("BAD_DECRYPT")
	entry.ConnectionProperties = &entryv3.ConnectionProperties{ReceivedBytes: 1}
	if records, err := tell(t, accesslog.Config{}, log("edge/https", entry)); err != nil || len(records) != 0 {
		t.Errorf("%+v, %v", records, err)
	}
}

func TestAnAnswerOfTheProxyBecomesARecordWithoutQuery(t *testing.T) {
	entry := &entryv3.HTTPAccessLogEntry{
		CommonProperties: refused("").GetCommonProperties(),
		Request: &entryv3.HTTPRequestProperties{
			RequestMethod: corev3.RequestMethod_GET, Authority: "API.example.org", Path: "/v1\n/x?secret=1", RequestId: "id-1",
		},
		Response: &entryv3.HTTPResponseProperties{ResponseCode: wrapperspb.UInt32(400), ResponseCodeDetails: "path_normalization_failed"},
	}
	records, err := tell(t, accesslog.Config{}, &logv3.StreamAccessLogsMessage{
		Identifier: &logv3.StreamAccessLogsMessage_Identifier{LogName: "edge/https"},
		LogEntries: &logv3.StreamAccessLogsMessage_HttpLogs{HttpLogs: &logv3.StreamAccessLogsMessage_HTTPAccessLogEntries{LogEntry: []*entryv3.HTTPAccessLogEntry{entry}}},
	})
	if err != nil || len(records) != 1 {
		t.Fatalf("%+v, %v", records, err)
	}
	got := records[0]
	if got.Kind != audit.KindAnswer || got.Status != 400 || got.Method != http.MethodGet || got.Host != "api.example.org" ||
		got.Path != "/v1�/x" || got.RequestID != "id-1" || got.Detail != "path_normalization_failed" || got.Allowed {
		t.Errorf("%+v", got)
	}
}

func TestOnlyTheGatewaysOwnProxiesTellOfIt(t *testing.T) {
	stranger := func(context.Context) (asker.Asker, error) { return asker.Asker{}, errors.New("no certificate") }
	for name, test := range map[string]struct {
		config accesslog.Config
		log    string
		code   codes.Code
		kept   int
	}{
		"its own":                 {log: "edge/https", kept: 1},
		"another group's gateway": {log: "inner/https", code: codes.PermissionDenied},
		"nobody known":            {config: accesslog.Config{Identify: stranger}, log: "edge/https", code: codes.PermissionDenied},
		"a gateway not yet known": {log: "new/https"},
		"no name":                 {log: "", code: codes.InvalidArgument},
		"no listener":             {log: "edge", code: codes.InvalidArgument},
	} {
		records, err := tell(t, test.config, log(test.log, refused(expired)))
		if status.Code(err) != test.code || len(records) != test.kept {
			t.Errorf("%s: %d records, error %v", name, len(records), err)
		}
	}
}

func TestAFloodIsCountedAndNotKept(t *testing.T) {
	all := &shelf{}
	var flood []*entryv3.TCPAccessLogEntry
	for range 50 {
		flood = append(flood, refused(expired))
	}
	records, err := tell(t, accesslog.Config{Rate: 10, Tally: all}, log("edge/https", flood...))
	if err != nil || len(records) != 10 || len(all.records) != 50 {
		t.Errorf("%d kept and %d counted, error %v", len(records), len(all.records), err)
	}
}
