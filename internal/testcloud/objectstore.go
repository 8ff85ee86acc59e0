package testcloud

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ObjectStore is an S3 server with versioning and conditional writes. Its endpoint is a proxy in front of it, in which
// faults can be switched on.
type ObjectStore struct {
	Cloud
	Faults *Faults
}

// StartObjectStore starts an S3 server with empty buckets that keep versions. Its files are below the system's folder for
// temporary ones, whose file system must have extended attributes.
func StartObjectStore(t testing.TB, buckets ...string) *ObjectStore {
	t.Helper()
	binary := tool(t, filepath.Join("bin", "versitygw"), "object-store")
	folder, err := os.MkdirTemp("", "s3-") // t.TempDir is too long for the name of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) }) // the server has ended
	for _, name := range []string{"buckets", "versions"} {
		if err := os.Mkdir(filepath.Join(folder, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(folder, "socket")
	command := exec.CommandContext(t.Context(), binary, "--port", socket, "--region", region, "--health", "/health", "--quiet",
		"posix", "--versioning-dir", filepath.Join(folder, "versions"), filepath.Join(folder, "buckets"))
	command.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+accessKey, "ROOT_SECRET_KEY="+secretKey)
	process := start(t, command)

	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	t.Cleanup(transport.CloseIdleConnections)
	process.until(t, "answered", func() bool { return healthy(transport) })

	faults := &Faults{next: &httputil.ReverseProxy{
		Transport: transport,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: r.In.Host})
			r.Out.Host = r.In.Host // it is signed
		},
	}}
	proxy := httptest.NewServer(faults)
	t.Cleanup(func() {
		faults.Heal() // which lets go of whoever is held
		proxy.CloseClientConnections()
		proxy.Close()
	})
	store := &ObjectStore{Cloud: cloud(proxy.URL, "AWS_ENDPOINT_URL_S3"), Faults: faults}
	for _, bucket := range buckets {
		store.AddBucket(t, bucket, true)
	}
	return store
}

func healthy(transport *http.Transport) bool {
	request, err := http.NewRequest(http.MethodGet, "http://localhost/health", http.NoBody) //nolint:noctx // the server is ours
	if err != nil {
		return false
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close() // only its status counts
	return response.StatusCode == http.StatusOK
}

// Client speaks to the server, past whatever the environment says.
func (o *ObjectStore) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(o.Endpoint),
		Region:       region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
}

// AddBucket adds an empty bucket, which keeps versions or does not.
func (o *ObjectStore) AddBucket(t testing.TB, bucket string, versions bool) {
	t.Helper()
	client := o.Client()
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket:                    aws.String(bucket),
		CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: region},
	}); err != nil {
		t.Fatal(err)
	}
	if !versions {
		return
	}
	if _, err := client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(bucket),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		t.Fatal(err)
	}
}
