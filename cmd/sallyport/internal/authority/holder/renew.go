package holder

import (
	"context"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
)

// The pauses after a renewal that did not come about.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// Due is when a certificate is to be renewed: after two thirds of its life.
func Due(certificate *x509.Certificate) time.Time {
	return certificate.NotAfter.Add(-certificate.NotAfter.Sub(certificate.NotBefore) / 3)
}

// Run renews the certificate in time until the context ends, and then returns nil. What fails is tried again, until the
// certificate has run out or the server refuses, which is the error.
func (f Folder) Run(ctx context.Context, logger hclog.Logger) error {
	pair, err := f.Load()
	if err != nil {
		return err
	}
	next, pause := Due(pair.Leaf), firstPause
	for ctx.Err() == nil {
		timer := time.NewTimer(next.Sub(f.now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		renewed, err := f.Renew(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // we are ending, whatever came of it
		}
		now := f.now()
		switch {
		case errors.Is(err, ErrRefused):
			return err
		case err != nil:
			logger.Error("the certificate could not be renewed, trying again", "error", err, "in", pause)
			next, pause = now.Add(jitter(pause)), min(2*pause, lastPause)
		default:
			logger.Info("certificate renewed", "serial", renewed.SerialNumber.Text(16), "not_after", renewed.NotAfter)
			// Its life is counted from now, and not from its beginning, which lies a little before it was issued.
			next, pause = now.Add(jitter(renewed.NotAfter.Sub(now)*2/3)), firstPause
		}
	}
	return nil
}

// jitter shortens a wait by up to a tenth, so that many who began together do not come together.
func jitter(wait time.Duration) time.Duration {
	if wait <= 0 {
		return 0
	}
	return wait - rand.N(wait/10+1) //nolint:gosec // spreads load, and guards nothing
}
