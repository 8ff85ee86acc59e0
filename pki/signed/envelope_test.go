package signed

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"testing"
)

const greeting = "text/plain"

func ecKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func mustSign(t testing.TB, payload string, key crypto.Signer) []byte {
	t.Helper()
	data, err := Sign(greeting, []byte(payload), key)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWhatIsSignedIsOpenedByEachKindOfKey(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{
		"P-256": ecKey(t, elliptic.P256()), "P-384": ecKey(t, elliptic.P384()), "P-521": ecKey(t, elliptic.P521()), "RSA": rsaKey,
	} {
		t.Run(name, func(t *testing.T) {
			payload, signer, err := Open(mustSign(t, "hello", key), greeting, []crypto.PublicKey{ecKey(t, elliptic.P256()).Public(), key.Public()})
			if err != nil || string(payload) != "hello" || KeyID(signer) != KeyID(key.Public()) {
				t.Errorf("%q by %s, %v", payload, KeyID(signer), err)
			}
		})
	}
}

func TestWhatSomebodyElseSignedIsNotOpened(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	data := mustSign(t, "hello", key)
	for name, keys := range map[string][]crypto.PublicKey{
		"nobody":          nil,
		"another":         {ecKey(t, elliptic.P256()).Public()},
		"another's curve": {ecKey(t, elliptic.P384()).Public()},
		"no key":          {"key"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := Open(data, greeting, keys); !errors.Is(err, ErrUnknownSigner) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestTypeAndPayloadAreBothSigned(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	for name, change := range map[string]func(*envelope){
		"payload":      func(e *envelope) { e.Payload = []byte("hullo") },
		"type":         func(e *envelope) { e.PayloadType = "text/html" },
		"signature":    func(e *envelope) { e.Signatures[0].Signature[9] ^= 1 },
		"no signature": func(e *envelope) { e.Signatures = nil },
		"many":         func(e *envelope) { e.Signatures = make([]signature, 1000) },
	} {
		t.Run(name, func(t *testing.T) {
			var document envelope
			if err := json.Unmarshal(mustSign(t, "hello", key), &document); err != nil {
				t.Fatal(err)
			}
			change(&document)
			data, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := Open(data, document.PayloadType, []crypto.PublicKey{key.Public()}); err == nil {
				t.Error("want an error")
			}
		})
	}
	if _, _, err := Open(mustSign(t, "hello", key), "text/html", []crypto.PublicKey{key.Public()}); err == nil {
		t.Error("a document of another type was opened")
	}
}

func TestTheKeyNameInADocumentIsNotBelieved(t *testing.T) {
	ours, others := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	data := bytes.ReplaceAll(mustSign(t, "hello", others), []byte(KeyID(others.Public())), []byte(KeyID(ours.Public())))
	if _, _, err := Open(data, greeting, []crypto.PublicKey{ours.Public()}); !errors.Is(err, ErrUnknownSigner) {
		t.Errorf("error %v", err)
	}
}

// careless signs something else.
type careless struct{ *ecdsa.PrivateKey }

func (c careless) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	return c.PrivateKey.Sign(random, bytes.Repeat([]byte{1}, len(digest)), options)
}

func TestASignatureThatDoesNotVerifyIsNotHandedOut(t *testing.T) {
	if _, err := Sign(greeting, nil, careless{ecKey(t, elliptic.P256())}); err == nil {
		t.Error("want an error")
	}
	if _, err := Sign(greeting, nil, ed25519.NewKeyFromSeed(make([]byte, 32))); err == nil {
		t.Error("Ed25519: want an error")
	}
}

// The example of the DSSE protocol document.
func TestTheEncodingIsThatOfTheStandard(t *testing.T) {
	got := preAuthentication("http://example.com/HelloWorld", []byte("hello world"))
	if want := "DSSEv1 29 http://example.com/HelloWorld 11 hello world"; string(got) != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzOpen(f *testing.F) {
	key := ecKey(f, elliptic.P256())
	f.Add(mustSign(f, "hello", key))
	f.Fuzz(func(t *testing.T, data []byte) {
		payload, _, err := Open(data, greeting, []crypto.PublicKey{key.Public()})
		if err == nil && string(payload) != "hello" {
			t.Errorf("believed %q", payload)
		}
	})
}
