package authority

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/register"
	"github.com/sallyport-project/sallyport/pki/revocation"
	"github.com/sallyport-project/sallyport/pki/signed"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Service is AuthorityService over homes. It is safe for concurrent use.
type Service struct {
	adminv1.UnimplementedAuthorityServiceServer
	// Issuers are the homes, by name.
	Issuers map[string]*issuer.Issuer
	// RequestedBy says who asks, for the register, by the context of a call.
	RequestedBy func(context.Context) string
	// Enrolment makes tokens; nil where nobody can enrol here.
	Enrolment *Enrolment
	// Clock is time.Now if nil.
	Clock func() time.Time
}

func (s *Service) now() time.Time {
	if s.Clock == nil {
		return time.Now()
	}
	return s.Clock()
}

// find returns the authority of a name, or the only one.
func (s *Service) find(name string) (string, *issuer.Issuer, error) {
	names := slices.Sorted(maps.Keys(s.Issuers))
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	found := s.Issuers[name]
	switch {
	case found != nil:
		return name, found, nil
	case name == "":
		return "", nil, status.Errorf(codes.InvalidArgument, "there are several authorities, %q: name one", names)
	default:
		return "", nil, status.Errorf(codes.NotFound, "there is no authority %q, only %q", name, names)
	}
}

// failed is an error of an authority in the form of the API. What a request lacks and what an authority cannot do are
// told alike: the words are for the person who asked.
func failed(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return status.FromContextError(err).Err()
	}
	if errors.Is(err, issuer.ErrTooMany) {
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	return status.Error(codes.FailedPrecondition, err.Error())
}

// ListAuthorities describes the authorities.
func (s *Service) ListAuthorities(ctx context.Context, _ *adminv1.ListAuthoritiesRequest) (*adminv1.ListAuthoritiesResponse, error) {
	response := &adminv1.ListAuthoritiesResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.Issuers)) {
		one := s.Issuers[name]
		described, err := one.Describe(ctx)
		if err != nil {
			return nil, failed(fmt.Errorf("%s: %w", name, err))
		}
		held := &adminv1.HeldAuthority{Name: name, BundlePem: string(one.Bundle()), RegisterEntries: described.Head.Count}
		for _, generation := range described.Generations {
			if last := len(generation.Authorities) - 1; generation.Active && last >= 0 { // the root stands first
				held.Subject, held.NotAfter = generation.Authorities[last].Subject, timestamppb.New(generation.Authorities[last].NotAfter)
			}
		}
		if last := described.Last; last != nil {
			held.ListNumber, held.ListNextUpdate = strconv.FormatUint(last.Number, 10), timestamppb.New(last.NextUpdate)
		}
		response.Authorities = append(response.Authorities, held)
	}
	return response, nil
}

// IssueCertificate signs the public key of a certificate request.
func (s *Service) IssueCertificate(ctx context.Context, request *adminv1.IssueCertificateRequest) (*adminv1.IssueCertificateResponse, error) {
	name, one, err := s.find(request.GetAuthority())
	if err != nil {
		return nil, err
	}
	csr, err := ca.ParseCertificateRequest([]byte(request.GetCertificateRequest()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	addresses, err := parseAddresses(request.GetIpAddresses())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	var issued issuer.Issued
	if request.GetReplaces() != "" {
		issued, err = one.Renew(ctx, issuer.Renewal{
			Certificate: request.GetReplaces(), Consumer: request.GetConsumer(), Request: csr,
			Overlap: request.GetOverlap().AsDuration(), Lifetime: request.GetLifetime().AsDuration(), RequestedBy: s.RequestedBy(ctx),
		})
	} else {
		issued, err = one.Issue(ctx, issuer.Order{
			Consumer: request.GetConsumer(), Profile: ca.Profile(request.GetProfile()), CommonName: request.GetCommonName(),
			DNSNames: request.GetDnsNames(), IPAddresses: addresses, URIs: request.GetUris(), Request: csr,
			Lifetime: request.GetLifetime().AsDuration(), RequestedBy: s.RequestedBy(ctx),
		})
	}
	if err != nil {
		return nil, failed(err)
	}
	entry := register.Certificate{Issued: *issued.Entry.Issued, Sequence: issued.Entry.Sequence, Recorded: issued.Entry.Time}
	return &adminv1.IssueCertificateResponse{
		Certificate: s.describe(name, entry), ChainPem: string(issued.Pair.ChainPEM()), Ignored: ca.Ignored(csr),
	}, nil
}

func parseAddresses(texts []string) ([]netip.Addr, error) {
	var addresses []netip.Addr
	for _, text := range texts {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		addresses = append(addresses, address)
	}
	return addresses, nil
}

// RevokeCertificates revokes, and publishes the list.
func (s *Service) RevokeCertificates(ctx context.Context, request *adminv1.RevokeCertificatesRequest) (*adminv1.RevokeCertificatesResponse, error) {
	name, one, err := s.find(request.GetAuthority())
	if err != nil {
		return nil, err
	}
	reason, err := ca.ParseReason(cmp.Or(request.GetReason(), ca.Unspecified.String()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	revoked, err := s.revoke(ctx, one, issuer.Revocation{
		Certificate: request.GetSerial(), Consumer: request.GetConsumer(), Reason: reason, RequestedBy: s.RequestedBy(ctx),
	})
	if err != nil {
		return nil, failed(err)
	}
	response := &adminv1.RevokeCertificatesResponse{}
	for _, certificate := range revoked {
		response.Certificates = append(response.Certificates, s.describe(name, certificate))
	}
	if response.Published, err = publish(ctx, one); err != nil {
		return nil, failed(fmt.Errorf("the revocation stands in the register, but is not published everywhere yet: %w; publish again with `sallyport ca crl`", err))
	}
	return response, nil
}

// revoke revokes, and withdraws the open tokens where the certificates are of our processes.
func (s *Service) revoke(ctx context.Context, one *issuer.Issuer, order issuer.Revocation) (revoked []register.Certificate, err error) {
	if s.Enrolment == nil {
		return one.Revoke(ctx, order)
	}
	identities, err := revokedIdentities(ctx, one, order)
	if err != nil {
		return nil, err
	}
	withdrawn, err := s.Enrolment.Revoke(identities, func() error {
		revoked, err = one.Revoke(ctx, order)
		return err
	})
	if err != nil && withdrawn > 0 {
		err = fmt.Errorf("%w; its open enrolment tokens are good for nothing now", err)
	}
	return revoked, err
}

// revokedIdentities are those of our processes whose certificates are to be revoked.
func revokedIdentities(ctx context.Context, one *issuer.Issuer, order issuer.Revocation) ([]spiffe.Identity, error) {
	consumers := []string{order.Consumer}
	if order.Certificate != "" {
		current, err := one.Register(ctx)
		if err != nil {
			return nil, err
		}
		for _, certificate := range current.Find(order.Certificate) {
			consumers = append(consumers, certificate.Consumer)
		}
	}
	var identities []spiffe.Identity
	for _, consumer := range consumers {
		if identity, err := spiffe.Parse(consumer); err == nil { // a partner is none
			identities = append(identities, identity)
		}
	}
	return identities, nil
}

// ListIssued lists certificates of the registers.
func (s *Service) ListIssued(ctx context.Context, request *adminv1.ListIssuedRequest) (*adminv1.ListIssuedResponse, error) {
	names := slices.Sorted(maps.Keys(s.Issuers))
	if request.GetAuthority() != "" {
		if _, _, err := s.find(request.GetAuthority()); err != nil {
			return nil, err
		}
		names = []string{request.GetAuthority()}
	}
	now := s.now()
	response := &adminv1.ListIssuedResponse{}
	for _, name := range names {
		current, err := s.Issuers[name].Register(ctx)
		if err != nil {
			return nil, failed(err)
		}
		for _, certificate := range current.Certificates(func(c *register.Certificate) bool { return wanted(c, request, now) }) {
			described := s.describe(name, certificate)
			if request.GetConsumer() != "" {
				described.ChainPem = chainOf(s.Issuers[name], certificate)
			}
			response.Certificates = append(response.Certificates, described)
		}
	}
	slices.SortStableFunc(response.Certificates, func(a, b *adminv1.IssuedCertificate) int {
		return a.GetNotAfter().AsTime().Compare(b.GetNotAfter().AsTime())
	})
	return response, nil
}

// chainOf is a certificate of the register with its intermediates, in PEM.
func chainOf(one *issuer.Issuer, entered register.Certificate) string {
	certificate, err := x509.ParseCertificate(entered.Certificate)
	if err != nil { // which the register has checked
		return ""
	}
	text := ca.EncodeCertificate(certificate)
	for _, authority := range one.Chain(certificate) {
		text = append(text, ca.EncodeCertificate(authority)...)
	}
	return string(text)
}

func wanted(c *register.Certificate, request *adminv1.ListIssuedRequest, now time.Time) bool {
	if request.GetConsumer() != "" && c.Consumer != request.GetConsumer() {
		return false
	}
	if within := request.GetExpiring(); within != nil && c.NotAfter.After(now.Add(within.AsDuration())) {
		return false
	}
	state := c.StatusAt(now)
	return request.GetAll() || state != register.Expired && state != register.RevokedNow
}

// PublishList makes and publishes a new revocation list.
func (s *Service) PublishList(ctx context.Context, request *adminv1.PublishListRequest) (*adminv1.PublishListResponse, error) {
	_, one, err := s.find(request.GetAuthority())
	if err != nil {
		return nil, err
	}
	response, err := publish(ctx, one)
	if err != nil {
		return nil, failed(err)
	}
	return response, nil
}

func publish(ctx context.Context, one *issuer.Issuer) (*adminv1.PublishListResponse, error) {
	made, err := one.Publish(ctx)
	if err != nil {
		return nil, err
	}
	return published(one, made), nil
}

// published tells of a publication.
func published(one *issuer.Issuer, made issuer.Published) *adminv1.PublishListResponse {
	response := &adminv1.PublishListResponse{
		Number: strconv.FormatUint(made.Number, 10), ThisUpdate: timestamppb.New(made.ThisUpdate), NextUpdate: timestamppb.New(made.NextUpdate),
		Warnings: made.Warnings,
	}
	for _, object := range made.Objects {
		place := object.Reference
		if object.Version != "" {
			place = place.AtVersion(object.Version)
		}
		response.Places = append(response.Places, place.String())
	}
	for _, signer := range one.Signers() {
		// A gateway that learns of the authority from callers alone knows its list by what that says of itself.
		response.Authorities = append(response.Authorities, revocation.AuthorityOf(signer).String(), revocation.ClaimOf(signer), signed.KeyID(signer.PublicKey))
	}
	return response
}

// CreateEnrolmentToken makes a token for one of our processes.
func (s *Service) CreateEnrolmentToken(ctx context.Context, request *adminv1.CreateEnrolmentTokenRequest) (*adminv1.CreateEnrolmentTokenResponse, error) {
	if s.Enrolment == nil {
		return nil, status.Error(codes.FailedPrecondition, "nobody can enrol at this server: it was started without --enrol-listen")
	}
	token, expires, err := s.Enrolment.Give(request.GetIdentity(), s.RequestedBy(ctx), request.GetLifetime().AsDuration())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &adminv1.CreateEnrolmentTokenResponse{Token: token.Text(), Expires: timestamppb.New(expires)}, nil
}

// describe is an entry of a register in the form of the API.
func (s *Service) describe(authority string, c register.Certificate) *adminv1.IssuedCertificate {
	described := &adminv1.IssuedCertificate{
		Serial: c.Serial, Subject: c.Subject, Names: c.Names, CertificateSha256: c.CertificateSHA256, SpkiSha256: c.SPKISHA256,
		NotBefore: timestamppb.New(c.NotBefore), NotAfter: timestamppb.New(c.NotAfter), Consumer: c.Consumer, RequestedBy: c.RequestedBy,
		Entered: timestamppb.New(c.Recorded), Authority: authority, Status: string(c.StatusAt(s.now())), Profile: c.Profile,
	}
	if c.Revocation != nil {
		described.Revoked, described.Reason = timestamppb.New(c.Revocation.At), c.Revocation.Reason
	}
	return described
}
