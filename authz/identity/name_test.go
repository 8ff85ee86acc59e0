package identity

import "testing"

func TestACertificateHasANameForPeople(t *testing.T) {
	for want, certificate := range map[string]Certificate{
		"CN=mapps":                  {Subject: "CN=mapps", URIs: []string{"spiffe://example.org/edge"}},
		"spiffe://example.org/edge": {URIs: []string{"spiffe://example.org/edge"}, DNSNames: []string{"edge"}},
		"edge":                      {DNSNames: []string{"edge"}},
		"serial number 1f":          {Serial: "1f"},
	} {
		if got := certificate.Name(); got != want {
			t.Errorf("%+v is called %q, want %q", certificate, got, want)
		}
	}
}
