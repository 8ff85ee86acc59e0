package issuer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func TestSettingsAreReadAsTheyWereWritten(t *testing.T) {
	for name, want := range map[string]Settings{
		"the least": {Name: "Partners"},
		"everything": {
			Name: `The "Partners"`, Publish: []string{"s3://example-bucket/prod/partners.crl", "file:/srv/crl.pem"}, ExpectedBucketOwner: "012345678901",
			Register: "s3://example-bucket/register", ListLifetime: Duration(48 * time.Hour), RepublishAhead: Duration(90 * time.Minute),
			RootListLifetime: Duration(100 * 24 * time.Hour), CRLAddresses: []string{"http://crl.example.org/partners.crl"},
			Lifetimes: map[ca.Profile]Duration{ca.Partner: Duration(90 * 24 * time.Hour), ca.Proxy: Duration(12 * time.Hour)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := writeSettings(dir, want.withDefaults()); err != nil {
				t.Fatal(err)
			}
			got, err := readSettings(dir)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want.withDefaults(), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSettingsAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                  "name",
		"name: a\npublsh: b":                                "line 2",
		"name: a\nlist_lifetime: soon":                      "line 2",
		"name: a\nlist_lifetime: 1s":                        "list_lifetime",
		"name: a\nrepublish_ahead: 8d":                      "republish_ahead",
		"name: a\nroot_list_lifetime: 1d":                   "root_list_lifetime",
		"name: a\npublish: [https://a/b]":                   "publish",
		"name: a\npublish: [env:CRL]":                       "publish",
		"name: a\nregister: awskms:a":                       "register",
		"name: a\nlifetimes: {a: 1d}":                       "lifetimes",
		"name: a\nlifetimes: {partner: 0s}":                 "lifetimes",
		"name: a\nlifetimes: {partner: 9999d}":              "lifetimes",
		"name: a\npublish: [file:a, file:a]":                "twice",
		"name: a\npublish: ['s3://bucket/key?version=abc']": "version",
	} {
		t.Run(text, func(t *testing.T) {
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, settingsFile), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := readSettings(dir); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want one about %s", err, want)
			}
		})
	}
	if _, err := Open(Config{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "sallyport ca init") {
		t.Errorf("a folder that is none: %v", err)
	}
}

func TestAHomesSettingsDecideHowLongCertificatesAreValid(t *testing.T) {
	h := newHome(t, func(options *Options) {
		options.Settings.Lifetimes = map[ca.Profile]Duration{ca.Partner: Duration(30 * day)}
		options.Settings.CRLAddresses = []string{"http://crl.example.org/partners.crl"}
	})
	certificate := h.mustIssue(t, "mapps").Pair.Certificate
	if got := certificate.NotAfter.Sub(h.clock.Now()).Round(time.Minute); got != 30*day {
		t.Errorf("valid for %s", got)
	}
	if len(certificate.CRLDistributionPoints) != 1 {
		t.Errorf("addresses %v", certificate.CRLDistributionPoints)
	}
}
