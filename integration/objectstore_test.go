package integration

import (
	"bytes"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sallyport-project/sallyport/internal/testcloud"
)

// clouded is an estate whose truststore is an object of S3.
type clouded struct {
	*estate
	s3 *testcloud.ObjectStore
}

func newClouded(t testing.TB) *clouded {
	t.Helper()
	store := testcloud.StartObjectStore(t, "partners")
	store.Use(t) // the processes inherit it
	e := &clouded{newEstate(t), store}
	e.configure("edge.yaml", strings.Replace(e.configuration(), `spec: {bundle: "file:../pki/partners.pem"}`,
		"spec: {bundle: \"s3://partners/truststore/bundle.pem\", refresh: 1s}", 1))
	e.put(e.read("pki", "partners.pem"))
	return e
}

func (e *clouded) read(path ...string) []byte {
	e.t.Helper()
	content, err := os.ReadFile(e.path(path...))
	if err != nil {
		e.t.Fatal(err)
	}
	return content
}

// put replaces the bundle.
func (e *clouded) put(content []byte) {
	e.t.Helper()
	_, err := e.s3.Client().PutObject(e.t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("partners"), Key: aws.String("truststore/bundle.pem"), Body: bytes.NewReader(content),
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// remove removes the bundle, as far as one without a version is asked for.
func (e *clouded) remove() {
	e.t.Helper()
	_, err := e.s3.Client().DeleteObject(e.t.Context(), &s3.DeleteObjectInput{
		Bucket: aws.String("partners"), Key: aws.String("truststore/bundle.pem"),
	})
	if err != nil {
		e.t.Fatal(err)
	}
}

// servers starts the control plane and the authorization service, with state folders that outlive them.
func (e *clouded) servers() (both [2]*program) {
	e.t.Helper()
	return [2]*program{
		e.serve("xds", e.xdsSource, "--state", e.path("state-xds"), "--xds-listen", local(e.xdsPort),
			"--certificate", e.path("pki", "xds.pem"), "--private-key", e.path("pki", "xds-key.pem")),
		e.serve("authz", e.authzSource, "--state", e.path("state-authz"), "--authz-listen", local(e.authzPort),
			"--authz-certificate", e.path("pki", "authz.pem"), "--authz-private-key", e.path("pki", "authz-key.pem")),
	}
}

// says waits until the status of both servers says something of the truststore, or nothing if the text is empty.
func (e *clouded) says(text string) {
	e.t.Helper()
	for _, role := range []string{"xds", "authz"} {
		eventually(e.t, role+" says "+text, func() bool {
			status := e.run("proxy", "status", "--admin-socket", e.path(role+".sock"))
			if text == "" {
				return !strings.Contains(status, "Truststore partners")
			}
			return strings.Contains(status, "Truststore partners") && strings.Contains(status, text)
		})
	}
}

// serves waits until a new connection of a partner is answered with a status.
func (e *clouded) serves(name string, want int) time.Duration {
	e.t.Helper()
	return eventually(e.t, "the edge answers "+name+" as it should", func() bool {
		status, _, _ := e.get(e.client(name), "/v1/a")
		return status == want
	})
}

func TestTrafficGoesOnWhateverS3Answers(t *testing.T) {
	e := newClouded(t)
	e.servers()
	e.startEnvoy()
	e.serves("mapps", http.StatusOK)
	l := e.loadFor(e.client("mapps"), "/v1/a")
	stranger := e.client("")
	for _, test := range []struct {
		fault testcloud.Fault
		want  string
	}{
		{testcloud.Denied, "403 AccessDenied"},
		{testcloud.Broken, "500 InternalError"},
		{testcloud.Missing, "404 NoSuchKey"},
		{testcloud.Stuck, "there was no answer within"},
		{testcloud.Gone, "closed without an answer"},
	} {
		e.s3.Faults.Set(test.fault)
		e.says(test.want)
		e.mustGet(e.client("mapps"), "/v1/a", http.StatusOK)
		e.mustGet(stranger, "/v1/a", http.StatusForbidden)
		e.s3.Faults.Heal()
		e.says("")
	}
	l.end()
	if l.ok.Load() == 0 || l.denied.Load()+l.failed.Load()+l.other.Load() > 0 {
		t.Errorf("of %d requests, %d were denied, %d failed (%v)", l.ok.Load(), l.denied.Load(), l.failed.Load(), l.lastFailure.Load())
	}
}

func TestABadBundleInS3LeavesTheLastGoodOneInForce(t *testing.T) {
	e := newClouded(t)
	e.servers()
	e.startEnvoy()
	e.serves("mapps", http.StatusOK)
	l := e.loadFor(e.client("mapps"), "/v1/a")
	good := e.read("pki", "partners.pem")
	// An authority of a stranger, who must not come in beside what is bad.
	e.found("stranger")
	e.issue("stranger", "client", "stranger-mapps", "--common-name", "mapps")
	theirs := e.read("pki", "stranger.pem")
	key := e.read("pki", "mapps-key.pem")
	for _, test := range []struct {
		name, want string
		change     func()
	}{
		{"empty", "it is empty", func() { e.put(nil) }},
		{"truncated", "not well-formed PEM", func() { e.put(good[:len(good)/2]) }},
		{"of another kind", "no certificate authority", func() { e.put([]byte("{}")) }},
		{"with a private key", "private key", func() { e.put(bytes.Join([][]byte{good, theirs, key}, nil)) }},
		{"of 5 MB", "larger than the 4194304 bytes", func() { e.put(append(bytes.Repeat([]byte("#"), 5<<20), theirs...)) }},
		{"removed", "404 NoSuchKey", e.remove},
	} {
		t.Log("a bundle: " + test.name)
		test.change()
		e.says(test.want)
		e.mustGet(e.client("mapps"), "/v1/a", http.StatusOK)
		e.mustGet(e.client("stranger-mapps"), "/v1/a", http.StatusForbidden)
	}
	// What is good again is taken, the stranger's authority too.
	e.put(append(bytes.Clone(good), theirs...))
	e.says("")
	took := e.serves("stranger-mapps", http.StatusOK)
	t.Logf("a new authority counted %v after the status was well", took.Round(time.Millisecond))
	l.end()
	if l.ok.Load() == 0 || l.denied.Load()+l.failed.Load()+l.other.Load() > 0 {
		t.Errorf("of %d requests, %d were denied, %d failed (%v)", l.ok.Load(), l.denied.Load(), l.failed.Load(), l.lastFailure.Load())
	}
	e.put(good)
	e.serves("stranger-mapps", http.StatusForbidden)
	e.mustGet(e.client("mapps"), "/v1/a", http.StatusOK)
}

func TestAStartWhileS3IsAwayBeginsWithTheLastGoodBundle(t *testing.T) {
	e := newClouded(t)
	servers := e.servers()
	e.startEnvoy()
	e.serves("mapps", http.StatusOK)
	for _, p := range servers {
		p.end(t, syscall.SIGTERM)
	}
	e.s3.Faults.Set(testcloud.Stuck)
	begin := time.Now()
	servers = e.servers()
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("the servers were ready only after %v", took)
	}
	e.says("there was no answer")
	e.serves("mapps", http.StatusOK)

	// With nothing that ever was good, what needs it stays shut, and the status says why.
	for i, p := range servers {
		p.end(t, syscall.SIGTERM)
		if err := os.RemoveAll(e.path([]string{"state-xds", "state-authz"}[i])); err != nil {
			t.Fatal(err)
		}
	}
	e.servers()
	e.says("there was no answer")
	if status, body, err := e.get(e.client("mapps"), "/v1/a"); err == nil && status == http.StatusOK {
		t.Errorf("answered %d: %s", status, body)
	}
	e.s3.Faults.Heal()
	e.serves("mapps", http.StatusOK)
	e.says("")
}
