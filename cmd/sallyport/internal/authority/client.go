package authority

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/pki/issuer"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Authority is what verbs ask, wherever the keys are: AuthorityService without its transport. Errors are in words for people;
// one that says that the request itself is wrong wraps ErrMistake.
type Authority interface {
	ListAuthorities(context.Context, *adminv1.ListAuthoritiesRequest) (*adminv1.ListAuthoritiesResponse, error)
	IssueCertificate(context.Context, *adminv1.IssueCertificateRequest) (*adminv1.IssueCertificateResponse, error)
	RevokeCertificates(context.Context, *adminv1.RevokeCertificatesRequest) (*adminv1.RevokeCertificatesResponse, error)
	ListIssued(context.Context, *adminv1.ListIssuedRequest) (*adminv1.ListIssuedResponse, error)
	PublishList(context.Context, *adminv1.PublishListRequest) (*adminv1.PublishListResponse, error)
	CreateEnrolmentToken(context.Context, *adminv1.CreateEnrolmentTokenRequest) (*adminv1.CreateEnrolmentTokenResponse, error)
}

// ErrMistake is wrapped by errors that another request mends.
var ErrMistake = errors.New("the request is wrong")

// mistake keeps the words of an error and makes it one of ErrMistake.
type mistake struct{ words string }

// Error is the words.
func (m mistake) Error() string { return m.words }

// Is makes it one of ErrMistake.
func (mistake) Is(target error) bool { return target == ErrMistake }

// Local asks homes on this machine, in the name of the user who runs the process. What it issues is published at once: nobody
// else may be there to do so. A failure of that is told to the log, because the certificate is there nevertheless.
func Local(homes map[string]*issuer.Issuer, logger hclog.Logger) Authority {
	by := User()
	service := &Service{Issuers: homes, RequestedBy: func(context.Context) string { return by }}
	return asked{local{service, logger}, func(err error) error { return errors.New(status.Convert(err).Message()) }}
}

// local is a Service that publishes what it issues.
type local struct {
	*Service
	logger hclog.Logger
}

func (l local) IssueCertificate(ctx context.Context, r *adminv1.IssueCertificateRequest) (*adminv1.IssueCertificateResponse, error) {
	response, err := l.Service.IssueCertificate(ctx, r)
	if err != nil {
		return nil, err
	}
	if _, _, err := l.Issuers[response.GetCertificate().GetAuthority()].PublishIfDue(ctx); err != nil {
		l.logger.Warn("the certificate is issued, but not in the published index yet: `sallyport ca crl` publishes again", "error", err)
	}
	return response, nil
}

// DialSocket asks the server with an admin socket at a path, and returns how to close the connection. Nothing is sent yet.
func DialSocket(path string) (Authority, func(), error) {
	return dial("unix:"+path, insecure.NewCredentials(), func(err error) error { // the socket's mode guards it
		if _, missing := os.Stat(path); missing != nil {
			return fmt.Errorf("no server has its admin socket at %s: name the right one with --admin-socket, or an authority's home with --ca", path)
		}
		if status.Code(err) == codes.Unimplemented {
			return fmt.Errorf("the server at %s holds no certificate authority: start one with `--roles ca`, or name an authority's home with --ca", path)
		}
		return told(path, err)
	})
}

// DialServer asks a server that listens with --ca-listen, as an operator.
func DialServer(address string, settings *tls.Config) (Authority, func(), error) {
	return dial(address, credentials.NewTLS(settings), func(err error) error { return told(address, err) })
}

// told names who has refused, or did not answer.
func told(where string, err error) error {
	said := status.Convert(err)
	if said.Code() == codes.Unavailable {
		return fmt.Errorf("the server at %s does not answer: %s", where, said.Message())
	}
	return errors.New(said.Message())
}

func dial(target string, creds credentials.TransportCredentials, words func(error) error) (Authority, func(), error) {
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(creds))
	if err != nil {
		return nil, nil, fmt.Errorf("reach the server: %w", err)
	}
	return asked{remote{adminv1.NewAuthorityServiceClient(connection)}, words}, func() { _ = connection.Close() }, nil
}

// asked puts the errors of another Authority into words.
type asked struct {
	inner Authority
	words func(error) error
}

func ask[Q, A any](ctx context.Context, a asked, request Q, put func(context.Context, Q) (A, error)) (A, error) {
	answer, err := put(ctx, request)
	if err == nil {
		return answer, nil
	}
	var none A
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	switch status.Code(err) {
	case codes.InvalidArgument, codes.NotFound:
		return none, mistake{status.Convert(err).Message()}
	default:
		return none, a.words(err)
	}
}

func (a asked) ListAuthorities(ctx context.Context, r *adminv1.ListAuthoritiesRequest) (*adminv1.ListAuthoritiesResponse, error) {
	return ask(ctx, a, r, a.inner.ListAuthorities)
}

func (a asked) IssueCertificate(ctx context.Context, r *adminv1.IssueCertificateRequest) (*adminv1.IssueCertificateResponse, error) {
	return ask(ctx, a, r, a.inner.IssueCertificate)
}

func (a asked) RevokeCertificates(ctx context.Context, r *adminv1.RevokeCertificatesRequest) (*adminv1.RevokeCertificatesResponse, error) {
	return ask(ctx, a, r, a.inner.RevokeCertificates)
}

func (a asked) ListIssued(ctx context.Context, r *adminv1.ListIssuedRequest) (*adminv1.ListIssuedResponse, error) {
	return ask(ctx, a, r, a.inner.ListIssued)
}

func (a asked) PublishList(ctx context.Context, r *adminv1.PublishListRequest) (*adminv1.PublishListResponse, error) {
	return ask(ctx, a, r, a.inner.PublishList)
}

func (a asked) CreateEnrolmentToken(ctx context.Context, r *adminv1.CreateEnrolmentTokenRequest) (*adminv1.CreateEnrolmentTokenResponse, error) {
	return ask(ctx, a, r, a.inner.CreateEnrolmentToken)
}

// remote is a client in the form of an Authority.
type remote struct {
	client adminv1.AuthorityServiceClient
}

func (r remote) ListAuthorities(ctx context.Context, q *adminv1.ListAuthoritiesRequest) (*adminv1.ListAuthoritiesResponse, error) {
	return r.client.ListAuthorities(ctx, q)
}

func (r remote) IssueCertificate(ctx context.Context, q *adminv1.IssueCertificateRequest) (*adminv1.IssueCertificateResponse, error) {
	return r.client.IssueCertificate(ctx, q)
}

func (r remote) RevokeCertificates(ctx context.Context, q *adminv1.RevokeCertificatesRequest) (*adminv1.RevokeCertificatesResponse, error) {
	return r.client.RevokeCertificates(ctx, q)
}

func (r remote) ListIssued(ctx context.Context, q *adminv1.ListIssuedRequest) (*adminv1.ListIssuedResponse, error) {
	return r.client.ListIssued(ctx, q)
}

func (r remote) PublishList(ctx context.Context, q *adminv1.PublishListRequest) (*adminv1.PublishListResponse, error) {
	return r.client.PublishList(ctx, q)
}

func (r remote) CreateEnrolmentToken(ctx context.Context, q *adminv1.CreateEnrolmentTokenRequest) (*adminv1.CreateEnrolmentTokenResponse, error) {
	return r.client.CreateEnrolmentToken(ctx, q)
}
