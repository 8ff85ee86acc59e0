package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"path/filepath"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

// Adoption describes an authority that exists.
type Adoption struct {
	// Settings become ca.yaml. Name is the common name of the certificate if empty.
	Settings Settings
	// Certificates are the authority's certificate in PEM, and those above it that are known, up to the root.
	Certificates []byte
	// PrivateKey is its private key in PEM, which may be encrypted: then it stays so. It is nil where Key says where it is.
	PrivateKey []byte
	// Key is a reference to where the private key is, file: or awskms:.
	Key string
	// Passphrase encrypts a private key that is not encrypted yet, if it is not empty.
	Passphrase []byte
	// RequestedBy is the person or program that asks, for the register.
	RequestedBy string
}

// Adopt makes a home for an authority that exists. What it has issued before comes into the register by Import.
func Adopt(ctx context.Context, config Config, adoption Adoption) (*Issuer, error) {
	chain, err := ca.ParseCertificates(adoption.Certificates)
	if err != nil {
		return nil, fmt.Errorf("adopt an authority: %w", err)
	}
	if adoption.Settings.Name == "" {
		adoption.Settings.Name = commonName(chain[0])
	}
	return found(ctx, config, adoption.Settings, func(i *Issuer, folder string) ([]register.Record, error) {
		return i.adoptGeneration(ctx, folder, chain, adoption)
	})
}

// adoptGeneration writes an authority that exists into a folder. It must be able to sign.
func (i *Issuer) adoptGeneration(ctx context.Context, folder string, chain []*x509.Certificate, adoption Adoption) ([]register.Record, error) {
	selfSigned := ca.IsSelfSigned(chain[0])
	name := issuingName
	if selfSigned {
		name = rootName
	}
	if err := writeChain(folder, chain); err != nil {
		return nil, err
	}
	if err := placeAdoptedKey(folder, name, adoption); err != nil {
		return nil, err
	}
	adopted, err := loadGeneration(folder, 1)
	if err != nil {
		return nil, err
	}
	authority, err := i.loadAuthority(ctx, adopted, name)
	if err != nil {
		return nil, fmt.Errorf("adopt an authority: %w", err)
	}
	if err := i.trySigning(authority); err != nil {
		return nil, fmt.Errorf("adopt an authority: %w", err)
	}
	if len(chain) == 1 || selfSigned {
		return nil, nil
	}
	record := register.NewIssued(chain[0], chain[1])
	record.Profile, record.RequestedBy, record.Source = authorityProfile, adoption.RequestedBy, register.Imported
	return []register.Record{{Issued: record}}, nil
}

// trySigning finds out at once whether an authority may sign lists.
func (i *Issuer) trySigning(authority *ca.Authority) error {
	now := i.config.Clock()
	_, err := authority.SignRevocationList(ca.RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour)})
	return err
}

func writeChain(folder string, chain []*x509.Certificate) error {
	var issuing []byte
	for position, certificate := range chain {
		if ca.IsSelfSigned(certificate) {
			if position != len(chain)-1 {
				return errors.New("adopt an authority: a root must stand last among its certificates")
			}
			if err := atomicfile.Replace(ca.FilesIn(folder, rootName).Certificate, ca.EncodeCertificate(certificate), 0o644); err != nil {
				return err
			}
			continue
		}
		issuing = append(issuing, ca.EncodeCertificate(certificate)...)
	}
	if len(issuing) == 0 {
		return nil
	}
	return atomicfile.Replace(ca.FilesIn(folder, issuingName).Certificate, issuing, 0o644)
}

// placeAdoptedKey writes the key, or where it is. A relative path is meant from the working folder.
func placeAdoptedKey(folder, name string, adoption Adoption) error {
	if adoption.Key == "" {
		return writeAdoptedKey(folder, name, adoption)
	}
	reference, err := material.Parse(adoption.Key)
	if err != nil {
		return fmt.Errorf("adopt an authority: %w", err)
	}
	here, err := filepath.Abs(".")
	if err != nil {
		return fmt.Errorf("adopt an authority: %w", err)
	}
	place := reference.In(here).String()
	if name == rootName {
		return writeKeyPlaces(folder, keyPlaces{Root: place})
	}
	return writeKeyPlaces(folder, keyPlaces{Issuing: place})
}

func writeAdoptedKey(folder, name string, adoption Adoption) error {
	data := adoption.PrivateKey
	key, err := ca.ParsePrivateKey(data)
	switch {
	case errors.Is(err, ca.ErrEncrypted): // it stays so
	case err != nil:
		return fmt.Errorf("adopt an authority: %w", err)
	case len(adoption.Passphrase) > 0:
		data, err = ca.EncryptPrivateKey(key, adoption.Passphrase)
	default:
		data, err = ca.EncodePrivateKey(key)
	}
	if err != nil && !errors.Is(err, ca.ErrEncrypted) {
		return fmt.Errorf("adopt an authority: %w", err)
	}
	return atomicfile.Replace(ca.FilesIn(folder, name).PrivateKey, data, 0o600)
}
