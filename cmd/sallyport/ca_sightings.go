package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/admin"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/register"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// lately is how far back it counts that somebody came with a certificate.
const lately = 30 * 24 * time.Hour

// seenFlags say which servers know who came with which certificate.
type seenFlags struct{ sockets []string }

func (f *seenFlags) flags(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.sockets, "admin-socket", nil, "admin socket of an authorization service, which knows who came lately with a certificate of the old generation; may be repeated")
}

// seen names who came lately with a certificate of an authority that is still valid.
func (f *seenFlags) seen(ctx context.Context, of *x509.Certificate) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	holders := []string{}
	for _, socket := range f.sockets {
		found, err := seenAt(ctx, socket, of, time.Now())
		if err != nil {
			return nil, admin.Explain(ctx, socket, err)
		}
		holders = append(holders, found...)
	}
	slices.Sort(holders)
	return slices.Compact(holders), nil
}

func seenAt(ctx context.Context, socket string, of *x509.Certificate, now time.Time) ([]string, error) {
	client, done, err := admin.DialCertificates(socket)
	if err != nil {
		return nil, err
	}
	defer done()
	stream, err := client.ListSightings(ctx, &adminv1.ListSightingsRequest{})
	if err != nil {
		return nil, err
	}
	var holders []string
	for {
		sighting, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return holders, nil
		}
		if err != nil {
			return nil, err
		}
		certificate, err := x509.ParseCertificate(sighting.GetCertificate())
		if err != nil || now.After(certificate.NotAfter) || sighting.GetLastSeen().AsTime().Before(now.Add(-lately)) || certificate.CheckSignatureFrom(of) != nil {
			continue
		}
		holder := sighting.GetConsumer()
		if holder == "" {
			holder = certificate.Subject.String()
		}
		holders = append(holders, fmt.Sprintf("%s (serial %s, last seen %s)", holder, register.Serial(certificate.SerialNumber), at(sighting.GetLastSeen())))
	}
}

// refuseSeen keeps a generation from being retired whose certificates are in use.
func (f *seenFlags) refuseSeen(ctx context.Context, opened *issuer.Issuer, number int) error {
	signer, err := signerOf(ctx, opened, number)
	if err != nil || signer == nil {
		return err // that there is no such generation is told by Retire
	}
	holders, err := f.seen(ctx, signer)
	if err != nil || len(holders) == 0 {
		return err
	}
	return fmt.Errorf("these came lately with certificates of generation %d: %s; renew them first, or retire it nevertheless with --force", number, strings.Join(holders, ", "))
}

// signerOf is the certificate of a generation that issues; nil if none in force has the number.
func signerOf(ctx context.Context, opened *issuer.Issuer, number int) (*x509.Certificate, error) {
	description, err := opened.Describe(ctx)
	if err != nil {
		return nil, err
	}
	for _, generation := range description.Generations {
		if generation.Number != number || len(generation.Authorities) == 0 {
			continue
		}
		digest := generation.Authorities[len(generation.Authorities)-1].SHA256
		for _, signer := range opened.Signers() {
			if register.Digest(signer.Raw) == digest {
				return signer, nil
			}
		}
	}
	return nil, nil
}
