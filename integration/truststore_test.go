package integration

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sallyport-project/sallyport/internal/testcloud"
)

// bundleStore is a real S3 in which bundles are published, by the program.
type bundleStore struct {
	*testing.T
	store  *testcloud.ObjectStore
	folder string
}

func newBundleStore(t *testing.T) *bundleStore {
	t.Helper()
	p := &bundleStore{T: t, store: testcloud.StartObjectStore(t, "truststores"), folder: t.TempDir()}
	p.store.Use(t)
	for _, name := range []string{"partners", "next"} {
		p.run(0, "ca", "init", p.path(name), "--unencrypted", "--name", name)
	}
	p.run(0, "truststore", "keygen", p.folder, "--unencrypted")
	return p
}

func (p *bundleStore) path(elements ...string) string {
	return filepath.Join(append([]string{p.folder}, elements...)...)
}

// run runs the program and demands its exit code.
func (p *bundleStore) run(code int, args ...string) (stdout, stderr string) {
	p.Helper()
	run := start(p, p.folder, args...)
	if got := run.wait(p); got != code {
		p.Fatalf("sallyport %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, run.out.String(), run.err.String())
	}
	return run.out.String(), run.err.String()
}

// object is what stands in the bucket now.
func (p *bundleStore) object(key string) []byte {
	p.Helper()
	object, err := p.store.Client().GetObject(p.Context(), &s3.GetObjectInput{Bucket: aws.String("truststores"), Key: aws.String(key)})
	if err != nil {
		p.Fatal(err)
	}
	defer func() { _ = object.Body.Close() }() // it was only read
	var content bytes.Buffer
	if _, err := content.ReadFrom(object.Body); err != nil {
		p.Fatal(err)
	}
	return content.Bytes()
}

func (p *bundleStore) put(key string, content []byte) {
	p.Helper()
	if _, err := p.store.Client().PutObject(p.Context(), &s3.PutObjectInput{
		Bucket: aws.String("truststores"), Key: aws.String(key), Body: bytes.NewReader(content),
	}); err != nil {
		p.Fatal(err)
	}
}

func (p *bundleStore) file(elements ...string) []byte {
	p.Helper()
	content, err := os.ReadFile(p.path(elements...))
	if err != nil {
		p.Fatal(err)
	}
	return content
}

func TestTruststoreIsPushedAndRolledBackInS3(t *testing.T) {
	const place = "s3://truststores/prod/bundle.pem"
	p := newBundleStore(t)
	list := []byte("a revocation list that nobody but the authority writes")
	p.put("prod/bundle.crl", list)
	key := "file:" + p.path("signing-key.pem")
	publish := func(verb, what string) (version string, generation int) {
		t.Helper()
		stdout, _ := p.run(0, "truststore", verb, what, place, "--signing-key", key, "--force", "--output", "json")
		var told struct {
			Version  string
			Manifest struct{ Generation int }
		}
		if err := json.Unmarshal([]byte(stdout), &told); err != nil {
			t.Fatal(err)
		}
		return told.Version, told.Manifest.Generation
	}

	first, generation := publish("push", p.path("partners", "bundle.pem"))
	if first == "" || generation != 1 {
		t.Fatalf("version %q, generation %d", first, generation)
	}
	second, generation := publish("push", p.path("next", "bundle.pem"))
	if second == first || generation != 2 || !bytes.Equal(p.object("prod/bundle.pem"), p.file("next", "bundle.pem")) {
		t.Fatalf("version %q, generation %d", second, generation)
	}

	stdout, _ := p.run(0, "truststore", "versions", place, "--output", "json")
	var versions []struct {
		ID     string
		Latest bool
	}
	if err := json.Unmarshal([]byte(stdout), &versions); err != nil || len(versions) != 2 || versions[0].ID != second || !versions[0].Latest {
		t.Fatalf("%s %v", stdout, err)
	}

	_, complaint := p.run(2, "truststore", "rollback", "01ARZ3NDEKTSV4RRFFQ69G5FAV", place, "--signing-key", key, "--force")
	if !strings.Contains(complaint, "has no version") {
		t.Fatal(complaint)
	}
	third, generation := publish("rollback", first)
	if third == first || third == second || generation != 3 || !bytes.Equal(p.object("prod/bundle.pem"), p.file("partners", "bundle.pem")) {
		t.Fatalf("version %q, generation %d", third, generation)
	}
	if !bytes.Equal(p.object("prod/bundle.crl"), list) {
		t.Fatal("the revocation list was touched")
	}
}

func TestTruststorePushWhileS3Fails(t *testing.T) {
	const place = "s3://truststores/bundle.pem"
	p := newBundleStore(t)
	before, after := p.path("partners", "bundle.pem"), p.path("next", "bundle.pem")
	p.run(0, "truststore", "push", before, place)
	for name, fault := range map[string]testcloud.Fault{"nobody may": testcloud.Denied, "it is broken": testcloud.Broken} {
		t.Run(name, func(*testing.T) {
			p.store.Faults.Set(fault)
			defer p.store.Faults.Heal()
			p.run(1, "truststore", "push", after, place, "--force")
		})
	}
	for name, test := range map[string]struct {
		code        int
		place, want string
	}{
		"no such bucket":   {1, "s3://nobody/bundle.pem", "NoSuchBucket"},
		"a pinned version": {1, place + "?version=1", "is one version"},
		"no object":        {2, "s3://truststores", "s3://"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, complaint := p.run(test.code, "truststore", "push", after, test.place, "--force"); !strings.Contains(complaint, test.want) {
				t.Fatal(complaint)
			}
		})
	}
	if !bytes.Equal(p.object("bundle.pem"), p.file("partners", "bundle.pem")) {
		t.Fatal("something was published")
	}
}

func TestTruststoreDiffAsksTheGateways(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	e.mustGet(e.client("mapps"), "/v1/status", http.StatusOK)
	diff := func(bundle string) *program {
		return start(t, e.folder, "truststore", "diff", bundle, "--against", "file:"+e.path("pki", "partners.pem"),
			"--truststore", "partners", "--admin-socket", e.path("authz.sock"))
	}
	both := e.path("both.pem")
	e.write(both, e.read("pki", "internal.pem")+e.read("pki", "partners.pem"))
	if kept := diff(both); kept.wait(t) != 0 || !strings.Contains(kept.out.String(), "tried on 1 certificate: 0 would be locked out") {
		t.Fatal(kept.out.String())
	}
	if lost := diff(e.path("pki", "internal.pem")); lost.wait(t) != 1 || !strings.Contains(lost.out.String(), "locked out: mapps, certificate") {
		t.Fatal(lost.out.String())
	}
}

func TestConsumerSuspendWaitsForTheGateway(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	mapps := e.client("mapps")
	e.mustGet(mapps, "/v1/status", http.StatusOK)
	for _, change := range []struct {
		verb string
		want int
	}{{"suspend", http.StatusForbidden}, {"resume", http.StatusOK}} {
		e.run("consumer", change.verb, "mapps", "--source", e.authzSource, "--wait", "--wait-socket", e.path("authz.sock"))
		e.mustGet(mapps, "/v1/status", change.want)
	}
}
