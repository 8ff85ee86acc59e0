package inventory

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// authority is an Authority resource's value: a certificate, and the key where it is needed.
type authority struct {
	certificate *x509.Certificate
	signer      *ca.Authority // nil if nothing is issued
}

func (l *look) lookAtAuthority(name string, spec *sallyportv1.AuthoritySpec) {
	found, err := l.findAuthority(name, spec)
	if err == nil {
		err = l.refuse(found.certificate)
	}
	if err == nil {
		l.authorities[name] = found
		return
	}
	lastGood := l.memory.authorities[name]
	if lastGood != nil {
		l.authorities[name] = lastGood
	}
	l.problem(KindAuthority, name, err, lastGood != nil)
}

func (l *look) findAuthority(name string, spec *sallyportv1.AuthoritySpec) (*authority, error) {
	switch {
	case l.config.Substitute:
		return l.developmentAuthority(developmentKey{ofAuthority, name})
	case spec.GetDevelopment() != nil:
		if !l.config.AllowDevelopment {
			return nil, errDevelopment
		}
		return l.developmentAuthority(developmentKey{ofAuthority, name})
	case spec.GetMaterial() != nil:
		return l.authorityByMaterial(name, spec.GetMaterial())
	default:
		return nil, errors.New("it has no source that is supported")
	}
}

// authorityByMaterial reads the private key only if something is to be issued.
func (l *look) authorityByMaterial(name string, source *sallyportv1.AuthorityMaterial) (*authority, error) {
	certificatePEM, err := l.read(source.GetCertificate())
	if err != nil {
		return nil, fmt.Errorf("its certificate: %w", err)
	}
	if l.specs.signs(name) {
		return l.signingAuthority(certificatePEM, source)
	}
	certificates, err := ca.ParseCertificates(certificatePEM) // its own, then those above it
	if err != nil {
		return nil, err
	}
	if err := ca.CheckAuthority(certificates[0]); err != nil {
		return nil, err
	}
	return &authority{certificate: certificates[0]}, nil
}

func (l *look) signingAuthority(certificatePEM []byte, source *sallyportv1.AuthorityMaterial) (*authority, error) {
	if source.GetPrivateKey() == "" {
		return nil, errors.New("it issues certificates and has no private_key")
	}
	signer, err := l.loadAuthority(certificatePEM, source.GetPrivateKey())
	if err != nil {
		return nil, err
	}
	return &authority{certificate: signer.Certificate(), signer: signer}, nil
}

// loadAuthority brings a certificate together with its key: one that is read, or one that stays in a KMS.
func (l *look) loadAuthority(certificatePEM []byte, key string) (*ca.Authority, error) {
	if reference, err := material.Parse(key); err == nil && reference.Scheme == material.KMS {
		signer, err := l.kmsKey(reference)
		if err != nil {
			l.due(l.now.Add(retryIssuing))
			return nil, fmt.Errorf("its private key: %w", err)
		}
		return ca.LoadWith(certificatePEM, signer, l.config.Clock)
	}
	keyPEM, err := l.read(key)
	if err != nil {
		return nil, fmt.Errorf("its private key: %w", err)
	}
	return ca.Load(certificatePEM, keyPEM, l.config.Clock)
}

// kmsTimeout bounds how long a KMS may take to show a public key.
const kmsTimeout = 5 * time.Second

// kmsKey asks a KMS for a key once.
func (l *look) kmsKey(reference material.Reference) (crypto.Signer, error) {
	if err := l.config.Store.Allowed(reference); err != nil {
		return nil, err
	}
	if known := l.memory.kms[reference.Value]; known != nil {
		return known, nil
	}
	if l.config.KMS == nil {
		return nil, errors.New("no KMS can be reached from here")
	}
	ctx, cancel := context.WithTimeout(context.Background(), kmsTimeout) // a look belongs to no caller
	defer cancel()
	signer, err := l.config.KMS(ctx, reference.Value)
	if err != nil {
		return nil, err
	}
	l.memory.kms[reference.Value] = signer
	return signer, nil
}

// developmentAuthority returns one from memory, from the state folder, or makes it.
func (l *look) developmentAuthority(key developmentKey) (*authority, error) {
	signer := l.memory.development[key]
	if signer == nil {
		var err error
		if signer, err = l.state.developmentAuthority(key, l.config.Clock); err != nil {
			return nil, err
		}
		l.memory.development[key] = signer
	}
	return &authority{certificate: signer.Certificate(), signer: signer}, nil
}

// signers are the authorities whose keys are here.
func signers(authorities map[string]*authority) map[string]*ca.Authority {
	found := make(map[string]*ca.Authority, len(authorities))
	for name, authority := range authorities {
		if authority.signer != nil {
			found[name] = authority.signer
		}
	}
	return found
}
