package integration

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/sallyport-project/sallyport/internal/testcloud"
	"github.com/sallyport-project/sallyport/pki/manifest"
)

// The objects of a truststore whose bundle is signed and whose authority revokes.
const (
	bundleObject   = "truststore/bundle.pem"
	manifestObject = bundleObject + manifest.Suffix
	listObject     = "partners.crl"
)

// signedEstate is an estate with two truststores: one in S3, with signers and lists, and one in a file, for another host.
type signedEstate struct {
	*clouded
	authority, strange *published
	signer             crypto.Signer
	generation         uint64
	// passed counts the requests of these callers that came through.
	passed int64
	// Callers: a good one, one that was revoked, a stranger, and one of the other truststore.
	good, revoked, stranger, other edgeClient
	// before and after are the list before the revocation and after it.
	before, after []byte
}

func newSignedEstate(t *testing.T) *signedEstate {
	t.Helper()
	e := &signedEstate{clouded: newClouded(t)}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	e.signer = key
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	e.write(e.path("pki", "signer.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	e.found("others")
	e.issue("others", "client", "other", "--common-name", "nsp")
	e.configure("edge.yaml", e.configuration())

	e.authority = newPublished(t, e.path("authority"), "Partners", "s3://partners/"+listObject)
	e.strange = newPublished(t, e.path("strange"), "Partners", "s3://partners/strange.crl")
	e.good, e.stranger = e.callsAnew(e.authority.issue("mapps").TLS(), nil), e.callsAnew(e.strange.issue("mapps").TLS(), nil)
	compromised := e.authority.issue("mapps")
	e.revoked = e.callsAnew(compromised.TLS(), nil)
	e.other = e.callsAnew(e.pair("other"), func(settings *tls.Config) {
		settings.ServerName, settings.InsecureSkipVerify = "other.example.org", true // the edge has one certificate for both
	})
	e.before = e.getObject(listObject)
	e.authority.revoke(compromised)
	e.authority.publish()
	e.after = e.getObject(listObject)
	return e
}

func (e *signedEstate) configuration() string {
	return strings.NewReplacer(`spec: {bundle: "file:../pki/partners.pem"}`, `spec:
  bundle: s3://partners/truststore/bundle.pem
  signers: ["file:../pki/signer.pem"]
  revocation: {lists: ["s3://partners/partners.crl"]}
  refresh: 1s
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: others}
spec: {bundle: "file:../pki/others.pem"}`,
		`on_untrusted: explain}`, `on_untrusted: explain}
    - hostnames: [other.example.org]
      certificate: server
      client_auth: {mode: optional, truststores: [others], on_untrusted: explain}`,
		`subject_common_name: nsp}]}`, `subject_common_name: nsp}, {truststore: others, subject_common_name: nsp}], roles: [other]}`,
	).Replace(e.clouded.configuration()) + `---
api_version: sallyport/v1
kind: Role
metadata: {name: other}
spec: {permissions: [{routes: [other], methods: [GET], paths: ["/v1/{rest=**}"]}]}
---
api_version: sallyport/v1
kind: Policy
metadata: {name: others}
spec:
  authenticate: {certificate: {truststores: [others]}}
  authorize: [{name: granted, permissions: consumer_roles}]
---
api_version: sallyport/v1
kind: Route
metadata: {name: other}
spec:
  gateway: edge
  hostnames: [other.example.org]
  rules:
  - {name: all, match: {prefix: /v1}, upstreams: [{name: api}], policy: others}
`
}

// putObject writes an object, and getObject reads one, past whatever checks there are.
func (e *clouded) putObject(key string, content []byte) {
	e.t.Helper()
	if _, err := e.s3.Client().PutObject(e.t.Context(), &s3.PutObjectInput{Bucket: aws.String("partners"), Key: aws.String(key), Body: bytes.NewReader(content)}); err != nil {
		e.t.Fatal(err)
	}
}

func (e *clouded) getObject(key string) []byte {
	e.t.Helper()
	answer, err := e.s3.Client().GetObject(e.t.Context(), &s3.GetObjectInput{Bucket: aws.String("partners"), Key: aws.String(key)})
	if err != nil {
		e.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	content, err := io.ReadAll(answer.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return content
}

// sign makes the manifest of a bundle, of the next generation.
func (e *signedEstate) sign(bundle []byte, change func(*manifest.Manifest)) []byte {
	e.t.Helper()
	e.generation++
	now := time.Now()
	m := manifest.Manifest{BundleSHA256: manifest.HashBundle(bundle), Generation: e.generation, Created: now.Add(-time.Minute), Expires: now.Add(time.Hour)}
	if change != nil {
		change(&m)
	}
	return e.signAs(m, e.signer)
}

func (e *signedEstate) signAs(m manifest.Manifest, signer crypto.Signer) []byte {
	e.t.Helper()
	data, err := manifest.Sign(m, signer)
	if err != nil {
		e.t.Fatal(err)
	}
	return data
}

// push publishes a bundle with its manifest.
func (e *signedEstate) push(bundle []byte) {
	e.t.Helper()
	signed := e.sign(bundle, nil)
	e.putObject(bundleObject, bundle)
	e.putObject(manifestObject, signed)
}

// mend puts everything right.
func (e *signedEstate) mend() {
	e.t.Helper()
	e.push(e.authority.Bundle())
	e.putObject(listObject, e.after)
	e.says("")
}

// answers is what a caller gets now.
func (e *signedEstate) answers(as edgeClient, host string) int {
	request, err := http.NewRequest(http.MethodGet, "https://"+local(e.edgePort)+"/v1/a", http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}
	request.Host = host
	response, err := as.Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close() // only its status counts
	if response.StatusCode == http.StatusOK {
		e.passed++
	}
	return response.StatusCode
}

// judge demands that the last good truststore is in force: for everybody.
func (e *signedEstate) judge() {
	e.t.Helper()
	for _, c := range []struct {
		name string
		as   edgeClient
		host string
		want int
	}{
		{"a good partner", e.good, "api.example.org", http.StatusOK},
		{"a revoked one", e.revoked, "api.example.org", http.StatusForbidden},
		{"a stranger", e.stranger, "api.example.org", http.StatusForbidden},
		{"one of another truststore", e.other, "other.example.org", http.StatusOK},
	} {
		if got := e.answers(c.as, c.host); got != c.want {
			e.t.Errorf("%s gets %d, want %d", c.name, got, c.want)
		}
	}
}

// expired is an authority whose time is over.
func expired(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Long ago"}, NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// since is how the status tells for how long something has been wrong.
var since = regexp.MustCompile(`since \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`)

func TestBadMaterialInS3LeavesTheLastGoodInForceAndTheStatusTells(t *testing.T) {
	e := newSignedEstate(t)
	// Once, the stranger's authority was trusted. That version is what an older manifest leads back to.
	older := slices.Concat(e.authority.Bundle(), e.strange.Bundle())
	olderManifest := e.sign(older, nil)
	bundle := e.authority.Bundle()
	e.push(bundle)
	e.servers()
	e.startEnvoy()
	eventually(t, "the edge serves", func() bool {
		return e.answers(e.good, "api.example.org") == http.StatusOK && e.answers(e.other, "other.example.org") == http.StatusOK
	})
	e.judge()
	forger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged := manifest.Manifest{BundleSHA256: manifest.HashBundle(older), Generation: 1000, Created: time.Now().Add(-time.Minute), Expires: time.Now().Add(time.Hour)}
	key := e.read("pki", "mapps-key.pem")
	live := e.loadFor(e.calls(e.authority.issue("mapps").TLS(), nil).Client, "/v1/a")

	for _, test := range []struct {
		name, want string
		change     func()
	}{
		{"a bundle that nobody has signed", "the manifest is for another bundle", func() { e.putObject(bundleObject, older) }},
		{"a manifest that somebody else has signed", "none of the keys that are believed has signed it", func() { e.putObject(manifestObject, e.signAs(forged, forger)) }},
		{"a version rolled back, with its manifest", "older generation", func() { e.putObject(manifestObject, olderManifest) }},
		{"a manifest that has expired", "has expired", func() {
			e.putObject(manifestObject, e.sign(older, func(m *manifest.Manifest) {
				m.Created, m.Expires = time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour)
			}))
		}},
		{"a manifest cut in two", "unexpected EOF", func() { e.putObject(manifestObject, olderManifest[:len(olderManifest)/2]) }},
		{"a signed bundle with a private key", "private key", func() { e.push(slices.Concat(bundle, e.strange.Bundle(), key)) }},
		{"a signed bundle of another kind", "no certificate authority", func() { e.push([]byte("{}")) }},
		{"a signed bundle cut in two", "not well-formed PEM", func() { e.push(bundle[:len(bundle)/2]) }},
		{"an older list", "an older one is not taken", func() { e.push(bundle); e.putObject(listObject, e.before) }},
		{"an empty list", "it is empty", func() { e.putObject(listObject, nil) }},
		{"a list cut in two", "1 of 1 PEM blocks are not well-formed", func() { e.putObject(listObject, e.after[:len(e.after)/2]) }},
		{"a list of another kind", "where only revocation lists belong", func() { e.putObject(listObject, bundle) }},
		{"a list of 5 MB", "larger than", func() { e.putObject(listObject, append(bytes.Repeat([]byte("#"), 5<<20), e.after...)) }},
		{"a list that a stranger of the same name has signed", "of an authority that is not in the bundle", func() { e.putObject(listObject, e.getObject("strange.crl")) }},
	} {
		t.Log(test.name)
		test.change()
		e.says(test.want)
		if status := e.run("proxy", "status", "--admin-socket", e.path("authz.sock")); !since.MatchString(status) {
			t.Errorf("%s: the status does not tell since when:\n%s", test.name, status)
		}
		e.judge()
	}
	e.mend()
	e.judge()
	for _, test := range []struct {
		fault testcloud.Fault
		want  string
	}{
		{testcloud.Denied, "403 AccessDenied"},
		{testcloud.Broken, "500 InternalError"},
		{testcloud.Missing, "404 NoSuchKey"},
		{testcloud.Gone, "closed without an answer"},
		{testcloud.Stuck, "there was no answer within"},
	} {
		e.s3.Faults.Set(test.fault)
		e.says(test.want)
		e.judge()
		e.s3.Faults.Heal()
		e.says("")
	}

	// Slow answers are good ones, and an authority that has expired is left out from among the others.
	e.s3.Faults.Set(testcloud.Slow)
	e.push(slices.Concat(expired(t), bundle))
	e.says("Long ago")
	e.judge()
	e.s3.Faults.Heal()
	e.mend()
	live.end()
	if reached, want := e.api.requests.Load(), e.passed+live.ok.Load(); reached != want {
		t.Errorf("%d requests reached the API, and %d were let in", reached, want)
	}
	if live.ok.Load() == 0 || live.denied.Load()+live.failed.Load()+live.other.Load() > 0 {
		t.Errorf("of the requests on a live connection %d passed, %d were denied, %d failed (%v)", live.ok.Load(), live.denied.Load(), live.failed.Load(), live.lastFailure.Load())
	}
}

func TestAColdStartWithBadMaterialBeginsWithTheLastGoodOrStaysShut(t *testing.T) {
	e := newSignedEstate(t)
	older := slices.Concat(e.authority.Bundle(), e.strange.Bundle())
	olderManifest := e.sign(older, nil)
	e.push(e.authority.Bundle())
	servers := e.servers()
	e.startEnvoy()
	eventually(t, "the edge serves", func() bool { return e.answers(e.good, "api.example.org") == http.StatusOK })
	e.judge()
	restart := func(forget bool) {
		for i, p := range servers {
			p.end(t, syscall.SIGTERM)
			if forget {
				if err := os.RemoveAll(e.path([]string{"state-xds", "state-authz"}[i])); err != nil {
					t.Fatal(err)
				}
			}
		}
		servers = e.servers()
	}

	// What lies in S3 was good once. The servers know better, from their disks.
	e.putObject(bundleObject, older)
	e.putObject(manifestObject, olderManifest)
	e.putObject(listObject, e.before)
	restart(false)
	e.says("older generation")
	eventually(t, "the last good truststore is in force", func() bool { return e.answers(e.good, "api.example.org") == http.StatusOK })
	e.judge()

	// Without that knowledge, what nobody has signed lets nobody in; the other truststore is none the worse.
	e.putObject(bundleObject, slices.Concat(older, []byte("\n")))
	restart(true)
	e.says("the manifest is for another bundle")
	eventually(t, "the other truststore is in force", func() bool { return e.answers(e.other, "other.example.org") == http.StatusOK })
	for name, as := range map[string]edgeClient{"a good partner": e.good, "a revoked one": e.revoked, "a stranger": e.stranger} {
		if got := e.answers(as, "api.example.org"); got == http.StatusOK {
			t.Errorf("%s is let in by a truststore that nobody has signed", name)
		}
	}
	e.mend()
	eventually(t, "what is good is taken without help", func() bool {
		return e.answers(e.good, "api.example.org") == http.StatusOK && e.answers(e.revoked, "api.example.org") == http.StatusForbidden
	})
	e.judge()
}
