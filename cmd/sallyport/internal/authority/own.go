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

// Own is the certificate by which a server that holds the authority of our own processes is itself one of them. It is issued
// when it is first needed, and again after two thirds of its life. It is safe for concurrent use.
type Own struct {
	Issuer   *issuer.Issuer
	Identity spiffe.Identity
	Logger   hclog.Logger
	Clock    func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	renewal time.Time
}

// Get returns the certificate, behind which stands that of its authority: whoever has pinned the authority finds it there.
func (o *Own) Get() (*tls.Certificate, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now, signer := o.Clock(), o.Issuer.Active()
	if o.current != nil && now.Before(o.renewal) && o.current.Leaf.CheckSignatureFrom(signer) == nil {
		return o.current, nil
	}
	identity := o.Identity.String()
	issued, err := o.Issuer.Issue(context.Background(), issuer.Order{ // a handshake's end must not undo it
		Consumer: identity, Profile: profileOf(o.Identity), CommonName: o.Identity.Name, URIs: []string{identity}, RequestedBy: identity,
	})
	if err != nil {
		o.Logger.Error("no certificate could be issued for the server itself", "identity", identity, "error", err)
		if o.current != nil && now.Before(o.current.Leaf.NotAfter) {
			return o.current, nil
		}
		return nil, err
	}
	certificate := issued.Pair.TLS()
	if len(certificate.Certificate) == 1 { // no intermediate: the signer is the root, which the pair leaves out
		certificate.Certificate = append(certificate.Certificate, signer.Raw)
	}
	o.current, o.renewal = &certificate, now.Add(certificate.Leaf.NotAfter.Sub(now)*2/3)
	return o.current, nil
}
