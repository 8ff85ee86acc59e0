package identity_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
)

// textOf is how many bytes of text a value leads to, whatever its type.
func textOf(v reflect.Value) int {
	sum := 0
	switch v.Kind() {
	case reflect.String:
		sum = v.Len()
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() && v.Type() != reflect.TypeFor[*time.Location]() {
			sum = textOf(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			sum += textOf(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			sum += textOf(v.Field(i))
		}
	}
	return sum
}

func TestAStrangerFillsNoMemory(t *testing.T) {
	stranger, partners := newRawAuthority(t, func(c *x509.Certificate) {
		c.Subject = pkix.Name{Organization: []string{strings.Repeat("issuer ", 250)}}
	}), newRawAuthority(t, nil)
	bloated := func() *x509.Certificate {
		c := &x509.Certificate{
			Subject:      pkix.Name{CommonName: strings.Repeat("\u0141", 500), Organization: []string{strings.Repeat("subject ", 100)}},
			SerialNumber: new(big.Int).Lsh(big.NewInt(1), 8*4000),
		}
		for range 100 {
			c.DNSNames = append(c.DNSNames, strings.Repeat("a", 100))
		}
		return c
	}
	expired := bloated()
	expired.NotAfter = fixture.Noon.Add(-time.Minute)
	authority := bloated()
	authority.IsCA, authority.BasicConstraintsValid = true, true
	for name, test := range map[string]struct {
		certificate string
		trust       *identity.Trust
	}{
		"a stranger's":            {stranger.issue(t, bloated()), partners.trust()},
		"a namesake's":            {newRawAuthority(t, nil).issue(t, bloated()), partners.trust()},
		"one that has expired":    {partners.issue(t, expired), partners.trust()},
		"an authority's":          {stranger.issue(t, authority), partners.trust()},
		"one where none is asked": {stranger.issue(t, bloated()), trusting(nil)},
		"one where nobody knows":  {stranger.issue(t, bloated()), trusting([]string{"missing"})},
	} {
		t.Run(name, func(t *testing.T) {
			verdict := newVerifier(t).Verify(presented(test.certificate), test.trust, fixture.Noon)
			c := verdict.Certificate
			if c == nil {
				_, refusal := verdict.Vouchers([]string{"raw"})
				t.Fatalf("%+v", refusal)
			}
			if !strings.HasPrefix(c.Subject, `CN=\C5\81`) || len(c.SHA256) != 64 || c.Serial == "" {
				t.Errorf("a record would have %q, %q and %q", c.Subject, c.SHA256, c.Serial)
			}
			if kept := textOf(reflect.ValueOf(verdict)); kept > 1200 {
				t.Errorf("%d bytes of text are kept of %d", kept, len(test.certificate))
			}
		})
	}
}

func TestAPartnersNamesAreKeptWhole(t *testing.T) {
	partners := newRawAuthority(t, nil)
	subject := strings.Repeat("subject ", 100) + "."
	c := newVerifier(t).Verify(presented(partners.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: subject}, DNSNames: []string{"a.example.org"},
	})), partners.trust(), fixture.Noon).Certificate
	if c.CommonName != subject || c.Subject != "CN="+subject || len(c.DNSNames) != 1 {
		t.Errorf("kept %+v", c)
	}
}
