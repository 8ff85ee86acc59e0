package identity_test

import (
	"crypto/x509"
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/revocation"
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
	remembering, err := identity.NewVerifier(identity.Config{CacheSize: 5}) // small, so that it forgets as well
	if err != nil {
		t.Fatal(err)
	}
	for step := range 3000 {
		// Seconds and single nanoseconds around the moments at which something changes; time may go back.
		at := fixture.Noon.Add(time.Duration(random.IntN(9)-2)*time.Hour + time.Duration(random.IntN(3)-1))
		certificate := certificates[random.IntN(len(certificates))]
		trust := trusts[random.IntN(len(trusts))]
		got, want := remembering.Verify(presented(certificate), trust, at), newVerifier(t).Verify(presented(certificate), trust, at)
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

// The same over generations of lists and registers, and with what callers send beside their certificates.
func TestARememberedVerdictGoesByTheListsOfItsMoment(t *testing.T) {
	const seed = 20300103
	random := rand.New(rand.NewPCG(seed, seed))
	root := newRawAuthority(t, nil)
	one := root.below(t, "one", func(c *x509.Certificate) { c.NotAfter = fixture.Noon.Add(6 * time.Hour) })
	var presented []identity.Presented
	var leaves []*x509.Certificate
	for serial := range int64(4) {
		direct, deep := root.leaf(t, serial, nil), one.leaf(t, serial, func(c *x509.Certificate) { c.NotAfter = fixture.Noon.Add(4 * time.Hour) })
		leaves = append(leaves, direct, deep)
		presented = append(presented, sent(direct), sent(direct, one), sent(deep), sent(deep, one), sent(deep, root, one))
	}
	trusts := make([]*identity.Trust, 24)
	for i := range trusts {
		made := truststore("one", strconv.Itoa(i), root)
		if random.IntN(2) == 0 {
			made = fromCaller(made, 1)
		}
		var lists []*revocation.List
		for _, authority := range []*rawAuthority{root, one} {
			for range random.IntN(3) {
				from := time.Duration(random.IntN(5)-2) * time.Hour
				lists = append(lists, authority.list(t, int64(random.IntN(3)), window{from, from + time.Hour}, int64(random.IntN(8)), int64(random.IntN(8))))
			}
		}
		made = require(t, made, lists...)
		made.Revocation.Mode = inventory.RevocationMode(random.IntN(3))
		made.Revocation.Grace = time.Duration(random.IntN(2)) * 30 * time.Minute
		if random.IntN(3) == 0 {
			made = registers(made, random.IntN(2) == 0, root.index(t, leaves[random.IntN(len(leaves))], leaves[random.IntN(len(leaves))]))
		}
		trusts[i] = trusting([]string{"one"}, made)
	}
	remembering, err := identity.NewVerifier(identity.Config{CacheSize: 50})
	if err != nil {
		t.Fatal(err)
	}
	outcomes := map[reason.Reason]int{}
	for step := range 6000 {
		at := fixture.Noon.Add(time.Duration(random.IntN(20)-6)*30*time.Minute + time.Duration(random.IntN(3)-1))
		at = at.Add(-time.Duration(random.IntN(2)) * revocation.ClockTolerance)
		shown, trust := presented[random.IntN(len(presented))], trusts[random.IntN(len(trusts))]
		gotVouchers, gotRefusal := remembering.Verify(shown, trust, at).Vouchers([]string{"one"})
		fresh := newVerifier(t).Verify(shown, trust, at)
		wantVouchers, wantRefusal := fresh.Vouchers([]string{"one"})
		if !reflect.DeepEqual(gotVouchers, wantVouchers) || !reflect.DeepEqual(gotRefusal, wantRefusal) {
			t.Fatalf("seed %d, step %d, %s: remembered %v %v, anew %v %v", seed, step, at, gotVouchers, gotRefusal, wantVouchers, wantRefusal)
		}
		if got := remembering.Verify(shown, trust, at); got.Note("one") != fresh.Note("one") {
			t.Fatalf("seed %d, step %d, %s: remembered the note %q, anew %q", seed, step, at, got.Note("one"), fresh.Note("one"))
		}
		if wantRefusal != nil {
			outcomes[wantRefusal.Reason]++
		} else {
			outcomes[""]++
		}
	}
	for _, want := range []reason.Reason{
		"", reason.CertificateRevoked, reason.RevocationUnavailable, reason.ClockBehind, reason.CertificateUnregistered,
		reason.CertificateUntrusted, reason.CertificateExpired, reason.RegisterUnavailable,
	} {
		if outcomes[want] < 10 {
			t.Errorf("the outcome %q came %d times: the test tests too little", want, outcomes[want])
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
	verifier, err := identity.NewVerifier(identity.Config{CacheSize: 3})
	if err != nil {
		t.Fatal(err)
	}
	certificate := partners.Client("mapps")
	first := verifier.Verify(presented(certificate), trust, fixture.Noon)
	for i := range 20 {
		verifier.Verify(presented(strangers.Client("stranger-"+strconv.Itoa(i))), trust, fixture.Noon)
	}
	if verifier.Verify(presented(certificate), trust, fixture.Noon) != first {
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
		verdict := newVerifier(t).Verify(presented(encoded), trust, fixture.Noon)
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
