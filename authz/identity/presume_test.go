package identity_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// presume is the certificate of a match of the truststore `raw`.
func presume(t *testing.T, match config.CertificateMatch, stores ...*inventory.Truststore) *identity.Presumed {
	t.Helper()
	match.Truststore = &config.Truststore{Header: config.Header{Name: "raw"}}
	presumed, err := identity.Presume(&match, fixture.Material(stores...))
	if err != nil {
		t.Fatal(err)
	}
	return presumed
}

func TestAPresumedCertificateIsGoodAsFarAsItCanBe(t *testing.T) {
	root, other := newRawAuthority(t, nil), newRawAuthority(t, nil)
	leaf := root.leaf(t, 7, nil)
	current := window{-time.Hour, time.Hour}
	named := config.CertificateMatch{SubjectCommonName: "mapps"}
	numbered := config.CertificateMatch{IssuerDN: "CN=raw", Serial: "7"}
	for name, test := range map[string]struct {
		match config.CertificateMatch
		store *inventory.Truststore
		want  reason.Reason
	}{
		"in a truststore":               {named, truststore("raw", "1", root), ""},
		"in one that never was good":    {named, nil, reason.TruststoreMissing},
		"where its list is current":     {named, require(t, truststore("raw", "1", root), root.list(t, 1, current, 7)), ""},
		"where its list has run out":    {named, require(t, truststore("raw", "1", root), root.list(t, 1, window{-2 * time.Hour, -time.Hour})), reason.RevocationUnavailable},
		"where there is no list":        {named, require(t, truststore("raw", "1", root)), reason.RevocationUnavailable},
		"where one of two has a list":   {named, require(t, truststore("raw", "1", root, other), other.list(t, 1, current)), ""},
		"whose number is revoked":       {numbered, require(t, truststore("raw", "1", root), root.list(t, 1, current, 7)), reason.CertificateRevoked},
		"whose number is not":           {numbered, require(t, truststore("raw", "1", root), root.list(t, 1, current, 8)), ""},
		"of an issuer who is not there": {config.CertificateMatch{IssuerDN: "CN=else", Serial: "7"}, truststore("raw", "1", root), reason.CertificateUntrusted},
		"that a register would know":    {named, registers(truststore("raw", "1", root), true, root.index(t)), ""},
		"that a register does not know": {config.CertificateMatch{CertificateSHA256: fmt.Sprintf("%064x", 1)}, registers(truststore("raw", "1", root), true, root.index(t, leaf)), reason.CertificateUnregistered},
		"whose register is not there":   {named, registers(truststore("raw", "1", root), true), reason.RegisterUnavailable},
	} {
		var stores []*inventory.Truststore
		if test.store != nil {
			stores = append(stores, test.store)
		}
		verdict := presume(t, test.match, stores...).Verdict(trusting([]string{"raw"}, stores...), fixture.Noon)
		var got reason.Reason
		if _, refusal := verdict.Vouchers([]string{"raw"}); refusal != nil {
			got = refusal.Reason
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestAnotherTruststoreVouchesForAPresumedCertificateIfItHasEveryAnchor(t *testing.T) {
	first, second := newRawAuthority(t, nil), newRawAuthority(t, nil)
	raw := truststore("raw", "1", first)
	for name, test := range map[string]struct {
		other *inventory.Truststore
		want  []string
	}{
		"the same": {truststore("other", "2", first), []string{"other"}},
		"more":     {truststore("other", "2", first, second), []string{"other"}},
		"others":   {truststore("other", "2", second), nil},
	} {
		stores := []*inventory.Truststore{raw, test.other}
		verdict := presume(t, config.CertificateMatch{SubjectCommonName: "mapps"}, stores...).Verdict(trusting([]string{"other"}, stores...), fixture.Noon)
		if got, _ := verdict.Vouchers([]string{"raw", "other"}); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestANameIsMadeUpForEveryUsualPattern(t *testing.T) {
	raw := truststore("raw", "1", newRawAuthority(t, nil))
	for _, pattern := range []string{
		"partner-[0-9]+", "mapps|nsp", "(?i)MAPPS", `[a-z]{3,5}\.example\.org`, ".*", "a?b*c+", "[^/]+", `\w+\d`, "(a|b){2}", "^anchored$", "ä+",
	} {
		match := patterned(t, pattern, "", pattern, "")
		presumed := presume(t, match, raw)
		if name := presumed.Certificate().CommonName; !match.Patterns.SubjectCommonName.Matches(name) || name == "" {
			t.Errorf("%s: %q", pattern, name)
		}
		if !slices.Contains(presumed.Unknown(), "common_name") {
			t.Errorf("%s: the name that was made up is taken to be known", pattern)
		}
	}
	match := patterned(t, `a\b+b`, "", "", "")
	match.Truststore = &config.Truststore{Header: config.Header{Name: "raw"}}
	if _, err := identity.Presume(&match, fixture.Material(raw)); err == nil {
		t.Error("a name was found that cannot be")
	}
}
