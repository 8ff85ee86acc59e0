package ca

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func aList() RevocationList {
	return RevocationList{Number: big.NewInt(7), ThisUpdate: noon, NextUpdate: noon.Add(24 * time.Hour)}
}

func TestSignRevocationListHoldsWhatWasAskedInOrder(t *testing.T) {
	authority := newTestAuthority(t, Options{})
	list := aList()
	for i, reason := range slices.Backward(Reasons()) {
		list.Entries = append(list.Entries, Revoked{big.NewInt(int64(i + 1)), noon.Add(-time.Duration(i) * time.Hour), reason})
	}
	der, err := authority.SignRevocationList(list)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if signed.Number.Cmp(list.Number) != 0 || !signed.ThisUpdate.Equal(noon.Truncate(time.Second)) || !signed.NextUpdate.Equal(noon.Add(24*time.Hour).Truncate(time.Second)) {
		t.Errorf("number %s, from %s to %s", signed.Number, signed.ThisUpdate, signed.NextUpdate)
	}
	if !bytes.Equal(signed.AuthorityKeyId, authority.Certificate().SubjectKeyId) {
		t.Error("the key identifier is not the authority's")
	}
	for i, entry := range signed.RevokedCertificateEntries {
		if entry.SerialNumber.Int64() != int64(i+1) || ReasonCode(entry.ReasonCode) != Reasons()[i] {
			t.Errorf("entry %d is serial %d, %s", i, entry.SerialNumber, ReasonCode(entry.ReasonCode))
		}
		if hasReason := len(entry.Extensions) > 0; hasReason != (Reasons()[i] != Unspecified) {
			t.Errorf("%s: reason written: %v", Reasons()[i], hasReason)
		}
	}
	if len(signed.RevokedCertificateEntries) != len(Reasons()) {
		t.Errorf("%d entries", len(signed.RevokedCertificateEntries))
	}
	if !bytes.HasPrefix(EncodeRevocationList(der), []byte("-----BEGIN X509 CRL-----\n")) {
		t.Error("PEM of another type")
	}
}

func TestSignRevocationListRefuses(t *testing.T) {
	authority := newTestAuthority(t, Options{})
	certificate, key := selfSigned(t, ecKey(t, elliptic.P256()), nil) // may sign certificates only
	certificatesOnly, err := Load(certificate, key, atNoon)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*RevocationList)) RevocationList {
		list := aList()
		change(&list)
		return list
	}
	entry := func(entries ...Revoked) RevocationList { return with(func(l *RevocationList) { l.Entries = entries }) }
	for name, test := range map[string]struct {
		by   *Authority
		list RevocationList
		want string
	}{
		"an authority that may not":    {certificatesOnly, aList(), "does not allow it to sign revocation lists"},
		"no number":                    {authority, with(func(l *RevocationList) { l.Number = nil }), "number must be positive"},
		"number zero":                  {authority, with(func(l *RevocationList) { l.Number = new(big.Int) }), "number must be positive"},
		"a number of 160 bits":         {authority, with(func(l *RevocationList) { l.Number = new(big.Int).Lsh(big.NewInt(1), 159) }), "159 bits"},
		"made in the future":           {authority, with(func(l *RevocationList) { l.ThisUpdate = noon.Add(time.Second) }), "in the future"},
		"no next update":               {authority, with(func(l *RevocationList) { l.NextUpdate = time.Time{} }), "must be later"},
		"a next update at once":        {authority, with(func(l *RevocationList) { l.NextUpdate = noon.Add(time.Millisecond) }), "must be later"},
		"no serial number":             {authority, entry(Revoked{nil, noon, Unspecified}), "missing"},
		"a negative serial number":     {authority, entry(Revoked{big.NewInt(-1), noon, Unspecified}), "negative"},
		"a revocation that is not due": {authority, entry(Revoked{big.NewInt(1), noon.Add(time.Hour), Superseded}), "not revoked yet"},
		"no time":                      {authority, entry(Revoked{big.NewInt(1), time.Time{}, Superseded}), "not revoked yet"},
		"a reason that nobody uses":    {authority, entry(Revoked{big.NewInt(1), noon, 7}), "reason 7"},
		"a reason of delta lists":      {authority, entry(Revoked{big.NewInt(1), noon, 8}), "reason 8"},
		"one serial number twice":      {authority, entry(Revoked{big.NewInt(1), noon, Superseded}, Revoked{big.NewInt(1), noon, KeyCompromise}), "stands there twice"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := test.by.SignRevocationList(test.list)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestAnExpiredAuthorityStillRevokes(t *testing.T) {
	pair := newTestAuthority(t, Options{Lifetime: time.Minute}).KeyPair()
	later := noon.Add(time.Hour)
	authority, err := Load(pair.CertificatePEM, pair.PrivateKeyPEM, func() time.Time { return later })
	if err != nil {
		t.Fatal(err)
	}
	list := RevocationList{Number: big.NewInt(1), ThisUpdate: later, NextUpdate: later.Add(time.Hour)}
	if _, err := authority.SignRevocationList(list); err != nil {
		t.Error(err)
	}
}

func TestReasonsAreFoundByTheirNames(t *testing.T) {
	for _, reason := range Reasons() {
		text, err := reason.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var read ReasonCode
		if err := read.UnmarshalText(text); err != nil || read != reason || string(text) != reason.String() {
			t.Errorf("%d is written as %q and read as %d: %v", int(reason), text, int(read), err)
		}
	}
	if _, err := ParseReason("because"); err == nil || !strings.Contains(err.Error(), "key_compromise") {
		t.Errorf("got %v", err)
	}
	if _, err := ReasonCode(7).MarshalText(); err == nil {
		t.Error("a reason that nobody uses was written")
	}
}

// TestOpensslVerifiesWhatWeSign holds chain, constraints and lists against the verifier that most others use.
func TestOpensslVerifiesWhatWeSign(t *testing.T) {
	openssl := opensslPath(t)
	now := time.Now()
	clock := func() time.Time { return now }
	root := newTestAuthority(t, Options{PathLength: 1, Clock: clock})
	pair, err := root.IssueAuthority(AuthorityRequest{
		CommonName: "issuing", NameConstraints: NameConstraints{PermittedURIDomains: []string{"partners.example.org"}, PermittedDNS: []string{"example.org"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	issuing, err := LoadWith(pair.ChainPEM(), pair.PrivateKey, clock)
	if err != nil {
		t.Fatal(err)
	}
	var leaves []KeyPair
	for range 2 {
		leaf, err := issuing.Issue(Request{Profile: Partner, Subject: pkix.Name{CommonName: "mapps"}, URIs: []string{"spiffe://partners.example.org/mapps"}})
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leaf)
	}
	sign := func(by *Authority, entries ...Revoked) []byte {
		der, err := by.SignRevocationList(RevocationList{Number: big.NewInt(1), ThisUpdate: now, NextUpdate: now.Add(time.Hour), Entries: entries})
		if err != nil {
			t.Fatal(err)
		}
		return EncodeRevocationList(der)
	}
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	trusted := file("root.pem", root.CertificatePEM())
	chain := file("chain.pem", issuing.ChainPEM())
	lists := file("lists.pem", slices.Concat(sign(root), sign(issuing, Revoked{leaves[1].Certificate.SerialNumber, now, KeyCompromise})))
	verify := func(leaf KeyPair) ([]byte, error) {
		return exec.CommandContext(t.Context(), openssl, "verify", "-x509_strict", "-purpose", "sslclient", "-crl_check_all", "-CRLfile", lists,
			"-CAfile", trusted, "-untrusted", chain, file("leaf.pem", leaf.CertificatePEM)).CombinedOutput()
	}
	if text, err := verify(leaves[0]); err != nil {
		t.Errorf("the valid certificate: %v: %s", err, text)
	}
	if text, err := verify(leaves[1]); err == nil || !bytes.Contains(text, []byte("certificate revoked")) {
		t.Errorf("the revoked certificate: %v: %s", err, text)
	}
}
