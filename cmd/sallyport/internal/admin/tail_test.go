package admin

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	"github.com/sallyport-project/sallyport/internal/serving"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// serve serves on an admin socket until the test ends, and returns its path.
func serve(t *testing.T, register func(*grpc.Server)) string {
	t.Helper()
	folder, err := os.MkdirTemp("", "admin") // short, because of the socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	path := filepath.Join(folder, "admin.sock")
	listener, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	register(server)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serving.GRPC(ctx, server, listener, time.Millisecond) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return path
}

// tailing begins to tail.
func tailing(ctx context.Context, t *testing.T, service *Audit, request *adminv1.TailAuditRequest) grpc.ServerStreamingClient[adminv1.TailAuditResponse] {
	t.Helper()
	path := serve(t, func(s *grpc.Server) { adminv1.RegisterAuditServiceServer(s, service) }) //nolint:contextcheck // it outlives the call
	client, closeClient, err := DialAudit(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeClient)
	stream, err := client.TailAudit(ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

func TestATailShowsTheLastRecordsAndThenThoseThatCome(t *testing.T) {
	ring, feed := audit.NewRing(10), audit.NewFeed()
	both := audit.Sinks{ring, feed}
	put := func(consumer, id string) {
		if err := both.Record(audit.Record{Kind: audit.KindDecision, RequestID: id, Consumer: consumer, Status: 403, Method: "GET", Path: "/", Reason: reason.PermissionMissing}); err != nil {
			t.Error(err)
		}
	}
	put("mapps", "1")
	put("mapps", "2")
	put("nsp", "3")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream := tailing(ctx, t, &Audit{Feed: feed, Ring: ring}, &adminv1.TailAuditRequest{Denied: true, Consumer: "mapps", Last: 1})
	want := func(id string) {
		t.Helper()
		got, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		var r struct {
			RequestID string `json:"request_id"`
		}
		if err := json.Unmarshal([]byte(got.GetJson()), &r); err != nil || r.RequestID != id || got.GetLine() != "403 GET /  mapps  permission_missing" {
			t.Errorf("%s %q, error %v, want %s", got.GetJson(), got.GetLine(), err, id)
		}
	}
	want("2")
	put("nsp", "4")
	put("mapps", "5")
	want("5")
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Error(err)
	}
}

func TestATailOfAKindThatIsNoneIsAMistake(t *testing.T) {
	stream := tailing(t.Context(), t, &Audit{Feed: audit.NewFeed()}, &adminv1.TailAuditRequest{Kind: "everything"})
	if _, err := stream.Recv(); status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}

func TestCertificatesAreChosenByTheirEndAndConsumer(t *testing.T) {
	noon := time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)
	row := func(consumer string, days int) expiry.Row {
		return expiry.Row{
			Kind: expiry.Consumer, Name: consumer, Consumer: consumer, NotAfter: noon.Add(time.Duration(days) * 24 * time.Hour),
			LastReason: reason.PermissionGranted, LastAllowed: true,
		}
	}
	old := row("mapps", 2)
	old.Superseded = true
	service := &Certificates{
		List: func(time.Time) []expiry.Row {
			return []expiry.Row{row("nsp", -1), row("mapps", 30), row("mapps", 90), old}
		},
		Refusals: func() []sightings.Refusals {
			return []sightings.Refusals{{Gateway: "edge", Reason: reason.CertificateExpired, Count: 2}}
		},
		Clock: func() time.Time { return noon },
	}
	client, closeClient, err := DialCertificates(serve(t, func(s *grpc.Server) { adminv1.RegisterCertificatesServiceServer(s, service) }))
	if err != nil {
		t.Fatal(err)
	}
	defer closeClient()
	for name, test := range map[string]struct {
		request             *adminv1.ListCertificatesRequest
		certificates, count int
	}{
		"everything":       {&adminv1.ListCertificatesRequest{}, 3, 1},
		"the old one also": {&adminv1.ListCertificatesRequest{Superseded: true}, 4, 1},
		"within 60 days":   {&adminv1.ListCertificatesRequest{Expiring: durationpb.New(60 * 24 * time.Hour)}, 2, 1},
		"what has ended":   {&adminv1.ListCertificatesRequest{Expiring: durationpb.New(0)}, 1, 1},
		"one consumer's":   {&adminv1.ListCertificatesRequest{Consumer: "mapps"}, 2, 0},
	} {
		got, err := client.ListCertificates(t.Context(), test.request)
		if err != nil || len(got.GetCertificates()) != test.certificates || len(got.GetRefusedHandshakes()) != test.count {
			t.Errorf("%s: %v, error %v", name, got, err)
			continue
		}
		if decision := got.GetCertificates()[0].GetLastDecision(); decision != "allowed: permission_granted" {
			t.Errorf("%s: last decision %q", name, decision)
		}
	}
	_, err = client.ListCertificates(t.Context(), &adminv1.ListCertificatesRequest{Expiring: &durationpb.Duration{Seconds: 1, Nanos: -1}})
	if status.Code(err) != codes.InvalidArgument {
		t.Error(err)
	}
}
