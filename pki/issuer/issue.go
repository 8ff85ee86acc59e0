package issuer

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
)

// Order is what is asked of an Issuer.
type Order struct {
	// Consumer is whose certificate it will be; empty for nobody's.
	Consumer string
	// Profile is ca.Partner if empty.
	Profile ca.Profile
	// CommonName is the Consumer's name if empty.
	CommonName string
	// DNSNames, IPAddresses and URIs are what the profile allows.
	DNSNames    []string
	IPAddresses []netip.Addr
	URIs        []string
	// Request is the certificate signing request, as ca.ParseCertificateRequest has accepted it. Only its public key is
	// taken. Nil: a key is made.
	Request *x509.CertificateRequest
	// Lifetime is the home's for the profile if zero, else ca's.
	Lifetime time.Duration
	// MostInForce is how many certificates the Consumer may have that are neither revoked nor expired, this one included; the
	// error for one more wraps ErrTooMany. Zero: any number.
	MostInForce int
	// RequestedBy is the person or program that asks.
	RequestedBy string
}

// Issued is a certificate that stands in the register.
type Issued struct {
	// Pair holds the certificate and its intermediates, and the private key where one was made. It is a secret.
	Pair ca.KeyPair
	// Entry is the register's.
	Entry register.Entry
	// Replaced is the certificate that was renewed, with its scheduled revocation; nil if none was.
	Replaced *register.Certificate
}

// Issue makes a certificate, enters it into the register, and then returns it. A public key that the register knows as
// another consumer's, or as compromised, is refused.
func (i *Issuer) Issue(ctx context.Context, order Order) (Issued, error) {
	issued, err := i.issue(ctx, i.request(order), order, nil)
	if err != nil {
		return Issued{}, fmt.Errorf("issue a certificate for %q: %w", order.name(), err)
	}
	return issued, nil
}

func (o Order) name() string {
	if o.Consumer != "" {
		return o.Consumer
	}
	return o.CommonName
}

// request is what the authority is asked for.
func (i *Issuer) request(order Order) ca.Request {
	request := ca.Request{
		Profile:  order.Profile,
		Subject:  pkix.Name{CommonName: order.CommonName},
		DNSNames: order.DNSNames, IPAddresses: order.IPAddresses, URIs: order.URIs,
		Lifetime: order.Lifetime,
	}
	if request.Profile == "" {
		request.Profile = ca.Partner
	}
	if request.Subject.CommonName == "" {
		request.Subject.CommonName = order.Consumer
	}
	if request.Lifetime == 0 {
		request.Lifetime = time.Duration(i.settings.Lifetimes[request.Profile])
	}
	if order.Request != nil {
		request.PublicKey = order.Request.PublicKey
	}
	return request
}

// issue signs, enters and returns. A renewal, if it is one, has its own word on what is entered.
func (i *Issuer) issue(ctx context.Context, request ca.Request, order Order, renewal *renewal) (Issued, error) {
	if err := i.loadGenerations(); err != nil { // another process may have brought one in
		return Issued{}, err
	}
	active, err := i.active()
	if err != nil {
		return Issued{}, err
	}
	authority, err := i.authority(ctx, active, issuingName)
	if err != nil {
		return Issued{}, err
	}
	pair, err := authority.Issue(request)
	if err != nil {
		return Issued{}, err
	}
	record := register.NewIssued(pair.Certificate, authority.Certificate())
	record.Consumer, record.Profile, record.RequestedBy = order.Consumer, string(request.Profile), order.RequestedBy
	entries, err := i.append(ctx, func(current *register.Register) ([]register.Record, error) {
		now := i.config.Clock()
		if err := checkKey(current, record); err != nil {
			return nil, err
		}
		if err := order.checkNumber(current, now); err != nil {
			return nil, err
		}
		return renewal.records(current, record, now)
	})
	if err != nil {
		return Issued{}, err
	}
	i.config.Logger.Info("certificate issued", "consumer", order.Consumer, "subject", record.Subject, "serial", record.Serial,
		"not_after", record.NotAfter, "requested_by", order.RequestedBy, "entry", entries[0].Sequence)
	return Issued{Pair: pair, Entry: entries[0]}, nil
}

// checkKey refuses a public key that must not be certified for whom it is asked.
func checkKey(current *register.Register, record *register.Issued) error {
	for _, known := range current.Find(record.SPKISHA256) {
		switch {
		case known.Consumer != record.Consumer:
			return fmt.Errorf("the public key is that of the consumer %q (serial %s): each has a key of its own", known.Consumer, known.Serial)
		case known.Revocation != nil && known.Revocation.Reason == ca.KeyCompromise.String():
			return fmt.Errorf("the public key was revoked as compromised (serial %s): have a new key made", known.Serial)
		}
	}
	return nil
}

// ErrTooMany is wrapped by the error for a consumer that has as many certificates as it may.
var ErrTooMany = errors.New("there are too many certificates in force")

func (o Order) checkNumber(current *register.Register, now time.Time) error {
	if o.MostInForce == 0 {
		return nil
	}
	if there := len(ofConsumer(current, o.Consumer, now, register.Active, register.Scheduled, register.Pending)); there >= o.MostInForce {
		return fmt.Errorf("%w: %d, and no more are given; revoke those that nobody uses, or wait until they run out", ErrTooMany, there)
	}
	return nil
}

// ofConsumer returns the certificates of a consumer that have one of the statuses; none for nobody's.
func ofConsumer(current *register.Register, consumer string, now time.Time, wanted ...register.Status) []register.Certificate {
	if consumer == "" {
		return nil
	}
	return slices.DeleteFunc(current.OfConsumer(consumer), func(c register.Certificate) bool { return !slices.Contains(wanted, c.StatusAt(now)) })
}

// Renewal is a certificate in the place of another.
type Renewal struct {
	// Certificate names the one that is renewed: its serial number or SHA-256, in hex. With Consumer alone, it is the
	// consumer's only one in force.
	Certificate, Consumer string
	// Request is a new certificate signing request; see Order. Nil: a key is made, unless SameKey is set.
	Request *x509.CertificateRequest
	// SameKey certifies the public key again that the consumer has.
	SameKey bool
	// Overlap is for how long both are valid. Then the old one is revoked as superseded, unless it has expired by then.
	Overlap time.Duration
	// Lifetime is as long as that of the old one if zero, the profile's longest at most.
	Lifetime time.Duration
	// MostInForce is as in an Order.
	MostInForce int
	// RequestedBy is the person or program that asks.
	RequestedBy string
}

// Renew makes a certificate of the same names for the same consumer, and schedules the revocation of the one that it
// replaces. Both are entered into the register at once. The list must be published when the overlap is over; Due says
// when.
func (i *Issuer) Renew(ctx context.Context, order Renewal) (Issued, error) {
	issued, err := i.renew(ctx, order)
	if err != nil {
		return Issued{}, fmt.Errorf("renew a certificate of %q: %w", order.Consumer+order.Certificate, err)
	}
	return issued, nil
}

func (i *Issuer) renew(ctx context.Context, order Renewal) (Issued, error) {
	if order.Overlap < 0 {
		return Issued{}, errors.New("the overlap must not be negative")
	}
	current, err := i.Register(ctx)
	if err != nil {
		return Issued{}, err
	}
	now := i.config.Clock()
	old, err := order.find(current, now)
	if err != nil {
		return Issued{}, err
	}
	certificate, err := x509.ParseCertificate(old.Certificate)
	if err != nil {
		return Issued{}, err
	}
	again, err := orderAgain(old, certificate)
	if err != nil {
		return Issued{}, err
	}
	again.RequestedBy, again.MostInForce = order.RequestedBy, order.MostInForce
	request := i.request(again)
	// What the old one says is written again as it stands, the rest of its subject included.
	request.Subject = certificate.Subject
	request.Lifetime = order.Lifetime
	if request.Lifetime == 0 {
		request.Lifetime = min(certificate.NotAfter.Sub(certificate.NotBefore), again.Profile.MaxLifetime())
	}
	if request.PublicKey, err = order.publicKey(certificate); err != nil {
		return Issued{}, err
	}
	issued, err := i.issue(ctx, request, again, &renewal{old: old.CertificateSHA256, overlap: order.Overlap, by: order.RequestedBy})
	if err != nil {
		return Issued{}, err
	}
	if replaced, found := current.Certificate(old.CertificateSHA256); found {
		issued.Replaced = &replaced
	}
	return issued, nil
}

// find returns the certificate that is meant. One that is revoked is not renewed.
func (o Renewal) find(current *register.Register, now time.Time) (register.Certificate, error) {
	var candidates []register.Certificate
	if o.Certificate != "" {
		candidates = current.Find(o.Certificate)
	} else {
		candidates = ofConsumer(current, o.Consumer, now, register.Active)
	}
	switch {
	case len(candidates) == 0:
		return register.Certificate{}, errors.New("the register knows none that could be renewed: issue one, or import those that were issued before")
	case len(candidates) > 1:
		return register.Certificate{}, fmt.Errorf("the register knows %d: name the one that is meant by its serial number", len(candidates))
	case candidates[0].RevokedAt(now):
		return register.Certificate{}, fmt.Errorf("the certificate %s is revoked (%s): issue a new one", candidates[0].Serial, candidates[0].Revocation.Reason)
	case candidates[0].Profile == authorityProfile:
		return register.Certificate{}, fmt.Errorf("the certificate %s is an authority's: bring in a new generation", candidates[0].Serial)
	case o.Consumer != "" && candidates[0].Consumer != o.Consumer:
		return register.Certificate{}, fmt.Errorf("the certificate %s is that of %q", candidates[0].Serial, candidates[0].Consumer)
	}
	return candidates[0], nil
}

// orderAgain orders what a certificate holds.
func orderAgain(old register.Certificate, certificate *x509.Certificate) (Order, error) {
	again := Order{
		Consumer: old.Consumer, Profile: ca.Profile(old.Profile), CommonName: certificate.Subject.CommonName,
		DNSNames: certificate.DNSNames,
	}
	for _, address := range certificate.IPAddresses {
		parsed, ok := netip.AddrFromSlice(address)
		if !ok {
			return Order{}, errors.New("it has an IP address that cannot be read")
		}
		again.IPAddresses = append(again.IPAddresses, parsed.Unmap())
	}
	for _, uri := range certificate.URIs {
		again.URIs = append(again.URIs, uri.String())
	}
	if again.Profile == "" { // imported
		again.Profile = profileOf(certificate)
	}
	return again, nil
}

// profileOf is the profile that a certificate of others comes closest to.
func profileOf(certificate *x509.Certificate) ca.Profile {
	switch {
	case slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageServerAuth) && !slices.Contains(certificate.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return ca.Server
	case len(certificate.DNSNames) > 0 || slices.ContainsFunc(certificate.IPAddresses, func(net.IP) bool { return true }) || certificate.Subject.CommonName == "":
		return ca.Client
	default:
		return ca.Partner
	}
}

func (o Renewal) publicKey(old *x509.Certificate) (crypto.PublicKey, error) {
	switch {
	case o.Request != nil && o.SameKey:
		return nil, errors.New("a signing request and the same key cannot both be wanted")
	case o.Request != nil:
		return o.Request.PublicKey, nil
	case o.SameKey:
		return old.PublicKey, nil
	default:
		return nil, nil //nolint:nilnil // no key is what asks the authority to make one
	}
}

// renewal says which certificate goes when a new one comes.
type renewal struct {
	old     string
	overlap time.Duration
	by      string
}

// records are what is entered for a new certificate, which is the first.
func (r *renewal) records(current *register.Register, issued *register.Issued, now time.Time) ([]register.Record, error) {
	if r == nil {
		return []register.Record{{Issued: issued}}, nil
	}
	old, found := current.Certificate(r.old)
	if !found || old.RevokedAt(now) {
		return nil, errors.New("the old certificate was revoked meanwhile")
	}
	issued.Replaces = old.CertificateSHA256
	records := []register.Record{{Issued: issued}}
	end := now.Add(r.overlap)
	if old.NotAfter.After(end) {
		records = append(records, register.Record{Revoked: register.NewRevoked(&old.Issued, ca.Superseded.String(), end, r.by)})
	}
	return records, nil
}
