package inventory

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func fingerprint(certificate *x509.Certificate) string {
	sum := sha256.Sum256(certificate.Raw)
	return hex.EncodeToString(sum[:])
}

// index signs the index of an authority's register for a day.
func (f *fixture) index(by *ca.Authority, number uint64, known ...*x509.Certificate) []byte {
	f.Helper()
	var sums []string
	for _, certificate := range known {
		sums = append(sums, fingerprint(certificate))
	}
	now := f.clock.Now()
	data, err := register.SignIndex(register.Publication{
		Number: number, ThisUpdate: now, NextUpdate: now.Add(24 * time.Hour),
		Head: register.Head{Count: number, Hash: strings.Repeat("a", 64), Time: now},
	}, sums, by.KeyPair().PrivateKey)
	if err != nil {
		f.Fatal(err)
	}
	return data
}

func (f *fixture) wantRegistration(certificate *x509.Certificate, issuer *ca.Authority, want Registration) {
	f.Helper()
	if got := f.Current().Truststores["partners"].Issuance.Find(fingerprint(certificate), issuer.Certificate()); got != want {
		f.Errorf("%s is %d, want %d", certificate.Subject, got, want)
	}
}

// registered is a truststore of one authority whose register, number 5, knows one certificate.
func registered(t *testing.T, change func(*Config)) (f *fixture, authority *ca.Authority, known, unknown *x509.Certificate) {
	t.Helper()
	f = newFixture(t, change)
	authority = f.authority("partners", 0)
	known, unknown = f.issueBy(authority, "known", 0).Certificate, f.issueBy(authority, "unknown", 0).Certificate
	f.write("partners.pem", authority.CertificatePEM())
	f.write("partners.index", f.index(authority, 5, known))
	f.specs.Truststores["partners"] = &sallyportv1.TruststoreSpec{Bundle: "file:partners.pem", Issuance: &sallyportv1.Issuance{
		Mode: sallyportv1.IssuanceMode_ISSUANCE_MODE_REGISTERED, Registers: []string{"file:partners.index"},
	}}
	f.apply()
	f.wantNoProblem()
	return f, authority, known, unknown
}

func TestARegisterTellsWhatItsAuthorityHasIssued(t *testing.T) {
	f, authority, known, unknown := registered(t, nil)
	other := f.authority("other", 0)
	f.wantRegistration(known, authority, Registered)
	f.wantRegistration(unknown, authority, Unregistered)
	f.wantRegistration(known, other, NoRegister)
	if got := f.Current().Truststores["partners"].Issuance; !got.Registered || !got.Asks() || len(got.Registers) != 1 || got.Registers[0].Source != "file:partners.index" {
		t.Errorf("issuance %+v", got)
	}
	f.write("partners.index", f.index(authority, 6, known, unknown))
	f.apply()
	f.wantGeneration(2)
	f.wantRegistration(unknown, authority, Registered)
}

func TestALastGoodRegisterStaysWhateverTakesItsPlace(t *testing.T) {
	f, authority, known, unknown := registered(t, nil)
	stranger := f.authority("stranger", 0)
	for name, test := range map[string]struct {
		data  []byte
		words string
	}{
		"nothing at all":             {nil, "no such file"},
		"rubbish":                    {[]byte("rubbish"), "index of issued certificates"},
		"half a register":            {f.index(authority, 6, unknown)[:100], "index of issued certificates"},
		"a stranger's":               {f.index(stranger, 6, unknown), "index of issued certificates"},
		"an older one":               {f.index(authority, 4, unknown), "its number is 4, and 5 was seen"},
		"another of the same number": {f.index(authority, 5, unknown), "under which another one was seen"},
	} {
		t.Run(name, func(t *testing.T) {
			f.T = t
			f.remove("partners.index")
			if test.data != nil {
				f.write("partners.index", test.data)
			}
			f.apply()
			f.wantProblem(KindTruststore, "partners", test.words)
			f.wantRegistration(known, authority, Registered)
			f.wantRegistration(unknown, authority, Unregistered)
		})
	}
}

func TestARegisterThatNeverWasGoodKnowsNobody(t *testing.T) {
	f, authority, known, _ := registered(t, nil)
	again := newFixture(t, nil)
	again.write("partners.pem", authority.CertificatePEM())
	again.specs.Truststores["partners"] = f.specs.Truststores["partners"]
	again.apply()
	again.wantProblem(KindTruststore, "partners", "no such file")
	again.wantRegistration(known, authority, NoRegister)
	if got := again.Current().Truststores["partners"].Issuance; !got.Registered || !got.Asks() {
		t.Errorf("issuance %+v", got)
	}
}

func TestAnOlderRegisterIsRefusedAfterARestart(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f, authority, known, _ := registered(t, kept(folder))
	again := newFixture(t, kept(folder))
	again.write("partners.pem", authority.CertificatePEM())
	again.write("partners.index", f.index(authority, 4, known))
	again.specs.Truststores["partners"] = f.specs.Truststores["partners"]
	again.apply()
	again.wantProblem(KindTruststore, "partners", "its number is 4, and 5 was seen")
	again.wantRegistration(known, authority, NoRegister)
}

func TestARegisterThatHasRunOutIsTold(t *testing.T) {
	f, authority, known, _ := registered(t, nil)
	f.clock.advance(24 * time.Hour)
	f.apply()
	f.wantProblem(KindTruststore, "partners", "certificates issued since then are not known")
	f.wantRegistration(known, authority, Registered)
}

func TestARegisterOfAnUnknownAuthorityWaitsForTheCaller(t *testing.T) {
	f, authority, known, _ := registered(t, nil)
	between := f.authority("between", 0)
	leaf := f.issueBy(between, "leaf", 0).Certificate
	f.write("partners.index", slices.Concat(f.index(authority, 6, known), f.index(between, 6, leaf)))
	f.specs.Truststores["partners"].Intermediates = &sallyportv1.Intermediates{FromCaller: true}
	f.apply()
	f.wantNoProblem()
	f.wantRegistration(known, authority, Registered)
	f.wantRegistration(leaf, between, Registered)
	f.wantRegistration(known, between, Unregistered)

	f.write("partners.index", f.index(between, 7, leaf))
	f.apply()
	f.wantRegistration(leaf, between, Registered)
}
