package issuer

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
)

// Revocation is what is to be revoked.
type Revocation struct {
	// Certificate is a serial number or the SHA-256 of a certificate, in hex. Consumer instead is all certificates of one
	// that have not expired.
	Certificate, Consumer string
	Reason                ca.ReasonCode
	// At is when it takes effect, now if zero. In the future, it is scheduled.
	At time.Time
	// RequestedBy is the person or program that asks.
	RequestedBy string
}

// Revoke enters revocations into the register, and returns what it then says of each certificate. One that is revoked
// by then already stays as it is, so that asking twice does no harm. Nobody is refused before the list is published.
func (i *Issuer) Revoke(ctx context.Context, order Revocation) ([]register.Certificate, error) {
	now := i.config.Clock()
	if order.At.IsZero() {
		order.At = now
	}
	if order.Reason == ca.CertificateHold {
		return nil, errors.New("revoke: a revocation is for good; to shut somebody out for a while, suspend the consumer")
	}
	var names []string
	entries, err := i.append(ctx, func(current *register.Register) ([]register.Record, error) {
		found, err := order.find(current, now)
		if err != nil {
			return nil, err
		}
		names = nil
		var records []register.Record
		for _, certificate := range found {
			names = append(names, certificate.CertificateSHA256)
			if !certificate.RevokedAt(order.At) {
				records = append(records, register.Record{
					Revoked: register.NewRevoked(&certificate.Issued, order.Reason.String(), order.At, order.RequestedBy),
				})
			}
		}
		return records, nil
	})
	if err != nil {
		return nil, fmt.Errorf("revoke: %w", err)
	}
	for _, entry := range entries {
		i.config.Logger.Info("certificate revoked", "serial", entry.Revoked.Serial, "reason", entry.Revoked.Reason,
			"at", entry.Revoked.At, "requested_by", order.RequestedBy, "entry", entry.Sequence)
	}
	current, err := i.Register(ctx)
	if err != nil {
		return nil, err
	}
	var revoked []register.Certificate
	for _, name := range names {
		if certificate, found := current.Certificate(name); found {
			revoked = append(revoked, certificate)
		}
	}
	return revoked, nil
}

func (o Revocation) find(current *register.Register, now time.Time) ([]register.Certificate, error) {
	if (o.Certificate == "") == (o.Consumer == "") {
		return nil, errors.New("name one certificate, or the consumer whose certificates are meant")
	}
	if o.Consumer != "" {
		found := slices.DeleteFunc(current.OfConsumer(o.Consumer), func(c register.Certificate) bool { return now.After(c.NotAfter) })
		if len(found) == 0 {
			return nil, fmt.Errorf("the register knows no certificate of %q that is in force", o.Consumer)
		}
		return found, nil
	}
	found := current.Find(o.Certificate)
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("the register knows no certificate %q: import it first if this authority has issued it", o.Certificate)
	case 1:
		return found, nil
	default:
		return nil, fmt.Errorf("%d certificates are called %q: name the one that is meant by its SHA-256", len(found), o.Certificate)
	}
}

// Import is a certificate that the authority issued before there was a register.
type Import struct {
	Certificate *x509.Certificate
	// Consumer is whose it is; empty if that is not known.
	Consumer string
}

// importBatch is how many certificates are entered at once.
const importBatch = 200

// ImportCertificates enters certificates into the register, and returns how many it did not know yet. All of them must be
// signed by an authority of the home, also a retired one; otherwise none is entered.
func (i *Issuer) ImportCertificates(ctx context.Context, imports []Import, requestedBy string) (entered int, err error) {
	if err := i.loadGenerations(); err != nil {
		return 0, err
	}
	var records []register.Record
	var refused []error
	seen := map[string]bool{}
	for position, one := range imports {
		issuer := i.findIssuer(one.Certificate)
		if issuer == nil {
			refused = append(refused, fmt.Errorf("certificate %d, %q (serial %x): it was not issued by this authority",
				position+1, one.Certificate.Subject, one.Certificate.SerialNumber))
			continue
		}
		record := register.NewIssued(one.Certificate, issuer)
		record.Source, record.Consumer, record.RequestedBy = register.Imported, one.Consumer, requestedBy
		if one.Certificate.IsCA {
			record.Profile = authorityProfile
		}
		if !seen[record.CertificateSHA256] {
			seen[record.CertificateSHA256] = true
			records = append(records, register.Record{Issued: record})
		}
	}
	if len(refused) > 0 {
		return 0, fmt.Errorf("nothing was imported: %w", errors.Join(refused...))
	}
	for len(records) > 0 {
		batch := records[:min(importBatch, len(records))]
		entries, err := i.append(ctx, func(current *register.Register) ([]register.Record, error) { return unknown(current, batch), nil })
		if err != nil {
			return entered, fmt.Errorf("import certificates, after %d: %w", entered, err)
		}
		entered += len(entries)
		records = records[len(batch):]
	}
	return entered, nil
}

func unknown(current *register.Register, records []register.Record) []register.Record {
	var fresh []register.Record
	for _, record := range records {
		if _, known := current.Certificate(record.Issued.CertificateSHA256); !known {
			fresh = append(fresh, record)
		}
	}
	return fresh
}

// findIssuer looks among all authorities that the home has or had.
func (i *Issuer) findIssuer(certificate *x509.Certificate) *x509.Certificate {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, generations := range [][]*generation{i.generations, i.retired} {
		for _, generation := range generations {
			if issuer := generation.findIssuer(certificate); issuer != nil {
				return issuer
			}
		}
	}
	return nil
}
