package translate_test

import (
	"crypto/x509"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// With any list, Envoy refuses the certificates of every authority of which it has none that is current.
func TestRevocationListsGoToProxiesOnlyWhereEachTruststoreHasAllOfThem(t *testing.T) {
	withLists := func(names ...string) func(*inventory.Snapshot) {
		return func(s *inventory.Snapshot) {
			for _, name := range names {
				s.Truststores[name].Revocation.ProxyPEM = []byte("lists of " + name + "\n")
			}
		}
	}
	namesakes := func(s *inventory.Snapshot) {
		withLists("a", "b")(s)
		s.Truststores["a"].Anchors = []*x509.Certificate{{RawSubject: []byte("ca"), RawSubjectPublicKeyInfo: []byte("one key")}}
		s.Truststores["b"].Anchors = []*x509.Certificate{{RawSubject: []byte("ca"), RawSubjectPublicKeyInfo: []byte("another")}}
	}
	withoutB := func(s *inventory.Snapshot) {
		withLists("a")(s)
		delete(s.Truststores, "b")
	}
	withGrace := func(s *inventory.Snapshot) {
		withLists("a", "b")(s)
		s.Truststores["b"].Revocation.Grace = time.Hour
	}
	fromCallers := func(s *inventory.Snapshot) {
		withLists("a", "b")(s)
		s.Truststores["a"].Intermediates = inventory.Intermediates{FromCaller: true, MaxDepth: 1}
	}
	for name, test := range map[string]struct {
		clientAuth string
		material   func(*inventory.Snapshot)
		want       string
	}{
		"both have them":                        {"", withLists("a", "b"), "lists of a\nlists of b\n"},
		"one has none":                          {"", withLists("a"), ""},
		"none has any":                          {"", withLists(), ""},
		"the other never was good":              {"", withoutB, "lists of a\n"},
		"one has a grace":                       {"", withGrace, ""},
		"one takes authorities from callers":    {"", fromCallers, ""},
		"authorities of one name with two keys": {"", namesakes, ""},
		"an untrusted certificate is explained": {", on_untrusted: explain", withLists("a", "b"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			model := smallModel(t, test.clientAuth, "", "")
			material := everything(model)
			test.material(material)
			context := translate.Group(model, material, "all").Secrets["truststores/g/l/one.example.org"].GetValidationContext()
			if got := string(context.GetCrl().GetInlineBytes()); got != test.want {
				t.Errorf("lists %q, want %q", got, test.want)
			}
		})
	}
}

// Nobody but the proxy verifies an upstream.
func TestAnUpstreamIsNotCalledWithoutTheListsThatItsTruststoreRequires(t *testing.T) {
	for name, test := range map[string]struct {
		revocation inventory.Revocation
		lists      string
		blocked    bool
	}{
		"no lists are asked for":     {inventory.Revocation{}, "", false},
		"all are there":              {inventory.Revocation{Mode: inventory.RevocationRequired, ProxyPEM: []byte("lists\n")}, "lists\n", false},
		"one is missing":             {inventory.Revocation{Mode: inventory.RevocationRequired}, "", true},
		"lists count where they are": {inventory.Revocation{Mode: inventory.RevocationWhenPresent}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			model := load(t, "testdata/forms")
			material := everything(model)
			material.Truststores["others"].Revocation = test.revocation
			resources := translate.Group(model, material, "all")
			secret := resources.Secrets["truststore/others"]
			if got := string(secret.GetValidationContext().GetCrl().GetInlineBytes()); got != test.lists {
				t.Errorf("lists %q, want %q", got, test.lists)
			}
			if blocked := secret == nil && len(resources.Problems) == 1; blocked != test.blocked {
				t.Errorf("blocked: %v, problems %v", blocked, resources.Problems)
			}
		})
	}
}
