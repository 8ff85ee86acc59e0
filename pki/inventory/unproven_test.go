package inventory

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/revocation"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// fromCallers is a truststore whose callers send their intermediates, and which needs no list to accept a certificate.
func fromCallers(lists ...string) *sallyportv1.TruststoreSpec {
	spec := withLists(lists...)
	spec.Intermediates = &sallyportv1.Intermediates{FromCaller: true}
	spec.Revocation.Mode = sallyportv1.RevocationMode_REVOCATION_MODE_WHEN_PRESENT
	return spec
}

// between is a truststore of partners with a list of an intermediate's, number 3, in which a leaf stands. Nobody asks about
// the leaf before the test does: to ask is to show the intermediate's certificate.
func between(t *testing.T, change func(*Config)) (f *fixture, intermediate *ca.Authority, leaf *x509.Certificate) {
	t.Helper()
	f, _, _, _ = partners(t, change)
	intermediate = f.authority("between", 0)
	leaf = f.issueBy(intermediate, "leaf", 0).Certificate
	f.specs.Truststores["partners"] = fromCallers("file:partners.crl", "file:between.crl")
	f.write("between.crl", f.list(intermediate, 3, leaf))
	f.apply()
	f.wantNoProblem()
	return f, intermediate, leaf
}

// again is another process with the state of the one before and the same files.
func (f *fixture) again(folder string) *fixture {
	f.Helper()
	next := newFixture(f.T, kept(folder))
	files, err := os.ReadDir(f.dir)
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(filepath.Join(f.dir, file.Name()))
		if err != nil {
			f.Fatal(err)
		}
		next.write(file.Name(), data)
	}
	next.clock, next.specs = f.clock, f.specs
	return next
}

// forger signs lists in anybody's name with a key of its own.
type forger struct {
	*testing.T
	key *ecdsa.PrivateKey
}

func newForger(t *testing.T) forger {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return forger{t, key}
}

func (f forger) list(name string, keyID []byte, number int64) []byte {
	f.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, SubjectKeyId: keyID, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCRLSign, NotBefore: noon, NotAfter: noon.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, f.key.Public(), f.key)
	if err != nil {
		f.Fatal(err)
	}
	issuer, err := x509.ParseCertificate(der)
	if err != nil {
		f.Fatal(err)
	}
	list := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: noon, NextUpdate: noon.Add(24 * time.Hour)}
	if der, err = x509.CreateRevocationList(rand.Reader, list, issuer, f.key); err != nil {
		f.Fatal(err)
	}
	return ca.EncodeRevocationList(der)
}

func TestOneIntermediatesListsPushNoOtherOut(t *testing.T) {
	f, b, leaf := between(t, nil)
	a := f.authority("another", 0)
	f.specs.Truststores["partners"] = fromCallers("file:partners.crl", "file:between.crl", "file:another.crl")
	for n := int64(100); n < 100+3*maxSuperseded; n++ {
		f.write("another.crl", f.list(a, n))
		f.apply()
	}
	f.wantStatus(leaf, b, revocation.Revoked)
}

func TestAFloodOfNamesPushesNoListOut(t *testing.T) {
	f, b, leaf := between(t, nil)
	forger := newForger(t)
	for round := range 6 {
		var fakes []byte
		for n := range 64 {
			fakes = append(fakes, forger.list(fmt.Sprintf("anybody %d", n+64*round), nil, 1000)...)
		}
		f.write("between.crl", fakes)
		f.apply()
	}
	f.wantStatus(leaf, b, revocation.Revoked)
	f.wantProblem(KindTruststore, "partners", "in the name of")
	if got := len(f.memory.holdings["partners"].unproven.lists); got > maxWaiting+64 {
		t.Errorf("%d lists are remembered", got)
	}
}

func TestAFloodInAnIntermediatesNameRefusesItsCertificates(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f, b, leaf := between(t, kept(folder))
	other := f.issueBy(f.authority("other", 0), "other leaf", 0)
	forger := newForger(t)
	for n := range int64(maxSuperseded + 2) {
		f.write("between.crl", forger.list("between", b.Certificate().SubjectKeyId, 100+n))
		f.apply()
	}
	f.wantProblem(KindTruststore, "partners", `in the name of "CN=between"`)
	f.wantStatus(leaf, b, revocation.Forgotten)
	f.wantStatus(other.Certificate, f.authority("other", 0), revocation.NoList)

	// The older list of the same authority, which the leaf did not stand in yet, opens nothing either; nor does a restart.
	next := f.again(folder)
	next.write("between.crl", f.list(b, 2))
	next.apply()
	next.wantProblem(KindTruststore, "partners", `in the name of "CN=between"`)
	next.wantStatus(leaf, b, revocation.Forgotten)

	next.write("between.crl", f.list(b, 1000))
	next.apply()
	next.wantStatus(leaf, b, revocation.Good) // its authority says so
	next.apply()
	next.wantNoProblem()
}

func TestAnIntermediateThatCallersShowMayPublishForEver(t *testing.T) {
	f, b, leaf := between(t, nil)
	f.wantStatus(leaf, b, revocation.Revoked)
	for n := int64(4); n < 4+3*maxSuperseded; n++ {
		f.write("between.crl", f.list(b, n, leaf))
		f.apply()
		f.wantNoProblem()
		f.wantStatus(leaf, b, revocation.Revoked)
	}
	if got := len(f.memory.holdings["partners"].unproven.lists); got > 2 {
		t.Errorf("%d lists are remembered", got)
	}
}

func TestAnOlderListOfAnIntermediateIsRefusedAfterARestart(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f, b, leaf := between(t, kept(folder))
	for range 2 {
		f = f.again(folder)
		f.write("between.crl", f.list(b, 2))
		f.apply()
		f.wantProblem(KindTruststore, "partners", "has the number 2, and 3 was seen")
		f.wantStatus(leaf, b, revocation.Revoked)
	}
}

func TestAnOlderListOfAnIntermediateIsNoLastGoodOne(t *testing.T) {
	folder := t.TempDir()
	begin := func(objects shop) *fixture {
		f := newFixture(t, func(c *Config) {
			remotely(objects, folder)(c)
			c.StateDir = ""
		})
		return f
	}
	objects := shop{}
	f := begin(objects)
	root, b := f.authority("partners", 0), f.authority("between", 0)
	leaf := f.issueBy(b, "leaf", 0).Certificate
	objects["partners.pem"], objects["between.crl"] = root.CertificatePEM(), f.list(b, 3, leaf)
	spec := fromCallers("s3://partners/between.crl")
	spec.Bundle = "s3://partners/partners.pem"
	f.specs.Truststores["partners"] = spec
	f.apply()
	f.wantStatus(leaf, b, revocation.Revoked)

	// The keeper is asked again once the store has the older list.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	f.config.Store.Watch(ctx, nil)
	objects["between.crl"] = f.list(b, 2)
	f.apply()
	f.wantProblem(KindTruststore, "partners", "has the number 2, and 3 was seen")
	f.wantStatus(leaf, b, revocation.Revoked)

	after := begin(nil)
	after.specs = f.specs
	after.apply()
	after.wantStatus(leaf, b, revocation.Revoked)
}

func TestAListOutlivesTheChangeOfItsAuthoritysKind(t *testing.T) {
	f, b, leaf := between(t, nil)
	root := f.Current().Truststores["partners"].PEM
	f.write("between.crl", f.list(b, 2))
	f.write("partners.pem", root, b.CertificatePEM())
	f.apply()
	f.wantProblem(KindTruststore, "partners", "has the number 2, and 3 was seen")
	f.wantStatus(leaf, b, revocation.Revoked)

	f.write("partners.pem", root)
	f.apply()
	f.wantStatus(leaf, b, revocation.Revoked)
}

func TestASourceThatOverrunsItsGapsShutsIntermediatesAlone(t *testing.T) {
	forger := newForger(t)
	var waits waiting
	for round := range 20 {
		var given []unprovenList
		for n := range 64 {
			lists, err := revocation.Parse(forger.list(fmt.Sprintf("anybody %d", n+64*round), nil, 1))
			if err != nil {
				t.Fatal(err)
			}
			given = append(given, unprovenList{lists[0], "file:a"})
		}
		waits = waits.keep([]string{"file:a", "file:b"}, given, nil)
	}
	if !slices.Equal(waits.overrun, []string{"file:a"}) || len(waits.gaps) != maxGaps || len(waits.lists) > maxWaiting+64 {
		t.Errorf("%d lists, %d gaps, overrun %v", len(waits.lists), len(waits.gaps), waits.overrun)
	}
	f := newFixture(t, nil)
	anchor, other := f.authority("anchor", 0), f.authority("other", 0)
	set := revocation.NewSet(nil, nil).WithGaps(waits.gapsOf([]*x509.Certificate{anchor.Certificate()}))
	for authority, want := range map[*ca.Authority]revocation.State{anchor: revocation.NoList, other: revocation.Forgotten} {
		if got := set.Status(f.issueBy(authority, "leaf", 0).Certificate, authority.Certificate(), noon, 0); got.State != want {
			t.Errorf("of %s it is %s, want %s", authority.Certificate().Subject, got.State, want)
		}
	}
	if after := waits.keep([]string{"file:b"}, nil, nil); len(after.lists)+len(after.gaps)+len(after.overrun) > 0 {
		t.Error("a source that is no longer one has left something")
	}
}

func TestWhatWaitsIsReadAsItWasWritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f, b, _ := between(t, kept(folder))
	forger := newForger(t)
	for n := range int64(maxSuperseded + 2) {
		f.write("between.crl", forger.list("between", b.Certificate().SubjectKeyId, 100+n))
		f.apply()
	}
	data, err := os.ReadFile(filepath.Join(folder, "seen", "partners.lists.json"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := parseWaiting(data)
	if err != nil || read.hash() != f.memory.holdings["partners"].unproven.hash() || len(read.gaps) != 1 {
		t.Errorf("read %d lists, %d gaps, %v", len(read.lists), len(read.gaps), err)
	}
	for _, bad := range []string{"", "rubbish", `{"gaps":[{"source":"a"}]}`, `{"lists":[{"source":"a","der":"AAAA"}]}`} {
		if _, err := parseWaiting([]byte(bad)); err == nil {
			t.Errorf("%q is understood", bad)
		}
	}
}

func FuzzParseWaiting(f *testing.F) {
	f.Add([]byte(`{"lists":[{"source":"file:a","der":"MIAA"}],"gaps":[{"source":"file:a","issuer":"CN=a","name":"00","number":3}],"overrun":["file:a"]}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		if found, err := parseWaiting(data); err == nil {
			_ = found.hash()
		}
	})
}

func TestOfListsThatWaitForTheirAuthorityTheNewestIsTold(t *testing.T) {
	f, intermediate, _ := between(t, nil)
	for n := int64(4); n < 8; n++ {
		f.write("between.crl", f.list(intermediate, n))
		f.apply()
	}
	var told []string
	for _, state := range f.Current().Truststores["partners"].Revocation.States {
		if state.Unproven {
			told = append(told, state.Number)
		}
	}
	if !slices.Equal(told, []string{"7"}) {
		t.Errorf("status tells of the lists %q", told)
	}
	f.clock.advance(48 * time.Hour)
	f.apply()
	f.wantProblem(KindTruststore, "partners", `the revocation list 7 of "CN=between" has run out`)
}

func TestThatAListOfAnIntermediateIsNeededIsToldBeforeARequestIsRefused(t *testing.T) {
	f, _, _ := between(t, nil)
	spec := fromCallers("file:partners.crl")
	spec.Revocation.Mode = sallyportv1.RevocationMode_REVOCATION_MODE_REQUIRED
	f.specs.Truststores["partners"] = spec
	f.apply()
	f.wantProblem(KindTruststore, "partners", "there is no revocation list of an authority below")
	spec = fromCallers("file:partners.crl", "file:between.crl")
	spec.Revocation.Mode = sallyportv1.RevocationMode_REVOCATION_MODE_REQUIRED
	f.specs.Truststores["partners"] = spec
	f.apply()
	f.wantNoProblem()
}
