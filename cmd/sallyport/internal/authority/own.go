package authority

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// The pauses after a certificate that could not be issued: whoever connects meanwhile costs nothing.
const (
	firstPause = time.Second
	lastPause  = time.Minute
)

// Own is the certificate by which a server that holds the authority of our own processes is itself one of them. It is issued
// when it is first needed, again after two thirds of its life, and when another authority issues. It is safe for concurrent use.
type Own struct {
	Issuer   *issuer.Issuer
	Identity spiffe.Identity
	Logger   hclog.Logger
	Clock    func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	renewal time.Time
	// failure is why the last could not be issued, which is tried again at retry and then after a pause.
	failure error
	retry   time.Time
	pause   time.Duration
}

// Get returns the certificate, behind which stands that of its authority: whoever has pinned the authority finds it there.
// Where none can be issued, the last one is returned as long as it is valid.
func (o *Own) Get() (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.Clock()
	if o.failure == nil || !now.Before(o.retry) {
		o.failure = o.provide(now)
		o.backOff(now)
	}
	if o.failure == nil || o.current != nil && now.Before(o.current.Leaf.NotAfter) {
		return o.current, nil
	}
	return nil, o.failure
}

// backOff says when a failure is looked at again.
func (o *Own) backOff(now time.Time) {
	if o.failure == nil {
		o.pause = 0
		return
	}
	o.pause = min(max(2*o.pause, firstPause), lastPause)
	o.retry = now.Add(o.pause)
	o.Logger.Error("no certificate could be issued for the server itself, trying again", "identity", o.Identity.String(), "error", o.failure, "in", o.pause)
}

// provide has a certificate issued if that is due.
func (o *Own) provide(now time.Time) error {
	signer, err := o.Issuer.Active()
	if err != nil {
		return err
	}
	if o.current != nil && now.Before(o.renewal) && o.current.Leaf.CheckSignatureFrom(signer) == nil {
		return nil
	}
	identity := o.Identity.String()
	issued, err := o.Issuer.Issue(context.Background(), issuer.Order{ // a handshake's end must not undo it
		Consumer: identity, Profile: profileOf(o.Identity), CommonName: o.Identity.Name, URIs: []string{identity}, RequestedBy: identity,
	})
	if err != nil {
		return err
	}
	certificate := issued.Pair.TLS()
	if len(certificate.Certificate) == 1 { // no intermediate: the signer is the root, which the pair leaves out
		certificate.Certificate = append(certificate.Certificate, signer.Raw)
	}
	o.current, o.renewal = &certificate, now.Add(certificate.Leaf.NotAfter.Sub(now)*2/3)
	return nil
}
