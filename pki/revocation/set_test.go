package revocation

import (
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
	"time"
)

const hashSHA256 = crypto.SHA256

func sha256Of(message []byte) []byte {
	sum := sha256.Sum256(message)
	return sum[:]
}

func TestVerifyWantsTheAuthoritysSignature(t *testing.T) {
	a, namesake, other := newAuthority(t, "a", nil), newAuthority(t, "a", nil), newAuthority(t, "b", nil)
	unlimited := newAuthority(t, "a", func(c *x509.Certificate) { c.KeyUsage = 0 })
	forCertificates := newAuthority(t, "a", func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	leaf := newAuthority(t, "a", func(c *x509.Certificate) { c.IsCA, c.KeyUsage, c.SubjectKeyId = false, 0, []byte("leaf") })
	anonymous := newAuthority(t, "a", func(c *x509.Certificate) { c.SubjectKeyId = []byte("same") })
	impostor := newAuthority(t, "a", func(c *x509.Certificate) { c.SubjectKeyId = []byte("same") })
	changed := a.list(t, nil, 7)
	changed[len(changed)-1] ^= 1
	for name, test := range map[string]struct {
		list []byte
		by   *authority
		want string
	}{
		"its own":                          {a.list(t, nil), a, ""},
		"one without a key usage":          {unlimited.list(t, nil), unlimited, ""},
		"another's":                        {a.list(t, nil), other, "another authority"},
		"a namesake's, by key identifier":  {a.list(t, nil), namesake, "key identifier"},
		"a namesake's with its identifier": {impostor.list(t, nil), anonymous, "did not sign it"},
		"one that signs no lists":          {forCertificates.list(t, nil), forCertificates, "key usage"},
		"a leaf":                           {leaf.list(t, nil), leaf, "not a certificate authority"},
		"its own, changed":                 {changed, a, "did not sign it"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parsed(t, test.list).Verify(test.by.certificate)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestStatusGoesByTheNewestListAndItsDates(t *testing.T) {
	a, other := newAuthority(t, "a", nil), newAuthority(t, "b", nil)
	older := a.list(t, func(l *x509.RevocationList) { l.Number = big.NewInt(4) }, 1, 2)
	set := NewSet([]Verified{verified(t, older, a), verified(t, a.list(t, nil, 2), a)}, nil)
	const grace = 30 * time.Minute
	for name, test := range map[string]struct {
		serial  int64
		of      *authority
		at      time.Duration
		grace   time.Duration
		want    State
		inGrace bool
	}{
		"one that does not stand there":      {serial: 3, of: a, want: Good},
		"one that stood in an older one":     {serial: 1, of: a, want: Good},
		"one that stands there":              {serial: 2, of: a, want: Revoked},
		"it, when the list has run out":      {serial: 2, of: a, at: 100 * time.Hour, want: Revoked},
		"it, when the list is of the future": {serial: 2, of: a, at: -100 * time.Hour, want: Revoked},
		"another authority's":                {serial: 2, of: other, want: NoList},
		"in the list's last moment":          {serial: 3, of: a, at: time.Hour - 1, want: Good},
		"at its end":                         {serial: 3, of: a, at: time.Hour, want: Expired},
		"at its end, with grace":             {serial: 3, of: a, at: time.Hour, grace: grace, want: Good, inGrace: true},
		"at the end of the grace":            {serial: 3, of: a, at: time.Hour + grace, grace: grace, want: Expired},
		"by a clock a little behind":         {serial: 3, of: a, at: -ClockTolerance, want: Good},
		"by a clock further behind":          {serial: 3, of: a, at: -ClockTolerance - 1, want: NotYet},
	} {
		t.Run(name, func(t *testing.T) {
			got := set.Status(&x509.Certificate{SerialNumber: big.NewInt(test.serial)}, test.of.certificate, noon.Add(test.at), test.grace)
			if got.State != test.want || got.InGrace != test.inGrace || (got.List == nil) != (test.want == NoList) {
				t.Errorf("got %s (in grace: %v), want %s", got.State, got.InGrace, test.want)
			}
		})
	}
	if got := (*Set)(nil).Status(&x509.Certificate{SerialNumber: big.NewInt(2)}, a.certificate, noon, 0); got.State != NoList {
		t.Errorf("no set at all says %s", got.State)
	}
}

func TestStatusIsTheSameBetweenTheMomentsOfAList(t *testing.T) {
	a := newAuthority(t, "a", nil)
	list := parsed(t, a.list(t, nil))
	const grace = 20 * time.Minute
	for at := -2 * time.Hour; at < 3*time.Hour; at += time.Minute {
		changes := list.At(noon.Add(at), grace) != list.At(noon.Add(at-1), grace)
		named := false
		for _, moment := range list.Moments(grace) {
			named = named || moment.Equal(noon.Add(at))
		}
		if changes && !named {
			t.Errorf("it changes at %s, which is none of its moments", at)
		}
	}
}

func TestAnUnprovenListCountsOnceItsAuthorityIsKnown(t *testing.T) {
	a := newAuthority(t, "a", nil)
	impostor := newAuthority(t, "a", func(c *x509.Certificate) { c.SubjectKeyId = a.certificate.SubjectKeyId })
	forged := impostor.list(t, func(l *x509.RevocationList) { l.Number = big.NewInt(1000) })
	older := a.list(t, func(l *x509.RevocationList) { l.Number = big.NewInt(4) }, 1)
	set := NewSet(nil, []*List{parsed(t, older), parsed(t, forged), parsed(t, a.list(t, nil, 2))})
	for serial, want := range map[int64]State{1: Good, 2: Revoked, 3: Good} {
		if got := set.Status(&x509.Certificate{SerialNumber: big.NewInt(serial)}, a.certificate, noon, 0); got.State != want {
			t.Errorf("serial %d is %s, want %s", serial, got.State, want)
		}
	}
}

func TestARenewedCertificateOfAnAuthorityIsTheSameAuthority(t *testing.T) {
	a := newAuthority(t, "a", nil)
	renewed := *a.certificate
	renewed.Raw, renewed.SerialNumber = []byte("another"), big.NewInt(99)
	if AuthorityOf(a.certificate) != AuthorityOf(&renewed) {
		t.Error("it is taken for another")
	}
	if AuthorityOf(a.certificate) == AuthorityOf(newAuthority(t, "a", nil).certificate) {
		t.Error("a namesake with another key is taken for it")
	}
}

func TestOfUnprovenListsOfOneNumberTheLaterCounts(t *testing.T) {
	a := newAuthority(t, "a", nil)
	earlier := a.list(t, func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(-time.Hour) })
	later := a.list(t, nil, 1)
	for _, lists := range [][]*List{{parsed(t, earlier), parsed(t, later)}, {parsed(t, later), parsed(t, earlier)}} {
		if got := NewSet(nil, lists).Status(&x509.Certificate{SerialNumber: big.NewInt(1)}, a.certificate, noon, 0); got.State != Revoked {
			t.Errorf("the certificate is %s, want %s", got.State, Revoked)
		}
	}
}

func TestOfUnprovenListsTheNewestOfEachClaimIsTold(t *testing.T) {
	keyed := func(id byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.SubjectKeyId = []byte{id} }
	}
	a, b, sameName := newAuthority(t, "a", keyed(1)), newAuthority(t, "b", keyed(2)), newAuthority(t, "a", keyed(3))
	older := a.list(t, func(l *x509.RevocationList) { l.Number = big.NewInt(4) })
	set := NewSet(nil, []*List{parsed(t, older), parsed(t, b.list(t, nil)), parsed(t, a.list(t, nil)), parsed(t, sameName.list(t, nil))})
	numbers := make(map[string]string)
	for _, list := range set.Unproven() {
		numbers[list.Claim()] = list.Number.String()
	}
	if len(set.Unproven()) != 3 {
		t.Errorf("%d lists are told, want one of each claim", len(set.Unproven()))
	}
	for _, authority := range []*authority{a, b, sameName} {
		if got := numbers[ClaimOf(authority.certificate)]; got != "5" {
			t.Errorf("of %s the number %q is told, want 5", authority.certificate.Subject, got)
		}
	}
	if (*Set)(nil).Unproven() != nil {
		t.Error("no set has lists")
	}
}
