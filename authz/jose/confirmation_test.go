package jose_test

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/jose"
)

func TestACertificatesThumbprintIsReadAsItWasWritten(t *testing.T) {
	sum := sha256.Sum256([]byte("a certificate"))
	want := hex.EncodeToString(sum[:])
	thumbprint, err := jose.CertificateThumbprint(strings.ToUpper(want))
	if err != nil || len(thumbprint) != 43 || strings.ContainsAny(thumbprint, "+/=") {
		t.Fatalf("%q, error %v", thumbprint, err)
	}
	if got, err := jose.CertificateSHA256(thumbprint); got != want || err != nil {
		t.Errorf("%q, error %v", got, err)
	}
}

func TestWhatIsNoThumbprintIsNotRead(t *testing.T) {
	const good = "o_HA3gARIjNEVWZ3iJmqu8zd7v8AESIzRFVmd4iZqrs"
	if _, err := jose.CertificateSHA256(good); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"nothing":                     "",
		"one that is cut":             good[:42],
		"one with more":               good + "AA",
		"padding":                     good + "=",
		"the other alphabet":          strings.Replace(good, "_", "/", 1),
		"a line feed":                 good[:20] + "\n" + good[20:],
		"bits that say nothing":       good[:42] + "t",
		"hexadecimal":                 strings.Repeat("ab", 32),
		"a SHA-1, as x5t has it":      good[:27],
		"characters beyond the ASCII": good[:41] + "é",
	} {
		if got, err := jose.CertificateSHA256(bad); err == nil {
			t.Errorf("%s: read as %q", name, got)
		}
	}
	for _, bad := range []string{"", "ab", strings.Repeat("ab", 33), strings.Repeat("xy", 32), good} {
		if got, err := jose.CertificateThumbprint(bad); err == nil {
			t.Errorf("%q: written as %q", bad, got)
		}
	}
}
