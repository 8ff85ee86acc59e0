package server

import (
	"strings"
	"testing"
)

func TestTheFlagsOfOperators(t *testing.T) {
	for name, test := range map[string]struct {
		authority string
		lists     []string
		want      string
	}{
		"neither":                        {"", nil, ""},
		"an authority without lists":     {"operators.pem", nil, ""},
		"an authority with its list":     {"operators.pem", []string{"s3://bucket/operators.crl"}, ""},
		"a list without an authority":    {"", []string{"file:operators.crl"}, "goes with --operator-ca"},
		"a list that cannot be followed": {"operators.pem", []string{"awskms:operators"}, "--operator-crl: "},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{
				CA: true, CADirs: []string{"proxies"}, EnrolCA: "proxies", CAListen: "127.0.0.1:0", TrustDomain: "example.org",
				OperatorCA: test.authority, OperatorCRL: test.lists,
			}
			err := config.Check()
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
