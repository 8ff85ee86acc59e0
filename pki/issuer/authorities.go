package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
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

// Active is the certificate of the authority that issues now. Another process may have brought it in.
func (i *Issuer) Active() (*x509.Certificate, error) {
	active, err := i.active()
	if err != nil {
		if err := i.loadGenerations(); err != nil {
			return nil, err
		}
		active, err = i.active()
	}
	if err != nil {
		return nil, err
	}
	return active.signer(), nil
}

// HasIssued reports whether an authority of the home has signed a certificate, also one that is retired.
func (i *Issuer) HasIssued(certificate *x509.Certificate) bool {
	return i.findIssuer(certificate) != nil
}

// vouch returns why no authority of the home has signed what a line of the register tells of. Lines that this home has seen
// before are not looked at again: Register makes sure that they are the same.
func (i *Issuer) vouch(line uint64, issued *register.Issued) error {
	if line <= i.vouched.Load() {
		return nil
	}
	authority := i.findAuthority(issued.IssuerSHA256)
	if authority == nil { // another process may have brought it in
		if err := i.loadGenerations(); err != nil {
			return err
		}
		if authority = i.findAuthority(issued.IssuerSHA256); authority == nil {
			return fmt.Errorf("the home has no authority %s: copy the folder of its generation here if it is one of yours", issued.IssuerSHA256)
		}
	}
	certificate, err := x509.ParseCertificate(issued.Certificate)
	if err != nil {
		return err
	}
	return certificate.CheckSignatureFrom(authority)
}

// findAuthority looks among all that the home has or had, those above the issuing ones included.
func (i *Issuer) findAuthority(digest string) *x509.Certificate {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, generations := range [][]*generation{i.generations, i.retired} {
		for _, generation := range generations {
			for _, authority := range generation.chain() {
				if issuedBy(authority) == digest {
					return authority
				}
			}
		}
	}
	return nil
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
