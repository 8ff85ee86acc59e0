package inventory

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// issuance is a certificate that we issued, and what it was issued for.
type issuance struct {
	// Request is a hash of the authority and everything that it was asked for.
	Request string `json:"request"`
	// IssuedAt is when, because notBefore lies a little earlier.
	IssuedAt time.Time `json:"issued_at"`
	// CertificatePEM is the chain without the root.
	CertificatePEM string `json:"certificate"`
	PrivateKeyPEM  string `json:"private_key"`
}

// retryIssuing is how long to wait after a certificate could not be issued.
const retryIssuing = 30 * time.Second

// issue returns the certificate that was issued for the same request by the same authority, as long as it is not yet to
// be renewed; else a new one.
func (l *look) issue(name string, signer *ca.Authority, request ca.Request) (*KeyPair, error) {
	wanted, err := requestHash(signer, request)
	if err != nil {
		return nil, err
	}
	if pair, kept := l.keepIssued(name, signer, wanted); kept {
		return pair, nil
	}
	issued, err := signer.Issue(request)
	if err != nil {
		l.due(l.now.Add(retryIssuing))
		return nil, err
	}
	fresh := issuance{
		Request: wanted, IssuedAt: l.now,
		CertificatePEM: string(issued.ChainPEM()), PrivateKeyPEM: string(issued.PrivateKeyPEM),
	}
	if err := l.state.saveIssued(name, fresh); err != nil {
		l.logger.Warn("an issued certificate cannot be kept over a restart", "name", name, "error", err)
	}
	pair, err := fresh.keyPair(name, l.now)
	if err != nil {
		return nil, fmt.Errorf("read back what was issued: %w", err)
	}
	l.logger.Info("certificate issued", "name", name, "subject", pair.Leaf.Subject, "not_after", pair.Leaf.NotAfter, "sha256", pair.Hash)
	l.remember(name, fresh, pair, signer)
	return pair, nil
}

// keepIssued looks for a certificate that still does, in memory and then in the state folder.
func (l *look) keepIssued(name string, signer *ca.Authority, wanted string) (*KeyPair, bool) {
	known, found := l.memory.issued[name]
	if !found {
		var err error
		if known, found, err = l.state.loadIssued(name); err != nil {
			l.logger.Warn("a kept certificate cannot be read, issuing another", "name", name, "error", err)
		}
	}
	if !found || known.Request != wanted {
		return nil, false
	}
	pair, err := known.keyPair(name, l.now)
	if err != nil || pair.Leaf.CheckSignatureFrom(signer.Certificate()) != nil || !l.now.Before(known.renewal(pair, signer)) {
		return nil, false
	}
	l.remember(name, known, pair, signer)
	return pair, true
}

func (l *look) remember(name string, issuance issuance, pair *KeyPair, signer *ca.Authority) {
	l.issued[name] = issuance
	l.due(issuance.renewal(pair, signer))
}

// renewal is when two thirds of a certificate's life are over; or all of it, where a new one would end no later, because
// the authority itself ends then.
func (i issuance) renewal(pair *KeyPair, signer *ca.Authority) time.Time {
	if !pair.Leaf.NotAfter.Before(signer.Certificate().NotAfter) {
		return pair.Leaf.NotAfter
	}
	return i.IssuedAt.Add(pair.Leaf.NotAfter.Sub(i.IssuedAt) * 2 / 3)
}

func (i issuance) keyPair(name string, now time.Time) (*KeyPair, error) {
	return ParseKeyPair(name, []byte(i.CertificatePEM), []byte(i.PrivateKeyPEM), now)
}

func requestHash(signer *ca.Authority, request ca.Request) (string, error) {
	encoded, err := json.Marshal(request)
	if err != nil {
		return "", fmt.Errorf("hash the request: %w", err)
	}
	return contentHash(signer.Certificate().Raw, encoded), nil
}
