package admin

import (
	"context"
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// ListSightings gives the certificates that truststores have vouched for.
func (c *Certificates) ListSightings(request *adminv1.ListSightingsRequest, stream grpc.ServerStreamingServer[adminv1.ListSightingsResponse]) error {
	if c.Sightings == nil {
		return status.Error(codes.FailedPrecondition, "this server decides no requests, so it has met no certificates: ask one with the role authz")
	}
	for _, s := range c.Sightings() {
		if !s.Vouched() || len(s.DER) == 0 || request.GetTruststore() != "" && request.GetTruststore() != s.Truststore {
			continue
		}
		if err := stream.Send(&adminv1.ListSightingsResponse{
			Gateway: s.Gateway, Consumer: s.Consumer, Truststore: s.Truststore, Certificate: s.DER,
			LastSeen: timeOf(s.LastSeen), Allowed: s.Allowed, Requests: s.Requests, Intermediates: s.Intermediates,
		}); err != nil {
			return err
		}
	}
	return nil
}

// Sightings asks the server with an admin socket for the certificates that a truststore has vouched for, at all its gateways.
func Sightings(ctx context.Context, path, truststore string) ([]*adminv1.ListSightingsResponse, error) {
	client, closeClient, err := DialCertificates(path)
	if err != nil {
		return nil, err
	}
	defer closeClient()
	stream, err := client.ListSightings(ctx, &adminv1.ListSightingsRequest{Truststore: truststore})
	if err != nil {
		return nil, Explain(ctx, path, err)
	}
	var seen []*adminv1.ListSightingsResponse
	for {
		one, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return seen, nil
		case err != nil:
			return nil, Explain(ctx, path, err)
		}
		seen = append(seen, one)
	}
}
