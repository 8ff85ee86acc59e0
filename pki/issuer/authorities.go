package issuer

import (
	"context"
	"crypto/x509"
	"errors"

	"github.com/sallyport-project/sallyport/pki/material"
)

// Signers are the certificates of the authorities in force whose keys issue and sign lists, the oldest generation first.
// The lists of all of them are published together, under one number.
func (i *Issuer) Signers() []*x509.Certificate {
	var signers []*x509.Certificate
	for _, generation := range i.inForce() {
		signers = append(signers, generation.signer())
	}
	return signers
}

// Active is the certificate of the authority that issues now; nil only if the home is broken, which Open refuses.
func (i *Issuer) Active() *x509.Certificate {
	active, err := i.active()
	if err != nil {
		return nil
	}
	return active.signer()
}

// Chain are the authorities in force between a certificate that the home has issued and its root, its issuer first: what
// its owner presents beside it. It is empty where the root itself issued it, or nobody in force did.
func (i *Issuer) Chain(certificate *x509.Certificate) []*x509.Certificate {
	for _, generation := range i.inForce() {
		issuer := generation.findIssuer(certificate)
		for n, authority := range generation.issuing {
			if issuer != nil && authority.Equal(issuer) {
				return generation.issuing[n:]
			}
		}
	}
	return nil
}

// Unlock loads the keys that issue and sign lists, so that what keeps one from being used shows now. Whoever has the
// passphrases is asked for them.
func (i *Issuer) Unlock(ctx context.Context) error {
	for _, generation := range i.inForce() {
		if _, err := i.authority(ctx, generation, issuingName); err != nil {
			return err
		}
	}
	return nil
}

// Publication is the first of the places where the list is published.
func (i *Issuer) Publication() (material.Reference, error) {
	if len(i.publish) == 0 {
		return material.Reference{}, errors.New("the authority publishes nowhere")
	}
	return i.publish[0], nil
}
