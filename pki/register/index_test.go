package register

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/signed"
)

func publication(number uint64) Publication {
	return Publication{Number: number, ThisUpdate: noon, NextUpdate: noon.Add(time.Hour), Head: Head{Count: 1, Hash: Digest([]byte("last")), Time: noon}}
}

func signIndex(t *testing.T, of Publication, by *ca.Authority, digests ...string) []byte {
	t.Helper()
	data, err := SignIndex(of, digests, by.KeyPair().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnIndexKnowsWhatItWasMadeOf(t *testing.T) {
	made := theEstate()
	var digests []string
	for i := range 10_000 {
		digests = append(digests, Digest(fmt.Append(nil, i)))
	}
	digests = append(digests, digests[0])
	data := signIndex(t, publication(7), made.authority, digests...)
	if len(data) >= 1<<20 {
		t.Errorf("%d bytes for 10,000 certificates", len(data))
	}
	index, err := ParseIndex(data, []*x509.Certificate{made.other.Certificate(), made.authority.Certificate()})
	if err != nil {
		t.Fatal(err)
	}
	if !index.equal(publication(7)) || index.Size() != 10_000 || index.Hash != Digest(data) {
		t.Errorf("%+v of %d", index.Publication, index.Size())
	}
	for i, digest := range digests {
		if !index.Knows(digest) {
			t.Fatalf("number %d is not known", i)
		}
	}
	for _, unknown := range []string{Digest([]byte("another")), "", "x", digests[0][:62], digests[0] + "00"} {
		if index.Knows(unknown) {
			t.Errorf("%q is known", unknown)
		}
	}
}

func TestAnIndexMayBeEmpty(t *testing.T) {
	made := theEstate()
	index, err := ParseIndex(signIndex(t, publication(1), made.authority), []*x509.Certificate{made.authority.Certificate()})
	if err != nil || index.Size() != 0 || index.Knows(Digest(nil)) {
		t.Errorf("%+v, %v", index, err)
	}
}

func TestAnIndexOfSeveralAuthoritiesIsBelievedAsFarAsTheyAre(t *testing.T) {
	made := theEstate()
	first, second := Digest([]byte("first")), Digest([]byte("second"))
	data := append(signIndex(t, publication(1), made.authority, first), signIndex(t, publication(1), made.other, second)...)
	for name, test := range map[string]struct {
		issuers       []*x509.Certificate
		first, second bool
	}{
		"both":       {[]*x509.Certificate{made.authority.Certificate(), made.other.Certificate()}, true, true},
		"the first":  {[]*x509.Certificate{made.authority.Certificate()}, true, false},
		"the second": {[]*x509.Certificate{made.other.Certificate()}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			index, err := ParseIndex(data, test.issuers)
			if err != nil {
				t.Fatal(err)
			}
			if index.Knows(first) != test.first || index.Knows(second) != test.second {
				t.Errorf("first %v, second %v", index.Knows(first), index.Knows(second))
			}
		})
	}
}

func TestAnIndexIsRefused(t *testing.T) {
	made := theEstate()
	issuers := []*x509.Certificate{made.authority.Certificate()}
	key := made.authority.KeyPair().PrivateKey
	good := signIndex(t, publication(1), made.authority, Digest([]byte("a")))
	head, err := SignHead(Head{Hash: Origin}, key)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(payload string) []byte {
		data, err := signed.Sign(indexType, []byte(payload), key)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	unsorted := `{"number":1,"this_update":"2030-01-01T00:00:00Z","next_update":"2030-01-02T00:00:00Z","head":{"count":0,"hash":"` + Origin + `","time":"2030-01-01T00:00:00Z"},"certificates":"%s"}`
	for name, data := range map[string][]byte{
		"empty":                               nil,
		"no JSON":                             []byte("x"),
		"cut off":                             good[:len(good)/2],
		"a head":                              head,
		"another line of another publication": append(bytes.Clone(good), signIndex(t, publication(2), made.authority)...),
		"number zero":                         signIndex(t, publication(0), made.authority),
		"half a digest":                       sign(fmt.Sprintf(unsorted, "AAAA")),
		"an unknown field":                    sign(`{"number":1,"more":1}`),
		"followed by something":               append(bytes.Clone(good), "{}"...),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := ParseIndex(data, issuers); err == nil {
				t.Error("want an error")
			}
		})
	}
	if _, err := ParseIndex(good, []*x509.Certificate{made.other.Certificate()}); !errors.Is(err, signed.ErrUnknownSigner) {
		t.Errorf("signed by another: %v", err)
	}
	if _, err := ParseIndex(good, nil); !errors.Is(err, signed.ErrUnknownSigner) {
		t.Errorf("nobody is believed: %v", err)
	}
}

func TestAHeadIsReadFromItsSignerAlone(t *testing.T) {
	made := theEstate()
	want := mustRead(t, lines(t, issued(0))).Head()
	data, err := SignHead(want, made.authority.KeyPair().PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadHead(data, []crypto.PublicKey{made.authority.Certificate().PublicKey})
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := ReadHead(data, []crypto.PublicKey{made.other.Certificate().PublicKey}); !errors.Is(err, signed.ErrUnknownSigner) {
		t.Errorf("by another: %v", err)
	}
}

func FuzzParseIndex(f *testing.F) {
	made := theEstate()
	data, err := SignIndex(publication(1), []string{Digest([]byte("a"))}, made.authority.KeyPair().PrivateKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		index, err := ParseIndex(data, []*x509.Certificate{made.authority.Certificate()})
		if err == nil && (index.Number != 1 || !index.Knows(Digest([]byte("a"))) || index.Size() != 1) {
			t.Errorf("something else was believed: %+v", index)
		}
	})
}
