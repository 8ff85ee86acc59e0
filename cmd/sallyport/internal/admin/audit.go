package admin

import (
	"encoding/json"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz/audit"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Audit shows audit records. It is safe for concurrent use.
type Audit struct {
	adminv1.UnimplementedAuditServiceServer
	// Feed has the records as they are made. Required.
	Feed *audit.Feed
	// Ring has the last ones; nil if none are remembered.
	Ring *audit.Ring
}

// TailAudit sends what is chosen until the caller ends it.
func (a *Audit) TailAudit(request *adminv1.TailAuditRequest, to grpc.ServerStreamingServer[adminv1.TailAuditResponse]) error {
	filter := audit.Filter{
		Denied: request.GetDenied(), Consumer: request.GetConsumer(), Gateway: request.GetGateway(), Reason: request.GetReason(),
		Kind: audit.Kind(request.GetKind()),
	}
	switch filter.Kind {
	case "", audit.KindDecision, audit.KindHandshake, audit.KindAnswer:
	default:
		return status.Errorf(codes.InvalidArgument, "expected the kind %s, %s or %s, found %q", audit.KindDecision, audit.KindHandshake, audit.KindAnswer, filter.Kind)
	}
	// First, so that none is missed between the two: one that comes just now may be sent twice.
	following := a.Feed.Follow(to.Context(), filter)
	if err := to.SendHeader(nil); err != nil { // the caller learns that it will be told
		return err
	}
	wanted := func(r audit.Record) bool { return filter.Accepts(r) && (!request.GetShadow() || len(r.Shadow) > 0) }
	if a.Ring != nil && request.GetLast() > 0 {
		for _, r := range a.Ring.Last(int(request.GetLast()), wanted) {
			if err := send(to, r, 0); err != nil {
				return err
			}
		}
	}
	if request.GetRememberedOnly() {
		return nil
	}
	for r := range following.Records() {
		if !wanted(r) {
			continue
		}
		if err := send(to, r, following.Missed()); err != nil {
			return err
		}
	}
	return status.FromContextError(to.Context().Err()).Err()
}

func send(to grpc.ServerStreamingServer[adminv1.TailAuditResponse], r audit.Record, missed uint64) error {
	content, err := json.Marshal(r)
	if err != nil {
		return status.Error(codes.Internal, "a record cannot be encoded")
	}
	return to.Send(&adminv1.TailAuditResponse{Json: string(content), Line: r.Line(), Missed: missed})
}

// DialAudit makes a client of a server's admin socket that shows audit records, and returns how to close it. Nothing is
// sent yet.
func DialAudit(path string) (adminv1.AuditServiceClient, func(), error) {
	connection, closeConnection, err := dial(path)
	return adminv1.NewAuditServiceClient(connection), closeConnection, err
}
