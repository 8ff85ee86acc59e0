package revocation

import (
	"crypto/x509"
	"math/big"
	"strings"
	"testing"
)

func numbered(number int64) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) { l.Number = big.NewInt(number) }
}

func TestAGapForgetsWhomItMayBeAbout(t *testing.T) {
	keyed := func(id byte) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.SubjectKeyId = []byte{id} }
	}
	a, sameName, other := newAuthority(t, "a", keyed(1)), newAuthority(t, "a", keyed(2)), newAuthority(t, "b", keyed(1))
	dropped := parsed(t, a.list(t, numbered(7))).Gap()
	for name, test := range map[string]struct {
		of     *authority
		lists  [][]byte
		serial int64
		gaps   Gaps
		want   State
	}{
		"no list":                   {a, nil, 1, Gaps{Of: []Gap{dropped}}, Forgotten},
		"an older list":             {a, [][]byte{a.list(t, numbered(6))}, 1, Gaps{Of: []Gap{dropped}}, Forgotten},
		"an older list that has it": {a, [][]byte{a.list(t, numbered(6), 1)}, 1, Gaps{Of: []Gap{dropped}}, Revoked},
		"the list itself":           {a, [][]byte{a.list(t, numbered(7))}, 1, Gaps{Of: []Gap{dropped}}, Good},
		"a newer list":              {a, [][]byte{a.list(t, numbered(8))}, 1, Gaps{Of: []Gap{dropped}}, Good},
		"a forged newer list":       {a, [][]byte{sameName.list(t, numbered(8))}, 1, Gaps{Of: []Gap{dropped}}, Forgotten},
		"a namesake":                {sameName, nil, 1, Gaps{Of: []Gap{dropped}}, NoList},
		"another name":              {other, nil, 1, Gaps{Of: []Gap{dropped}}, NoList},
		"a name without a key":      {sameName, nil, 1, Gaps{Of: []Gap{{Name: dropped.Name, Number: big.NewInt(7)}}}, Forgotten},
		"everything":                {other, nil, 1, Gaps{All: true}, Forgotten},
		"everything, with a list":   {a, [][]byte{a.list(t, numbered(9))}, 1, Gaps{All: true}, Forgotten},
		"everything, of one known":  {a, nil, 1, Gaps{All: true, Known: []*x509.Certificate{a.certificate}}, NoList},
	} {
		t.Run(name, func(t *testing.T) {
			var unproven []*List
			for _, der := range test.lists {
				unproven = append(unproven, parsed(t, der))
			}
			set := NewSet(nil, unproven).WithGaps(test.gaps)
			if got := set.Status(&x509.Certificate{SerialNumber: big.NewInt(test.serial)}, test.of.certificate, noon, 0); got.State != test.want {
				t.Errorf("it is %s, want %s", got.State, test.want)
			}
		})
	}
	if set := NewSet(nil, nil); set.WithGaps(Gaps{}).Status(a.certificate, a.certificate, noon, 0).State != NoList {
		t.Error("without a gap something is forgotten")
	}
}

func TestAVerifiedListIsNeverForgotten(t *testing.T) {
	a := newAuthority(t, "a", nil)
	set := NewSet([]Verified{verified(t, a.list(t, nil), a)}, nil).WithGaps(Gaps{All: true, Of: []Gap{parsed(t, a.list(t, numbered(7))).Gap()}})
	if got := set.Status(&x509.Certificate{SerialNumber: big.NewInt(1)}, a.certificate, noon, 0); got.State != Good {
		t.Errorf("it is %s", got.State)
	}
}

func TestASetRemembersWhoseListsWereAskedFor(t *testing.T) {
	a, stranger := newAuthority(t, "a", nil), newAuthority(t, "a", nil)
	set := NewSet(nil, []*List{parsed(t, a.list(t, nil))})
	_ = set.List(stranger.certificate)
	if met := set.Met(); len(met) != 0 {
		t.Errorf("it has met %d that have signed nothing", len(met))
	}
	_, _ = set.List(a.certificate), set.List(a.certificate)
	if met := set.Met(); len(met) != 1 || !met[0].Equal(a.certificate) {
		t.Errorf("it has met %d", len(met))
	}
	if (*Set)(nil).Met() != nil {
		t.Error("no set has met somebody")
	}
}

// crypto/x509 writes none that is longer, but reads them.
func TestANumberIsNoLongerThanTwentyBytes(t *testing.T) {
	for bits, want := range map[uint]bool{159: true, 161: false} {
		list := &x509.RevocationList{
			Number: new(big.Int).Lsh(big.NewInt(1), bits-1), ThisUpdate: noon, NextUpdate: noon.Add(1), SignatureAlgorithm: x509.ECDSAWithSHA256,
		}
		if err := checkForm(list); (err == nil) != want || err != nil && !strings.Contains(err.Error(), "20 bytes") {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}
