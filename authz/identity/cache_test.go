package identity_test

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// asked are the truststores of the property test's policies.
var asked = [][]string{{"one"}, {"two"}, {"one", "two"}}

func TestARememberedVerdictIsTheOneThatWouldBeReachedAnew(t *testing.T) {
	const seed = 20300102
	random := rand.New(rand.NewPCG(seed, seed))
	authorities := []*fixture.Authority{
		fixture.NewAuthority(t, "a"), fixture.NewAuthorityFor(t, "a", 3*time.Hour), fixture.NewAuthorityFor(t, "b", 5*time.Hour),
	}
	var certificates []string
	for _, a := range authorities {
		certificates = append(certificates,
			a.Client("short", fixture.Valid(0, time.Hour)), a.Client("later", fixture.Valid(time.Hour, 3*time.Hour)),
			a.Client("long", fixture.Valid(-time.Hour, 3*time.Hour)))
	}
	trusts := make([]*identity.Trust, 8)
	for i := range trusts {
		trusts[i] = trusting([]string{"one", "two"}, someOf(random, "one", authorities), someOf(random, "two", authorities))
	}
	remembering, err := identity.NewVerifier(5) // small, so that it forgets as well
	if err != nil {
		t.Fatal(err)
	}
	for step := range 3000 {
		// Seconds and single nanoseconds around the moments at which something changes; time may go back.
		at := fixture.Noon.Add(time.Duration(random.IntN(9)-2)*time.Hour + time.Duration(random.IntN(3)-1))
		certificate := certificates[random.IntN(len(certificates))]
		trust := trusts[random.IntN(len(trusts))]
		got, want := remembering.Verify(certificate, trust, at), newVerifier(t).Verify(certificate, trust, at)
		for _, names := range asked {
			gotVouchers, gotRefusal := got.Vouchers(names)
			wantVouchers, wantRefusal := want.Vouchers(names)
			if !reflect.DeepEqual(gotVouchers, wantVouchers) || !reflect.DeepEqual(gotRefusal, wantRefusal) {
				t.Fatalf("seed %d, step %d, %s, %v: remembered %v %v, anew %v %v", seed, step, at, names, gotVouchers, gotRefusal, wantVouchers, wantRefusal)
			}
		}
		if !reflect.DeepEqual(got.Certificate, want.Certificate) {
			t.Fatalf("seed %d, step %d: remembered %+v, anew %+v", seed, step, got.Certificate, want.Certificate)
		}
	}
}

// someOf makes a truststore of some of the authorities. One without any is as good as missing.
func someOf(random *rand.Rand, name string, authorities []*fixture.Authority) *inventory.Truststore {
	var some []*fixture.Authority
	for _, a := range authorities {
		if random.IntN(2) == 0 {
			some = append(some, a)
		}
	}
	return fixture.Truststore(name, some...)
}

func TestStrangersDoNotDisplacePartners(t *testing.T) {
	partners, strangers := fixture.NewAuthority(t, "partners"), fixture.NewAuthority(t, "strangers")
	trust := trusting([]string{"partners"}, fixture.Truststore("partners", partners))
	verifier, err := identity.NewVerifier(3)
	if err != nil {
		t.Fatal(err)
	}
	certificate := partners.Client("mapps")
	first := verifier.Verify(certificate, trust, fixture.Noon)
	for i := range 20 {
		verifier.Verify(strangers.Client("stranger-"+strconv.Itoa(i)), trust, fixture.Noon)
	}
	if verifier.Verify(certificate, trust, fixture.Noon) != first {
		t.Error("the partner's verdict was forgotten")
	}
}

func FuzzCertificate(f *testing.F) {
	partners := fixture.NewAuthority(f, "partners")
	trust := trusting([]string{"partners"}, fixture.Truststore("partners", partners))
	f.Add(partners.Client("mapps"))
	f.Add(partners.Client("mapps", fixture.URI("spiffe://example.org/partner/a"), fixture.Usages()))
	f.Add(fixture.Encode(partners.Certificate()))
	f.Add("-----BEGIN CERTIFICATE-----%0A-----END CERTIFICATE-----%0A")
	f.Add("%")
	f.Fuzz(func(t *testing.T, encoded string) {
		verdict := newVerifier(t).Verify(encoded, trust, fixture.Noon)
		vouchers, refusal := verdict.Vouchers([]string{"partners"})
		if (refusal == nil) != (len(vouchers) > 0) {
			t.Fatalf("vouchers %v and refusal %+v", vouchers, refusal)
		}
		if refusal == nil && verdict.Certificate.Issuer != "CN=partners" {
			t.Fatalf("a certificate issued by %s is trusted", verdict.Certificate.Issuer)
		}
		if c := verdict.Certificate; c != nil {
			for _, b := range []byte(c.Subject + c.Issuer + c.Serial) {
				if b < ' ' || b >= 0x7f {
					t.Fatalf("%q is no value of a header", c.Subject)
				}
			}
		}
	})
}
