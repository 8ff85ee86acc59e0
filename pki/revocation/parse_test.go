package revocation

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

func inPEM(der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}) }

func TestParseReadsListsInPEMAndDER(t *testing.T) {
	a, b := newAuthority(t, "a", nil), newAuthority(t, "b", nil)
	one, two := a.list(t, nil, 7), b.list(t, nil)
	for name, test := range map[string]struct {
		data []byte
		want int
	}{
		"DER":                       {one, 1},
		"PEM":                       {inPEM(one), 1},
		"two, with words":           {slices.Concat([]byte("# ours\n"), inPEM(one), []byte("\nand theirs\n"), inPEM(two)), 2},
		"line ends of another kind": {bytes.ReplaceAll(inPEM(one), []byte("\n"), []byte("\r\n")), 1},
	} {
		t.Run(name, func(t *testing.T) {
			lists, err := Parse(test.data)
			if err != nil || len(lists) != test.want {
				t.Fatalf("%d lists, %v", len(lists), err)
			}
			got := lists[0]
			if got.Issuer != "CN=a" || got.Number.Int64() != 5 || !got.ThisUpdate.Equal(noon) || !got.NextUpdate.Equal(noon.Add(time.Hour)) || got.Len() != 1 {
				t.Errorf("read %+v", got)
			}
		})
	}
}

// extension is one whose value is empty, or what is given.
func extension(critical bool, id asn1.ObjectIdentifier, value ...byte) pkix.Extension {
	return pkix.Extension{Id: id, Critical: critical, Value: append([]byte{0x30, byte(len(value))}, value...)}
}

func with(extensions ...pkix.Extension) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) { l.ExtraExtensions = extensions }
}

func TestParseRefusesWhatItDoesNotUnderstand(t *testing.T) {
	a := newAuthority(t, "a", nil)
	good := a.list(t, nil)
	private := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("key")})
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"nothing":                        {nil, "no revocation list"},
		"text":                           {[]byte("<html>404</html>"), "no revocation list"},
		"half of one in DER":             {good[:len(good)/2], "cannot be parsed"},
		"half of one in PEM":             {inPEM(good)[:len(inPEM(good))/2], "not well-formed"},
		"one torn, one whole":            {slices.Concat(inPEM(good)[:60], []byte("\n"), inPEM(good)), "not well-formed"},
		"something after it":             {append(slices.Clone(good), 5, 0), "something follows"},
		"rubbish in PEM":                 {inPEM([]byte("rubbish")), "cannot be parsed"},
		"a certificate":                  {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}), `type "CERTIFICATE"`},
		"a private key":                  {slices.Concat(inPEM(good), private), `type "PRIVATE KEY"`},
		"sixty-five":                     {bytes.Repeat(inPEM(good), maxLists+1), "65 revocation lists"},
		"no nextUpdate":                  {withoutNextUpdate(t, a), "no nextUpdate"},
		"no number":                      {withoutNumber(t, a), "no number"},
		"a delta list":                   {a.list(t, with(extension(true, oidDeltaList))), "delta list"},
		"a delta list not marked so":     {a.list(t, with(extension(false, oidDeltaList))), "delta list"},
		"one of some certificates alone": {a.list(t, with(extension(true, oidIssuingDistributionPoint, 0x81, 1, 0xff))), "issuing distribution point"},
		"a critical extension":           {a.list(t, with(extension(true, asn1.ObjectIdentifier{1, 2, 3, 4}))), "critical extension 1.2.3.4"},
		"an extension twice":             {a.list(t, with(extension(false, asn1.ObjectIdentifier{1, 2, 3, 4}), extension(false, asn1.ObjectIdentifier{1, 2, 3, 4}))), "twice"},
		"an indirect list":               {a.list(t, entryWith(extension(true, oidCertificateIssuer))), "indirect"},
		"a critical entry extension":     {a.list(t, entryWith(extension(true, asn1.ObjectIdentifier{1, 2, 3, 4}))), "an entry has the critical extension"},
	} {
		t.Run(name, func(t *testing.T) {
			lists, err := Parse(test.data)
			if err == nil || !strings.Contains(err.Error(), test.want) || len(lists) != 0 {
				t.Errorf("%d lists, %v; want an error with %q", len(lists), err, test.want)
			}
		})
	}
}

func entryWith(extension pkix.Extension) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.RevokedCertificateEntries = []x509.RevocationListEntry{{
			SerialNumber: big.NewInt(3), RevocationTime: noon, ExtraExtensions: []pkix.Extension{extension},
		}}
	}
}

// tbsList is the part of a list that is signed, without what the tests leave out.
type tbsList struct {
	Version    int
	Signature  pkix.AlgorithmIdentifier
	Issuer     asn1.RawValue
	ThisUpdate time.Time
	NextUpdate time.Time        `asn1:"optional"`
	Extensions []pkix.Extension `asn1:"optional,explicit,tag:0"`
}

// rawList signs what crypto/x509 does not make.
func rawList(t *testing.T, a *authority, tbs tbsList) []byte {
	t.Helper()
	tbs.Version, tbs.Signature.Algorithm = 1, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2} // ecdsa-with-SHA256
	tbs.Issuer, tbs.ThisUpdate = asn1.RawValue{FullBytes: a.certificate.RawSubject}, noon
	message, err := asn1.Marshal(tbs)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256Of(message)
	signature, err := a.key.Sign(rand.Reader, sum, hashSHA256)
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: message}, tbs.Signature, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func withoutNextUpdate(t *testing.T, a *authority) []byte {
	return rawList(t, a, tbsList{Extensions: []pkix.Extension{{Id: oidListNumber, Value: []byte{2, 1, 5}}}})
}

func withoutNumber(t *testing.T, a *authority) []byte {
	return rawList(t, a, tbsList{NextUpdate: noon.Add(time.Hour)})
}

func FuzzParse(f *testing.F) {
	a, stranger := newAuthority(f, "a", nil), newAuthority(f, "a", nil)
	f.Add(a.list(f, nil, 7))
	f.Add(inPEM(a.list(f, nil)))
	f.Add(slices.Concat([]byte("words\n"), inPEM(a.list(f, nil))[:100], []byte("\n"), inPEM(a.list(f, nil, 1, 2))))
	f.Add([]byte("-----BEGIN X509 CRL-----\n-----END X509 CRL-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		lists, err := Parse(data)
		if (err == nil) != (len(lists) > 0) {
			t.Fatalf("%d lists beside the error %v", len(lists), err)
		}
		for _, list := range lists {
			if _, err := list.Verify(stranger.certificate); err == nil {
				t.Fatal("a list verifies by a key that nobody has used")
			}
			again, err := Parse(EncodePEM(Verified{List: list}))
			if err != nil || len(again) != 1 || again[0].Content != list.Content || again[0].Len() != list.Len() {
				t.Fatalf("what was written is read otherwise: %v", err)
			}
			if !list.NextUpdate.After(list.ThisUpdate) || list.Number == nil {
				t.Fatal("a list without dates or number is taken")
			}
		}
	})
}
