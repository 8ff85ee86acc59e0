package admin

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/expiry"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Certificates tells what ends when. It is safe for concurrent use.
type Certificates struct {
	adminv1.UnimplementedCertificatesServiceServer
	// List returns what ends, the most urgent first; usually that of expiry.Sources.
	List func(now time.Time) []expiry.Row
	// Refusals are the handshakes that proxies refused; nil where the process hears of none.
	Refusals func() []sightings.Refusals
	// Sightings are the certificates that gateways met; nil where the process hears of none.
	Sightings func() []sightings.Sighting
	// Clock is time.Now if nil.
	Clock func() time.Time
}

// ListCertificates lists what is chosen.
func (c *Certificates) ListCertificates(_ context.Context, request *adminv1.ListCertificatesRequest) (*adminv1.ListCertificatesResponse, error) {
	now := time.Now()
	if c.Clock != nil {
		now = c.Clock()
	}
	within := request.GetExpiring()
	if within != nil && within.CheckValid() != nil {
		return nil, status.Error(codes.InvalidArgument, "expiring is no duration")
	}
	response := &adminv1.ListCertificatesResponse{}
	for _, r := range c.List(now) {
		if r.Superseded && !request.GetSuperseded() ||
			within != nil && r.NotAfter.Sub(now) > within.AsDuration() ||
			request.GetConsumer() != "" && request.GetConsumer() != r.Consumer {
			continue
		}
		response.Certificates = append(response.Certificates, knownCertificate(r))
	}
	if c.Refusals != nil && request.GetConsumer() == "" {
		for _, f := range c.Refusals() {
			response.RefusedHandshakes = append(response.RefusedHandshakes, &adminv1.RefusedHandshakes{
				Gateway: f.Gateway, Listener: f.Listener, Reason: string(f.Reason), Count: f.Count, Last: timeOf(f.Last),
				Subject: f.Subject, Serial: f.Serial, NotAfter: timeOf(f.NotAfter), Detail: f.Detail,
			})
		}
	}
	return response, nil
}

func knownCertificate(r expiry.Row) *adminv1.KnownCertificate {
	known := &adminv1.KnownCertificate{
		Kind: string(r.Kind), Name: r.Name, Gateway: r.Gateway, Consumer: r.Consumer, Subject: r.Subject, Issuer: r.Issuer,
		Serial: r.Serial, Sha256: r.SHA256, NotAfter: timeOf(r.NotAfter), LastSeen: timeOf(r.LastSeen), Requests: r.Requests,
		Urgency: r.Urgency.String(), Superseded: r.Superseded,
	}
	if r.LastReason != "" {
		known.LastDecision = "denied: " + string(r.LastReason)
		if r.LastAllowed {
			known.LastDecision = "allowed: " + string(r.LastReason)
		}
	}
	return known
}

// DialCertificates makes a client of a server's admin socket that tells what ends when, and returns how to close it. Nothing
// is sent yet.
func DialCertificates(path string) (adminv1.CertificatesServiceClient, func(), error) {
	connection, closeConnection, err := dial(path)
	return adminv1.NewCertificatesServiceClient(connection), closeConnection, err
}
