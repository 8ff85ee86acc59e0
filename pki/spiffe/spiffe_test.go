package spiffe

import (
	"strings"
	"testing"
)

func TestParseReadsEachKind(t *testing.T) {
	for uri, want := range map[string]Identity{
		"spiffe://example.org/proxy/edge/edge-1":            {TrustDomain: "example.org", Kind: Proxy, Group: "edge", Name: "edge-1"},
		"spiffe://example.org/control-plane/main":           {TrustDomain: "example.org", Kind: ControlPlane, Name: "main"},
		"spiffe://a_b-c.1/authz/Replica_2.zone-a":           {TrustDomain: "a_b-c.1", Kind: Authz, Name: "Replica_2.zone-a"},
		"spiffe://example.org/proxy/proxy/authz":            {TrustDomain: "example.org", Kind: Proxy, Group: "proxy", Name: "authz"},
		"spiffe://example.org/control-plane/...":            {TrustDomain: "example.org", Kind: ControlPlane, Name: "..."},
		"spiffe://" + strings.Repeat("a", 255) + "/authz/a": {TrustDomain: strings.Repeat("a", 255), Kind: Authz, Name: "a"},
	} {
		got, err := Parse(uri)
		if err != nil {
			t.Errorf("Parse(%q): %v", uri, err)
			continue
		}
		if got != want {
			t.Errorf("Parse(%q) = %+v, want %+v", uri, got, want)
		}
		if got.String() != uri || got.URI().String() != uri {
			t.Errorf("Parse(%q) is written back as %q and %q", uri, got.String(), got.URI())
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, uri := range map[string]string{
		"nothing":                   "",
		"another scheme":            "https://example.org/authz/a",
		"upper-case scheme":         "SPIFFE://example.org/authz/a",
		"no slashes":                "spiffe:example.org/authz/a",
		"no trust domain":           "spiffe:///authz/a",
		"upper-case trust domain":   "spiffe://Example.org/authz/a",
		"port":                      "spiffe://example.org:443/authz/a",
		"user":                      "spiffe://me@example.org/authz/a",
		"query":                     "spiffe://example.org/authz/a?b",
		"empty query":               "spiffe://example.org/authz/a?",
		"fragment":                  "spiffe://example.org/authz/a#b",
		"empty fragment":            "spiffe://example.org/authz/a#",
		"percent-encoding":          "spiffe://example.org/authz/%61",
		"percent-encoded slash":     "spiffe://example.org/proxy/edge%2Fa",
		"no path":                   "spiffe://example.org",
		"root path":                 "spiffe://example.org/",
		"unknown kind":              "spiffe://example.org/workload/a",
		"kind in another case":      "spiffe://example.org/Proxy/edge/a",
		"proxy without a name":      "spiffe://example.org/proxy/edge",
		"authz with a group":        "spiffe://example.org/authz/edge/a",
		"too many segments":         "spiffe://example.org/proxy/edge/a/b",
		"trailing slash":            "spiffe://example.org/authz/a/",
		"empty segment":             "spiffe://example.org/proxy//a",
		"empty first segment":       "spiffe://example.org//authz/a",
		"dot segment":               "spiffe://example.org/proxy/./a",
		"dot-dot segment":           "spiffe://example.org/proxy/edge/..",
		"space":                     "spiffe://example.org/authz/a b",
		"NUL":                       "spiffe://example.org/authz/a\x00",
		"non-ASCII letter":          "spiffe://example.org/authz/ä",
		"trailing newline":          "spiffe://example.org/authz/a\n",
		"trust domain of 256 bytes": "spiffe://" + strings.Repeat("a", 256) + "/authz/a",
		"more than 2048 bytes":      "spiffe://example.org/authz/" + strings.Repeat("a", 2048),
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Parse(uri); err == nil {
				t.Errorf("Parse(%q) = %+v, want an error", uri, got)
			}
		})
	}
}

func TestValidateRefusesWhatCannotBeWritten(t *testing.T) {
	for name, identity := range map[string]Identity{
		"nobody":              {},
		"control plane group": {TrustDomain: "a", Kind: ControlPlane, Group: "edge", Name: "b"},
		"slash in a name":     {TrustDomain: "a", Kind: Proxy, Group: "edge", Name: "b/c"},
		"too long":            {TrustDomain: "a", Kind: Proxy, Group: strings.Repeat("g", 1024), Name: strings.Repeat("n", 1024)},
	} {
		t.Run(name, func(t *testing.T) {
			if err := identity.Validate(); err == nil {
				t.Errorf("%+v is valid", identity)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("spiffe://example.org/proxy/edge/edge-1")
	f.Add("spiffe://example.org/authz/a#")
	f.Add("spiffe://example.org/control-plane/%61")
	f.Fuzz(func(t *testing.T, uri string) {
		identity, err := Parse(uri)
		if err != nil {
			if identity != (Identity{}) {
				t.Fatalf("Parse(%q) returns %+v beside an error", uri, identity)
			}
			return
		}
		if identity.String() != uri || identity.URI().String() != uri {
			t.Fatalf("Parse(%q) is written back as %q and %q", uri, identity.String(), identity.URI())
		}
		if err := identity.Validate(); err != nil {
			t.Fatalf("Parse(%q) is not valid: %v", uri, err)
		}
	})
}
