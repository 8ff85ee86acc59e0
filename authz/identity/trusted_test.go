package identity_test

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/revocation"
)

// below makes an authority that this one has signed.
func (a *rawAuthority) below(t testing.TB, name string, change func(*x509.Certificate)) *rawAuthority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(int64(1000 + len(name))), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, NotBefore: fixture.Noon.Add(-time.Hour), NotAfter: fixture.Noon.Add(1000 * time.Hour),
	}
	template.Subject.CommonName = name
	if change != nil {
		change(template)
	}
	b := &rawAuthority{certificate: template, key: newKey(t)}
	b.certificate = a.sign(t, template, b.key.Public())
	return b
}

// leaf signs a client certificate with a serial number.
func (a *rawAuthority) leaf(t testing.TB, serial int64, change func(*x509.Certificate)) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: fixture.Noon.Add(-time.Hour), NotAfter: fixture.Noon.Add(100 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	template.Subject.CommonName = fmt.Sprintf("leaf-%d", serial)
	if change != nil {
		change(template)
	}
	return a.sign(t, template, newKey(t).Public())
}

// window is when a list is current, in relation to Noon.
type window struct{ from, until time.Duration }

// list signs a revocation list of serial numbers.
func (a *rawAuthority) list(t testing.TB, number int64, w window, revoked ...int64) *revocation.List {
	t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: fixture.Noon.Add(w.from), NextUpdate: fixture.Noon.Add(w.until)}
	for _, serial := range revoked {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(serial), RevocationTime: fixture.Noon, ReasonCode: int(ca.KeyCompromise),
		})
	}
	issuer := *a.certificate
	issuer.KeyUsage |= x509.KeyUsageCRLSign
	var signer crypto.Signer = a.key
	der, err := x509.CreateRevocationList(rand.Reader, template, &issuer, signer)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := revocation.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	return lists[0]
}

// truststore is of these authorities, under a hash that tells it from all others of its test.
func truststore(name, hash string, authorities ...*rawAuthority) *inventory.Truststore {
	made := &inventory.Truststore{Name: name, Hash: hash}
	for _, a := range authorities {
		made.Anchors = append(made.Anchors, a.certificate)
	}
	return made
}

// require has a truststore demand lists: those that an anchor has signed, and the others for authorities to come.
func require(t testing.TB, store *inventory.Truststore, lists ...*revocation.List) *inventory.Truststore {
	t.Helper()
	var verified []revocation.Verified
	var unproven []*revocation.List
next:
	for _, list := range lists {
		for _, anchor := range store.Anchors {
			if found, err := list.Verify(anchor); err == nil {
				verified = append(verified, found)
				continue next
			}
		}
		unproven = append(unproven, list)
	}
	store.Revocation.Mode, store.Revocation.Lists = inventory.RevocationRequired, revocation.NewSet(verified, unproven)
	return store
}

func fromCaller(store *inventory.Truststore, depth int) *inventory.Truststore {
	store.Intermediates = inventory.Intermediates{FromCaller: true, MaxDepth: depth}
	return store
}

// sent is a leaf with what its caller sends beside it.
func sent(leaf *x509.Certificate, beside ...*rawAuthority) identity.Presented {
	chain := string(ca.EncodeCertificate(leaf))
	for _, a := range beside {
		chain += string(ca.EncodeCertificate(a.certificate))
	}
	return identity.Presented{Certificate: fixture.Encode(leaf), Chain: fixture.EncodePEM(chain)}
}

// wantReason judges by one truststore, `raw`; an empty reason is that it vouches.
func wantReason(t *testing.T, p identity.Presented, store *inventory.Truststore, at time.Duration, want reason.Reason) *identity.Verdict {
	t.Helper()
	verdict := newVerifier(t).Verify(p, trusting([]string{store.Name}, store), fixture.Noon.Add(at))
	_, refusal := verdict.Vouchers([]string{store.Name})
	switch {
	case refusal == nil && want != "":
		t.Errorf("it is accepted, want %s", want)
	case refusal != nil && refusal.Reason != want:
		t.Errorf("%s (%s), want %q", refusal.Reason, refusal.Detail, want)
	}
	return verdict
}

var current = window{-time.Hour, 10 * time.Hour}

func TestARevocationListDecides(t *testing.T) {
	root := newRawAuthority(t, nil)
	namesake := newRawAuthority(t, nil)
	leaf := root.leaf(t, 7, nil)
	presented := identity.Presented{Certificate: fixture.Encode(leaf)}
	for name, test := range map[string]struct {
		lists   []*revocation.List
		mode    inventory.RevocationMode // required, if off
		grace   time.Duration
		at      time.Duration
		want    reason.Reason
		noteHas string
	}{
		"it does not stand there":                 {lists: []*revocation.List{root.list(t, 1, current, 8)}},
		"it stands there":                         {lists: []*revocation.List{root.list(t, 1, current, 7)}, want: reason.CertificateRevoked},
		"there is no list":                        {want: reason.RevocationUnavailable},
		"there is a namesake's list alone":        {lists: []*revocation.List{namesake.list(t, 1, current)}, want: reason.RevocationUnavailable},
		"the list has run out":                    {lists: []*revocation.List{root.list(t, 1, current)}, at: 10 * time.Hour, want: reason.RevocationUnavailable},
		"just before it runs out":                 {lists: []*revocation.List{root.list(t, 1, current)}, at: 10*time.Hour - 1},
		"it has run out, within the grace":        {lists: []*revocation.List{root.list(t, 1, current)}, grace: time.Hour, at: 10 * time.Hour, noteHas: "(grace)"},
		"and after the grace":                     {lists: []*revocation.List{root.list(t, 1, current)}, grace: time.Hour, at: 11 * time.Hour, want: reason.RevocationUnavailable},
		"it stands in one that has run out":       {lists: []*revocation.List{root.list(t, 1, current, 7)}, at: 20 * time.Hour, want: reason.CertificateRevoked},
		"the list is of the future":               {lists: []*revocation.List{root.list(t, 1, window{time.Hour, 2 * time.Hour})}, want: reason.ClockBehind},
		"it stands in one of the future":          {lists: []*revocation.List{root.list(t, 1, window{time.Hour, 2 * time.Hour}, 7)}, want: reason.CertificateRevoked},
		"no list, and none is required":           {mode: inventory.RevocationWhenPresent, noteHas: "none is required"},
		"run out, and none is required":           {lists: []*revocation.List{root.list(t, 1, current)}, mode: inventory.RevocationWhenPresent, at: 20 * time.Hour, noteHas: "none is required"},
		"it stands there, and none is required":   {lists: []*revocation.List{root.list(t, 1, current, 7)}, mode: inventory.RevocationWhenPresent, want: reason.CertificateRevoked},
		"of the future, and none is required":     {lists: []*revocation.List{root.list(t, 1, window{time.Hour, 2 * time.Hour})}, mode: inventory.RevocationWhenPresent, noteHas: "none is required"},
		"the highest number of several":           {lists: []*revocation.List{root.list(t, 2, current), root.list(t, 1, current, 7)}},
		"the highest number, whatever the order":  {lists: []*revocation.List{root.list(t, 1, current), root.list(t, 2, current, 7)}, want: reason.CertificateRevoked},
		"revoked, and expired for that matter":    {lists: []*revocation.List{root.list(t, 1, current, 7)}, at: 200 * time.Hour, want: reason.CertificateExpired},
		"one whose clock is behind by little":     {lists: []*revocation.List{root.list(t, 1, window{revocation.ClockTolerance, time.Hour})}},
		"one whose clock is behind by a bit more": {lists: []*revocation.List{root.list(t, 1, window{2 * revocation.ClockTolerance, time.Hour})}, want: reason.ClockBehind},
	} {
		t.Run(name, func(t *testing.T) {
			store := require(t, truststore("raw", name, root), test.lists...)
			store.Revocation.Grace = test.grace
			if test.mode != inventory.RevocationOff {
				store.Revocation.Mode = test.mode
			}
			verdict := wantReason(t, presented, store, test.at, test.want)
			if note := verdict.Note("raw"); !strings.Contains(note, test.noteHas) || (note == "") != (test.noteHas == "") {
				t.Errorf("note %q, want %q", note, test.noteHas)
			}
		})
	}

	t.Run("lists that are off", func(t *testing.T) {
		store := require(t, truststore("raw", "off", root), root.list(t, 1, current, 7))
		store.Revocation.Mode = inventory.RevocationOff
		wantReason(t, presented, store, 0, "")
	})
	t.Run("no other certificate is concerned", func(t *testing.T) {
		store := require(t, truststore("raw", "other", root), root.list(t, 1, current, 7))
		wantReason(t, identity.Presented{Certificate: fixture.Encode(root.leaf(t, 8, nil))}, store, 0, "")
	})
}

func TestAnAnchorThatAnotherAnchorHasRevokedVouchesForNobody(t *testing.T) {
	root := newRawAuthority(t, nil)
	issuing := root.below(t, "issuing", nil)
	presented := identity.Presented{Certificate: fixture.Encode(issuing.leaf(t, 7, nil))}
	serial := issuing.certificate.SerialNumber.Int64()
	good, revoked := issuing.list(t, 1, current), root.list(t, 1, current, serial)
	wantReason(t, presented, require(t, truststore("raw", "1", root, issuing), good, revoked), 0, reason.CertificateRevoked)
	wantReason(t, presented, require(t, truststore("raw", "2", root, issuing), good, root.list(t, 1, current)), 0, "")
	// The bundle itself vouches for its anchors: an offline root need not publish a list for those beside it.
	wantReason(t, presented, require(t, truststore("raw", "3", root, issuing), good), 0, "")
	wantReason(t, presented, require(t, truststore("raw", "4", issuing), good), 0, "")
}

func TestIntermediatesOfTheCallerVouchWhereATruststoreTakesThem(t *testing.T) {
	root := newRawAuthority(t, nil)
	one := root.below(t, "one", nil)
	two := one.below(t, "two", nil)
	leaf := one.leaf(t, 7, nil)
	stranger := newRawAuthority(t, nil)
	strange := stranger.below(t, "one", nil)
	limited := root.below(t, "limited", func(c *x509.Certificate) { c.MaxPathLenZero = true })
	beyond := limited.below(t, "beyond", nil)
	forServers := root.below(t, "servers", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	named := root.below(t, "named", func(c *x509.Certificate) { c.PermittedDNSDomains = []string{"example.org"} })
	ended := root.below(t, "ended", func(c *x509.Certificate) { c.NotAfter = fixture.Noon.Add(-time.Minute) })
	noAuthority := root.below(t, "leaf", func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, x509.KeyUsageDigitalSignature })
	odd := root.below(t, "odd", func(c *x509.Certificate) { c.ExtraExtensions = critical() })
	withName := func(name string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.DNSNames = []string{name} }
	}
	for name, test := range map[string]struct {
		presented identity.Presented
		depth     int // 0 is that none are taken
		want      reason.Reason
	}{
		"one between":                         {sent(leaf, one), 1, ""},
		"one between, and the root beside":    {sent(leaf, one, root), 1, ""},
		"in whatever order":                   {sent(leaf, root, stranger, one), 1, ""},
		"none is taken":                       {sent(leaf, one), 0, reason.CertificateUntrusted},
		"it was not sent":                     {sent(leaf), 1, reason.CertificateUntrusted},
		"another was sent":                    {sent(leaf, two), 1, reason.CertificateUntrusted},
		"a namesake was sent":                 {sent(leaf, strange), 1, reason.CertificateUntrusted},
		"two between, where one may be":       {sent(two.leaf(t, 8, nil), two, one), 1, reason.CertificateUntrusted},
		"two between, where two may be":       {sent(two.leaf(t, 8, nil), two, one), 2, ""},
		"an authority beyond a path length":   {sent(beyond.leaf(t, 9, nil), beyond, limited), 4, reason.CertificateUntrusted},
		"up to the path length":               {sent(limited.leaf(t, 9, nil), limited), 4, ""},
		"an authority of servers":             {sent(forServers.leaf(t, 9, nil), forServers), 1, reason.CertificateUntrusted},
		"a name within the constraint":        {sent(named.leaf(t, 9, withName("a.example.org")), named), 1, ""},
		"a name outside the constraint":       {sent(named.leaf(t, 9, withName("a.example.com")), named), 1, reason.CertificateUntrusted},
		"an authority that has expired":       {sent(ended.leaf(t, 9, nil), ended), 1, reason.CertificateUntrusted},
		"a leaf as an authority":              {sent(noAuthority.leaf(t, 9, nil), noAuthority), 1, reason.CertificateUntrusted},
		"an authority that is not understood": {sent(odd.leaf(t, 9, nil), odd), 1, reason.CertificateUntrusted},
		"a stranger's whole chain":            {sent(strange.leaf(t, 9, nil), strange, stranger), 4, reason.CertificateUntrusted},
		"a leaf that has expired":             {sent(one.leaf(t, 9, func(c *x509.Certificate) { c.NotAfter = fixture.Noon.Add(-1) }), one), 1, reason.CertificateExpired},
		"a leaf that is not valid yet":        {sent(one.leaf(t, 9, func(c *x509.Certificate) { c.NotBefore = fixture.Noon.Add(time.Minute) }), one), 1, reason.CertificateNotYetValid},
		"a stranger's that has expired":       {sent(strange.leaf(t, 9, func(c *x509.Certificate) { c.NotAfter = fixture.Noon.Add(-1) }), strange, stranger), 1, reason.CertificateUntrusted},
		"a leaf for servers":                  {sent(one.leaf(t, 9, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }), one), 1, reason.CertificateUsage},
		"the authority itself":                {sent(one.certificate, root), 1, reason.CertificateIsCA},
	} {
		t.Run(name, func(t *testing.T) {
			store := truststore("raw", name, root)
			if test.depth > 0 {
				store = fromCaller(store, test.depth)
			}
			wantReason(t, test.presented, store, 0, test.want)
		})
	}
}

func TestAChainThatIsNoneIsRefused(t *testing.T) {
	root := newRawAuthority(t, nil)
	one := root.below(t, "one", nil)
	leaf := one.leaf(t, 7, nil)
	whole := sent(leaf, one).Chain
	many := make([]*rawAuthority, 9)
	for i := range many {
		many[i] = one
	}
	for name, chain := range map[string]string{
		"text":                         "hello",
		"a wrong escape":               whole + "%zz",
		"something after it":           whole + "x",
		"something before it":          "x" + whole,
		"half of it":                   whole[:len(whole)-200],
		"another leaf's":               sent(one.leaf(t, 8, nil), one).Chain,
		"the authority alone":          fixture.Encode(one.certificate),
		"nine beside the leaf":         sent(leaf, many...).Chain,
		"more bytes than there may be": whole + strings.Repeat("%0A", 40<<10),
	} {
		t.Run(name, func(t *testing.T) {
			presented := identity.Presented{Certificate: fixture.Encode(leaf), Chain: chain}
			wantReason(t, presented, fromCaller(truststore("raw", name, root), 1), 0, reason.CertificateMalformed)
		})
	}
	t.Run("where nobody asks", func(t *testing.T) {
		presented := identity.Presented{Certificate: fixture.Encode(leaf), Chain: "hello"}
		wantReason(t, presented, truststore("raw", "direct", one), 0, "")
	})
}

func TestEachAuthorityOfAChainNeedsItsList(t *testing.T) {
	root := newRawAuthority(t, nil)
	one := root.below(t, "one", nil)
	leaf := one.leaf(t, 7, nil)
	impostor := newRawAuthority(t, nil).below(t, "one", nil)
	above, ofOne := root.list(t, 1, current), one.list(t, 1, current)
	for name, test := range map[string]struct {
		lists []*revocation.List
		want  reason.Reason
	}{
		"both are there":                      {[]*revocation.List{above, ofOne}, ""},
		"the root's is missing":               {[]*revocation.List{ofOne}, reason.RevocationUnavailable},
		"the intermediate's is missing":       {[]*revocation.List{above}, reason.RevocationUnavailable},
		"a namesake's in its place":           {[]*revocation.List{above, impostor.list(t, 9, current)}, reason.RevocationUnavailable},
		"a namesake's beside it":              {[]*revocation.List{above, ofOne, impostor.list(t, 9, current, 7)}, ""},
		"the leaf is revoked":                 {[]*revocation.List{above, one.list(t, 2, current, 7), ofOne}, reason.CertificateRevoked},
		"the intermediate is revoked":         {[]*revocation.List{root.list(t, 1, current, one.certificate.SerialNumber.Int64()), ofOne}, reason.CertificateRevoked},
		"revoked, and the other is missing":   {[]*revocation.List{root.list(t, 1, current, one.certificate.SerialNumber.Int64())}, reason.CertificateRevoked},
		"the root's has the leaf's number":    {[]*revocation.List{root.list(t, 1, current, 7), ofOne}, ""},
		"the intermediate's is of the future": {[]*revocation.List{above, one.list(t, 1, window{time.Hour, 2 * time.Hour})}, reason.ClockBehind},
		"the intermediate's has run out":      {[]*revocation.List{above, one.list(t, 1, window{-2 * time.Hour, -time.Hour})}, reason.RevocationUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			store := require(t, fromCaller(truststore("raw", name, root), 1), test.lists...)
			wantReason(t, sent(leaf, one), store, 0, test.want)
		})
	}
}
