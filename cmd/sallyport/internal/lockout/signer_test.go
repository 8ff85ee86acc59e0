package lockout

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func TestASignerIsAcceptedWhereWhatItIssuesWouldBe(t *testing.T) {
	top, other, deep := root(t, "top"), root(t, "other"), rootOver(t, "deep", 2)
	issuing := below(t, top, "issuing")
	middle := belowOver(t, deep, "middle", 1)
	lowest := below(t, middle, "lowest")
	plain := &sallyportv1.TruststoreSpec{}
	chained := &sallyportv1.TruststoreSpec{Intermediates: &sallyportv1.Intermediates{FromCaller: true}}
	further := &sallyportv1.TruststoreSpec{Intermediates: &sallyportv1.Intermediates{FromCaller: true, MaxDepth: 2}}
	for name, test := range map[string]struct {
		spec   *sallyportv1.TruststoreSpec
		bundle []byte
		signer *ca.Authority
		above  []*ca.Authority
		want   string
		untold bool
	}{
		"a root that is trusted":                     {plain, pemOf(other, top), top, nil, "", false},
		"an intermediate that is in the bundle":      {plain, pemOf(issuing), issuing, nil, "", false},
		"below a root, where callers send it":        {chained, pemOf(top), issuing, nil, "", false},
		"two below a root, where callers send them":  {further, pemOf(deep), lowest, []*ca.Authority{deep, middle}, "", false},
		"below a root, where callers do not send it": {plain, pemOf(top), issuing, []*ca.Authority{top}, "takes no intermediates from callers", false},
		"too far below a root":                       {chained, pemOf(deep), lowest, []*ca.Authority{middle}, "which allows 1", false},
		"another authority":                          {chained, pemOf(other), issuing, []*ca.Authority{top}, `does not trust "CN=issuing": it trusts "CN=other"`, false},
		"what is above it is not known":              {chained, pemOf(other), issuing, nil, `what stands above "CN=issuing" is not known`, true},
		"a bundle that cannot be read":               {chained, nil, issuing, []*ca.Authority{top}, "nowhere.pem", true},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			test.spec.Bundle = "file:nowhere.pem"
			if test.bundle != nil {
				test.spec.Bundle = "file:bundle.pem"
				if err := os.WriteFile(filepath.Join(base, "bundle.pem"), test.bundle, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			signer := Signer{Certificate: test.signer.Certificate()}
			for _, above := range test.above {
				signer.Above = append(signer.Above, above.Certificate())
			}
			err := signer.Accepted(t.Context(), "partners", test.spec, nil, base, noon)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) || errors.Is(err, ErrUntold) != test.untold {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

func TestADevelopmentAuthorityIsNotGuessed(t *testing.T) {
	top := root(t, "top")
	development := map[string]*sallyportv1.AuthoritySpec{"lab": {Source: &sallyportv1.AuthoritySpec_Development{Development: &sallyportv1.DevelopmentAuthority{}}}}
	err := Signer{Certificate: top.Certificate(), Above: []*x509.Certificate{}}.Accepted(
		t.Context(), "partners", &sallyportv1.TruststoreSpec{Bundle: "authority:lab"}, development, t.TempDir(), noon)
	if !errors.Is(err, ErrUntold) {
		t.Error(err)
	}
}
