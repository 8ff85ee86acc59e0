package request_test

import (
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/authz/request"
)

func TestTheChainIsReadAsEnvoyWritesIt(t *testing.T) {
	const chain = "-----BEGIN%20CERTIFICATE-----%0AMIIB%2B%3D%0A-----END%20CERTIFICATE-----%0A"
	for name, test := range map[string]struct{ value, want string }{
		"with the hash":             {`Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;Chain="` + chain + `"`, chain},
		"with a name of ours":       {`By=spiffe://example.org/edge;Hash=00;Chain="` + chain + `"`, chain},
		"with a quoted name":        {`By="a;b,\"c";Chain="` + chain + `"`, chain},
		"in another case":           {`chain="` + chain + `"`, chain},
		"alone":                     {`Chain="` + chain + `"`, chain},
		"without one":               {`Hash=00`, ""},
		"not quoted":                {`Chain=` + chain, ""},
		"half quoted":               {`Chain="` + chain, ""},
		"twice":                     {`Chain="` + chain + `";Chain="` + chain + `"`, ""},
		"in a second element":       {`Hash=00,Hash=11;Chain="` + chain + `"`, ""},
		"in the first of two":       {`Chain="` + chain + `",Hash=00`, ""},
		"with a quote within":       {`Chain="a\"b"`, ""},
		"with a blank within":       {`Chain="a b"`, ""},
		"within another's quotes":   {`Subject="Chain=x;Chain=y"`, ""},
		"of more bytes than it may": {`Chain="` + strings.Repeat("a", 128<<10) + `"`, ""},
		"nothing":                   {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := request.Parse(asked(header(request.ForwardedCertificate, test.value)))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.CertificateChain(); got != test.want {
				t.Errorf("read %q, want %q", got, test.want)
			}
		})
	}
	r, err := request.Parse(asked(nil))
	if err != nil || r.CertificateChain() != "" {
		t.Errorf("without the header: %q, %v", r.CertificateChain(), err)
	}
}

func FuzzCertificateChain(f *testing.F) {
	for _, seed := range []string{`Hash=00;Chain="a%20b"`, `By="a;b,\"c";Chain="x"`, `Chain="a",Chain="b"`, `"`, `\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r, err := request.Parse(asked(header(request.ForwardedCertificate, value)))
		if err != nil {
			return
		}
		chain := r.CertificateChain()
		if chain != "" && !strings.Contains(value, `="`+chain+`"`) || strings.ContainsAny(chain, "\"\\ ,;=") {
			t.Fatalf("read %q from %q", chain, value)
		}
	})
}
