// Package holder owns the folder in which one of our own processes keeps its certificate: how the first one comes by a token,
// and each next one by the last.
//
//	identity.pem      the certificate, leaf first
//	identity-key.pem  its private key, mode 0600; it is made here and never leaves
//	ca.pem            the authority of our own processes
//	enrolment.json    where the next certificate comes from
//
// Files are replaced by renaming, so that Envoy and `sallyport serve` take up what is new. The package verifies whom it speaks
// to and what it is given, and judges nobody else's certificate.
package holder

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/authority"
	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/enrolment"
	"github.com/sallyport-project/sallyport/pki/spiffe"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// The files of a folder.
const (
	CertificateFile = "identity.pem"
	KeyFile         = "identity-key.pem"
	AuthorityFile   = "ca.pem"
	serverFile      = "enrolment.json"
	// nextKeyFile holds the key of a certificate that is on its way.
	nextKeyFile = "identity-key.next.pem"
)

// ErrRefused is wrapped by the error of a server that will not give a certificate however often it is asked.
var ErrRefused = errors.New("the server refuses")

// ErrNotDue is wrapped by the error of a server for which it is too early to renew.
var ErrNotDue = errors.New("not due yet")

// Folder is where a process keeps its certificate.
type Folder struct {
	Dir string
	// Clock is time.Now if nil.
	Clock func() time.Time
}

// known is what a folder remembers of its server.
type known struct {
	Server string `json:"server"`
}

func (f Folder) now() time.Time {
	if f.Clock == nil {
		return time.Now()
	}
	return f.Clock()
}

// Path is that of a file in the folder.
func (f Folder) Path(name string) string { return filepath.Join(f.Dir, name) }

// Enrol gets the first certificate by a token. The folder is made if needed, and must not hold a certificate yet.
func (f Folder) Enrol(ctx context.Context, token enrolment.Token) (spiffe.Identity, error) {
	if err := f.vacant(); err != nil {
		return spiffe.Identity{}, err
	}
	key, request, err := f.makeKey()
	if err != nil {
		return spiffe.Identity{}, err
	}
	response, err := call(ctx, token.Server, token.ClientTLS(f.now), func(ctx context.Context, client adminv1.EnrolmentServiceClient) (*adminv1.ProcessCertificate, error) {
		response, err := client.Enrol(ctx, &adminv1.EnrolRequest{TokenId: token.ID, Secret: token.Secret, CertificateRequest: string(request)})
		return response.GetCertificate(), err
	})
	if err != nil {
		return spiffe.Identity{}, errors.Join(fmt.Errorf("enrol at %s: %w", token.Server, err), os.Remove(f.Path(nextKeyFile)))
	}
	given, err := f.judge(response, key)
	if err != nil {
		return spiffe.Identity{}, err
	}
	if !slices.ContainsFunc(given.authorities, func(c *x509.Certificate) bool { return sha256.Sum256(c.Raw) == token.Authority }) {
		return spiffe.Identity{}, errors.New("the authority that the server names is not the token's")
	}
	remembered, err := json.Marshal(known{Server: token.Server})
	if err != nil {
		return spiffe.Identity{}, err
	}
	if err := atomicfile.Replace(f.Path(serverFile), append(remembered, '\n'), 0o644); err != nil {
		return spiffe.Identity{}, err
	}
	return given.identity, f.take(response)
}

// vacant makes the folder, and wants no certificate in it.
func (f Folder) vacant() error {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	for _, name := range []string{CertificateFile, KeyFile} {
		if _, err := os.Lstat(f.Path(name)); err == nil {
			return fmt.Errorf("%s exists and is never overwritten: choose another folder, or move it away", f.Path(name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Renew gets the next certificate by the present one, and returns it. An error that wraps ErrRefused does not go away by
// asking again, and one that wraps ErrNotDue by waiting.
func (f Folder) Renew(ctx context.Context) (*x509.Certificate, error) {
	pair, err := f.Load()
	if err != nil {
		return nil, err
	}
	present, err := spiffe.FromCertificate(pair.Leaf)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Path(CertificateFile), err)
	}
	if f.now().After(pair.Leaf.NotAfter) {
		return nil, fmt.Errorf("%w: the certificate of %s ran out at %s: enrol anew with a token, into another folder", ErrRefused, present, pair.Leaf.NotAfter.UTC().Format(time.RFC3339))
	}
	server, pool, err := f.server()
	if err != nil {
		return nil, err
	}
	key, request, err := f.makeKey()
	if err != nil {
		return nil, err
	}
	response, err := call(ctx, server, enrolment.ClientTLS(pool, &pair, f.now), func(ctx context.Context, client adminv1.EnrolmentServiceClient) (*adminv1.ProcessCertificate, error) {
		response, err := client.Renew(ctx, &adminv1.RenewRequest{CertificateRequest: string(request)})
		return response.GetCertificate(), err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("renew the certificate of %s at %s: %w", present, server, err), os.Remove(f.Path(nextKeyFile)))
	}
	given, err := f.judge(response, key)
	if err != nil {
		return nil, err
	}
	if given.identity != present {
		return nil, fmt.Errorf("the server gives a certificate of %s to %s", given.identity, present)
	}
	return given.leaf, f.take(response)
}

// Load reads the certificate and its key. A change that was broken off between the two files is brought to its end.
func (f Folder) Load() (tls.Certificate, error) {
	certificate, err := os.ReadFile(f.Path(CertificateFile))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read the certificate: %w; `sallyport proxy enroll` gets one", err)
	}
	key, err := os.ReadFile(f.Path(KeyFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return tls.Certificate{}, fmt.Errorf("read the private key: %w", err)
	}
	pair, wrong := tls.X509KeyPair(certificate, key)
	if wrong == nil {
		return pair, nil
	}
	next, err := os.ReadFile(f.Path(nextKeyFile))
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", f.Path(CertificateFile), wrong)
	}
	if pair, err = tls.X509KeyPair(certificate, next); err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", f.Path(CertificateFile), wrong)
	}
	return pair, os.Rename(f.Path(nextKeyFile), f.Path(KeyFile))
}

func (f Folder) server() (string, *x509.CertPool, error) {
	content, err := os.ReadFile(f.Path(serverFile))
	var remembered known
	if err == nil {
		err = json.Unmarshal(content, &remembered)
	}
	if err != nil {
		return "", nil, fmt.Errorf("find out where to renew: %w", err)
	}
	authorities, err := os.ReadFile(f.Path(AuthorityFile))
	if err != nil {
		return "", nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authorities) {
		return "", nil, fmt.Errorf("%s holds no certificate", f.Path(AuthorityFile))
	}
	return remembered.Server, pool, nil
}

// makeKey makes the next key, keeps it, and makes the request for its certificate.
func (f Folder) makeKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	encoded, err := ca.EncodePrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := atomicfile.Replace(f.Path(nextKeyFile), encoded, 0o600); err != nil {
		return nil, nil, err
	}
	request, err := authority.CertificateRequest(key)
	return key, request, err
}

// given is what a server has sent, once it is verified.
type given struct {
	identity    spiffe.Identity
	leaf        *x509.Certificate
	authorities []*x509.Certificate
}

// judge wants a certificate for our key, of the identity that the server names, by the authorities that it names.
func (f Folder) judge(response *adminv1.ProcessCertificate, key *ecdsa.PrivateKey) (given, error) {
	chain, err := ca.ParseCertificates([]byte(response.GetCertificatePem()))
	if err != nil || len(chain) == 0 {
		return given{}, errors.Join(errors.New("the server sends no certificate"), err)
	}
	authorities, err := ca.ParseCertificates([]byte(response.GetAuthorityPem()))
	if err != nil {
		return given{}, fmt.Errorf("the server's authority: %w", err)
	}
	if !ca.Matches(chain[0], key) {
		return given{}, errors.New("the server sends a certificate for another key")
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), CurrentTime: f.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	for _, authority := range authorities {
		options.Roots.AddCert(authority)
	}
	if _, err := chain[0].Verify(options); err != nil {
		return given{}, fmt.Errorf("the server sends a certificate that is not of its authority: %w", err)
	}
	identity, err := spiffe.FromCertificate(chain[0])
	if err != nil {
		return given{}, err
	}
	if identity.String() != response.GetIdentity() {
		return given{}, fmt.Errorf("the server sends a certificate of %s for %q", identity, response.GetIdentity())
	}
	return given{identity, chain[0], authorities}, nil
}

// take puts what was sent in force. Load brings to its end what is broken off here.
func (f Folder) take(response *adminv1.ProcessCertificate) error {
	present, err := os.ReadFile(f.Path(AuthorityFile))
	if err != nil || string(present) != response.GetAuthorityPem() {
		if err := atomicfile.Replace(f.Path(AuthorityFile), []byte(response.GetAuthorityPem()), 0o644); err != nil {
			return err
		}
	}
	if err := atomicfile.Replace(f.Path(CertificateFile), []byte(response.GetCertificatePem()), 0o644); err != nil {
		return err
	}
	return os.Rename(f.Path(nextKeyFile), f.Path(KeyFile))
}

// callTimeout bounds one question to the server.
const callTimeout = 30 * time.Second

// call asks the enrolment service once.
func call(ctx context.Context, server string, settings *tls.Config,
	put func(context.Context, adminv1.EnrolmentServiceClient) (*adminv1.ProcessCertificate, error)) (*adminv1.ProcessCertificate, error) {
	connection, err := grpc.NewClient(server, grpc.WithTransportCredentials(credentials.NewTLS(settings)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }() // nothing is left to be sent
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	response, err := put(ctx, adminv1.NewEnrolmentServiceClient(connection))
	if authority.IsNotDue(err) {
		return nil, fmt.Errorf("%w: %s", ErrNotDue, status.Convert(err).Message())
	}
	switch said := status.Convert(err); said.Code() {
	case codes.OK:
		return response, nil
	case codes.PermissionDenied, codes.Unauthenticated, codes.InvalidArgument:
		return nil, fmt.Errorf("%w: %s", ErrRefused, said.Message())
	default:
		return nil, errors.New(said.Message())
	}
}
