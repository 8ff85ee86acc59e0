package inventory

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/revocation"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// list signs a list from now on, for a day.
func (f *fixture) list(by *ca.Authority, number int64, revoked ...*x509.Certificate) []byte {
	f.Helper()
	return f.listFor(by, number, 24*time.Hour, revoked...)
}

func (f *fixture) listFor(by *ca.Authority, number int64, lifetime time.Duration, revoked ...*x509.Certificate) []byte {
	f.Helper()
	now := f.clock.Now()
	list := ca.RevocationList{Number: big.NewInt(number), ThisUpdate: now, NextUpdate: now.Add(lifetime)}
	for _, certificate := range revoked {
		list.Entries = append(list.Entries, ca.Revoked{Serial: certificate.SerialNumber, Time: now, Reason: ca.KeyCompromise})
	}
	der, err := by.SignRevocationList(list)
	if err != nil {
		f.Fatal(err)
	}
	return ca.EncodeRevocationList(der)
}

// withLists is a truststore with lists by files.
func withLists(lists ...string) *sallyportv1.TruststoreSpec {
	return &sallyportv1.TruststoreSpec{Bundle: "file:partners.pem", Revocation: &sallyportv1.Revocation{Lists: lists}}
}

func (f *fixture) wantStatus(certificate *x509.Certificate, issuer *ca.Authority, want revocation.State) {
	f.Helper()
	r := f.Current().Truststores["partners"].Revocation
	if got := r.Lists.Status(certificate, issuer.Certificate(), f.clock.Now(), r.Grace); got.State != want {
		f.Errorf("%s is %s, want %s", certificate.Subject, got.State, want)
	}
}

// partners is a truststore of one authority with a list, number 5, in which one certificate stands.
func partners(t *testing.T, change func(*Config)) (f *fixture, authority *ca.Authority, revoked, good *x509.Certificate) {
	t.Helper()
	f = newFixture(t, change)
	authority = f.authority("partners", 0)
	revoked, good = f.issueBy(authority, "revoked", 0).Certificate, f.issueBy(authority, "good", 0).Certificate
	f.write("partners.pem", authority.CertificatePEM())
	f.write("partners.crl", f.list(authority, 5, revoked))
	f.specs.Truststores["partners"] = withLists("file:partners.crl")
	f.apply()
	f.wantNoProblem()
	return f, authority, revoked, good
}

func TestListsComeIntoForceWithTheBundle(t *testing.T) {
	f, authority, revoked, good := partners(t, nil)
	f.wantStatus(revoked, authority, revocation.Revoked)
	f.wantStatus(good, authority, revocation.Good)
	got := f.Current().Truststores["partners"]
	if r := got.Revocation; r.Mode != RevocationRequired || r.Grace != 0 || len(r.Missing) != 0 || len(r.States) != 1 {
		t.Errorf("revocation %+v", r)
	}
	state := got.Revocation.States[0]
	if state.Issuer != "CN=partners" || state.Number != "5" || state.Source != "file:partners.crl" || state.Entries != 1 ||
		!state.NextUpdate.Equal(noon.Add(24*time.Hour)) || !state.StaleSince.IsZero() {
		t.Errorf("state %+v", state)
	}
	if block, rest := pem.Decode(got.Revocation.ProxyPEM); block == nil || block.Type != "X509 CRL" || len(rest) > 0 {
		t.Errorf("for proxies: %q", got.Revocation.ProxyPEM)
	}

	f.write("partners.crl", f.list(authority, 6, revoked, good))
	f.apply()
	f.wantNoProblem()
	f.wantGeneration(2)
	f.wantStatus(good, authority, revocation.Revoked)
	if after := f.Current().Truststores["partners"]; after.Hash == got.Hash || after.BundleHash != got.BundleHash {
		t.Error("the hashes do not tell that the list alone is another")
	}
}

func TestALastGoodListStaysWhateverTakesItsPlace(t *testing.T) {
	f, authority, revoked, good := partners(t, nil)
	stranger, impostor := f.authority("stranger", 0), f.authority("partners", 0)
	whole := f.list(authority, 6)
	later := f.list(authority, 7)
	for name, test := range map[string]struct {
		data  []byte
		words string
	}{
		"nothing at all":             {nil, "no such file"},
		"an empty file":              {[]byte{}, "empty"},
		"rubbish":                    {[]byte("<html>403</html>"), "no revocation list"},
		"half a list":                {whole[:len(whole)/2], "not well-formed"},
		"a certificate":              {authority.CertificatePEM(), `type "CERTIFICATE"`},
		"a private key beside it":    {slices.Concat(whole, authority.KeyPair().PrivateKeyPEM), "PRIVATE KEY"},
		"5 MB":                       {bytes.Repeat([]byte("a"), 5<<20), "larger than"},
		"a stranger's list":          {f.list(stranger, 9), "not in the bundle"},
		"a namesake's list":          {f.list(impostor, 9), "not in the bundle"},
		"a list changed on its way":  {damaged(later), "did not sign it"},
		"an older list":              {f.list(authority, 4), "has the number 4, and 5 was seen"},
		"another of the same number": {f.list(authority, 5), "under which another one was seen"},
	} {
		t.Run(name, func(t *testing.T) {
			f.T = t
			f.remove("partners.crl")
			if test.data != nil {
				f.write("partners.crl", test.data)
			}
			f.apply()
			if problem := f.findProblem(KindTruststore, "partners", test.words); !problem.InForce {
				t.Error("the problem says that nothing is in force")
			}
			f.wantStatus(revoked, authority, revocation.Revoked)
			f.wantStatus(good, authority, revocation.Good)
			f.wantGeneration(1)
			if since := f.Current().Truststores["partners"].Revocation.States[0].StaleSince; since.IsZero() {
				t.Error("nothing says since when the list is stale")
			}
		})
	}
	f.T = t
	f.write("partners.crl", f.list(authority, 7, good))
	f.apply()
	f.wantNoProblem()
	f.wantStatus(good, authority, revocation.Revoked)
}

// damaged changes the last byte of a signature.
func damaged(list []byte) []byte {
	block, _ := pem.Decode(list)
	block.Bytes[len(block.Bytes)-1] ^= 1
	return pem.EncodeToMemory(block)
}

func TestABadBundleKeepsItsListsAndTakesNewOnes(t *testing.T) {
	f, authority, _, good := partners(t, nil)
	f.write("partners.pem", []byte("rubbish"))
	f.write("partners.crl", f.list(authority, 6, good))
	f.apply()
	f.wantProblem(KindTruststore, "partners", "no certificate authority")
	f.wantAnchors("partners", authority)
	f.wantStatus(good, authority, revocation.Revoked)
}

func TestARolledBackBundleRollsBackNoList(t *testing.T) {
	f, authority, revoked, _ := partners(t, nil)
	another := f.authority("another", 0)
	f.write("partners.pem", another.CertificatePEM())
	f.write("partners.crl", f.list(another, 1))
	f.apply()
	f.wantNoProblem()
	f.write("partners.pem", authority.CertificatePEM())
	f.write("partners.crl", f.list(authority, 4))
	f.apply()
	f.wantProblem(KindTruststore, "partners", "has the number 4, and 5 was seen")
	f.wantProblem(KindTruststore, "partners", "there is no good revocation list")
	f.wantStatus(revoked, authority, revocation.NoList)
}

func TestAnOlderListIsRefusedAfterARestart(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f, authority, revoked, _ := partners(t, kept(folder))
	again := newFixture(t, kept(folder))
	again.write("partners.pem", authority.CertificatePEM())
	again.write("partners.crl", f.list(authority, 4))
	again.specs.Truststores["partners"] = withLists("file:partners.crl")
	again.apply()
	again.wantProblem(KindTruststore, "partners", "has the number 4, and 5 was seen")
	again.wantStatus(revoked, authority, revocation.NoList)

	again.write("partners.crl", f.list(authority, 6, revoked))
	again.apply()
	again.wantNoProblem()
	again.wantStatus(revoked, authority, revocation.Revoked)
}

func TestAListThatNeverWasGoodShutsNoOtherTruststore(t *testing.T) {
	f, authority, revoked, _ := partners(t, nil)
	other := f.authority("other", 0)
	f.write("other.pem", other.CertificatePEM())
	f.specs.Truststores["other"] = &sallyportv1.TruststoreSpec{Bundle: "file:other.pem", Revocation: &sallyportv1.Revocation{Lists: []string{"file:other.crl"}}}
	f.apply()
	f.wantProblem(KindTruststore, "other", "no such file")
	f.wantProblem(KindTruststore, "other", `there is no good revocation list of "CN=other"`)
	if r := f.Current().Truststores["other"].Revocation; !slices.Equal(r.Missing, []string{"CN=other"}) || r.ProxyPEM != nil {
		t.Errorf("revocation %+v", r)
	}
	f.wantStatus(revoked, authority, revocation.Revoked)
}

func TestAListThatIsTakenOutOfTheConfigurationIsForgotten(t *testing.T) {
	f, authority, revoked, _ := partners(t, nil)
	f.write("elsewhere.crl", f.list(f.authority("elsewhere", 0), 1))
	f.specs.Truststores["partners"] = withLists("file:elsewhere.crl")
	f.apply()
	f.wantStatus(revoked, authority, revocation.NoList)
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.wantNoProblem()
	if r := f.Current().Truststores["partners"].Revocation; r.Lists != nil || r.Mode != RevocationOff {
		t.Errorf("revocation %+v", r)
	}
}

func TestOneFileOfSeveralListsMayLoseOne(t *testing.T) {
	f, authority, revoked, _ := partners(t, nil)
	other := f.authority("other", 0)
	f.write("partners.pem", authority.CertificatePEM(), other.CertificatePEM())
	f.write("partners.crl", f.list(authority, 6, revoked), f.list(other, 1))
	f.apply()
	f.wantNoProblem()
	f.write("partners.crl", f.list(other, 2))
	f.apply()
	f.wantProblem(KindTruststore, "partners", `no longer gives the list of "CN=partners"`)
	f.wantStatus(revoked, authority, revocation.Revoked)
}

func TestTheHighestNumberOfSeveralSourcesCounts(t *testing.T) {
	f, authority, revoked, good := partners(t, nil)
	f.specs.Truststores["partners"] = withLists("file:partners.crl", "file:mirror.crl")
	f.write("mirror.crl", f.list(authority, 6, good))
	f.apply()
	f.wantProblem(KindTruststore, "partners", "file:partners.crl: the list of \"CN=partners\" has the number 5, and 6 was seen")
	f.wantStatus(good, authority, revocation.Revoked)
	f.wantStatus(revoked, authority, revocation.Good)
}

func TestAListRunsOutByItself(t *testing.T) {
	f, authority, _, good := partners(t, nil)
	f.write("partners.crl", f.listFor(authority, 6, time.Hour))
	f.specs.Truststores["partners"].Revocation.Grace = durationpb.New(time.Hour)
	f.apply()
	f.wantNoProblem()
	if !f.memory.next.Equal(noon.Add(time.Hour)) {
		t.Errorf("the next look is at %s", f.memory.next)
	}
	generation := f.Current().Generation
	f.clock.advance(time.Hour)
	f.apply()
	f.wantProblem(KindTruststore, "partners", "has run out, at 2030-01-02T13:00:00Z, and counts until 2030-01-02T14:00:00Z (grace)")
	f.wantStatus(good, authority, revocation.Good)
	if f.Current().Truststores["partners"].Revocation.ProxyPEM != nil || f.Current().Generation == generation {
		t.Error("proxies still hold handshakes against it")
	}
	if !f.memory.next.Equal(noon.Add(2 * time.Hour)) {
		t.Errorf("the next look is at %s", f.memory.next)
	}
	f.clock.advance(time.Hour)
	f.apply()
	f.wantProblem(KindTruststore, "partners", "has run out, at 2030-01-02T13:00:00Z: publish a new one")
	f.wantStatus(good, authority, revocation.Expired)

	f.write("partners.crl", f.list(authority, 7))
	f.apply()
	f.wantNoProblem()
	f.wantStatus(good, authority, revocation.Good)
}

func TestAListOfTheFutureIsTold(t *testing.T) {
	f, authority, _, good := partners(t, nil)
	f.clock.advance(time.Hour)
	early := f.list(authority, 6)
	f.clock.advance(-time.Hour)
	f.write("partners.crl", early)
	f.apply()
	f.wantProblem(KindTruststore, "partners", "is of the future")
	f.wantStatus(good, authority, revocation.NotYet)
	if f.Current().Truststores["partners"].Revocation.ProxyPEM != nil {
		t.Error("proxies hold handshakes against it")
	}
}

func TestProxiesGetNoListsThatWouldRefuseOthers(t *testing.T) {
	root := newFixture(t, nil).create(ca.Options{CommonName: "root", PathLength: 1})
	for name, change := range map[string]func(*fixture, *ca.Authority){
		"none is required": func(f *fixture, _ *ca.Authority) {
			f.specs.Truststores["partners"].Revocation.Mode = sallyportv1.RevocationMode_REVOCATION_MODE_WHEN_PRESENT
		},
		"they do not count": func(f *fixture, _ *ca.Authority) {
			f.specs.Truststores["partners"].Revocation.Mode = sallyportv1.RevocationMode_REVOCATION_MODE_OFF
		},
		"an authority has none": func(f *fixture, a *ca.Authority) {
			f.write("partners.pem", a.CertificatePEM(), f.authority("other", 0).CertificatePEM())
		},
		"two authorities of one name": func(f *fixture, a *ca.Authority) {
			namesake := f.authority("partners", 0)
			f.write("partners.pem", a.CertificatePEM(), namesake.CertificatePEM())
			f.write("partners.crl", f.list(a, 6), f.list(namesake, 1))
		},
		"the authority above is not there": func(f *fixture, a *ca.Authority) {
			f.write("partners.pem", ca.EncodeCertificate(crossSign(f.T, a, root)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			f, authority, _, _ := partners(t, nil)
			change(f, authority)
			f.apply()
			if r := f.Current().Truststores["partners"].Revocation; r.ProxyPEM != nil || r.Lists == nil {
				t.Errorf("revocation %+v", r)
			}
		})
	}
}

func TestListsOfUnknownAuthoritiesWaitForTheCaller(t *testing.T) {
	f, _, _, _ := partners(t, nil)
	between := f.authority("between", 0)
	leaf := f.issueBy(between, "leaf", 0).Certificate
	f.specs.Truststores["partners"] = withLists("file:partners.crl", "file:between.crl")
	f.specs.Truststores["partners"].Intermediates = &sallyportv1.Intermediates{FromCaller: true}
	f.write("between.crl", f.list(between, 3, leaf))
	f.apply()
	f.wantNoProblem()
	f.wantStatus(leaf, between, revocation.Revoked)
	if got := f.Current().Truststores["partners"].Intermediates; got != (Intermediates{FromCaller: true, MaxDepth: DefaultMaxDepth}) {
		t.Errorf("intermediates %+v", got)
	}

	for name, data := range map[string][]byte{"an older one": f.list(between, 2), "a forged newer one": f.list(f.authority("between", 0), 9), "rubbish": []byte("rubbish")} {
		f.write("between.crl", data)
		f.apply()
		f.wantStatus(leaf, between, revocation.Revoked)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

func TestSubstituteModeReadsNoLists(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Substitute = true })
	f.specs.Truststores["partners"] = withLists("file:partners.crl")
	f.specs.Truststores["partners"].Issuance = &sallyportv1.Issuance{Mode: sallyportv1.IssuanceMode_ISSUANCE_MODE_REGISTERED, Registers: []string{"file:none"}}
	f.specs.Truststores["partners"].Signers = []string{"file:none"}
	f.apply()
	f.wantNoProblem()
	got := f.Current().Truststores["partners"]
	if got.Revocation.Mode != RevocationOff || got.Revocation.Lists != nil || got.Issuance.Asks() || got.Manifest != nil {
		t.Errorf("truststore %+v", got)
	}
}

// A list number may have twenty bytes (RFC 5280, section 5.2.3).
func TestNumbersOfTwentyBytesAreCompared(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f, authority, _, good := partners(t, kept(folder))
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 150))
	if err != nil {
		t.Fatal(err)
	}
	number.SetBit(number, 158, 1)
	sign := func(number *big.Int, revoked ...ca.Revoked) []byte {
		der, err := authority.SignRevocationList(ca.RevocationList{Number: number, ThisUpdate: noon, NextUpdate: noon.Add(time.Hour), Entries: revoked})
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	f.write("partners.crl", sign(number, ca.Revoked{Serial: good.SerialNumber, Time: noon}))
	f.apply()
	f.wantNoProblem()
	f.write("partners.crl", sign(new(big.Int).Sub(number, big.NewInt(1))))
	f.apply()
	f.wantProblem(KindTruststore, "partners", "was seen")
	f.wantStatus(good, authority, revocation.Revoked)
}
