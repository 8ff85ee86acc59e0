package lockout

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/pki/ca"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

var noon = time.Now().Truncate(time.Second)

func root(t *testing.T, name string) *ca.Authority {
	t.Helper()
	return rootOver(t, name, 1)
}

// rootOver is a root that allows so many authorities below it.
func rootOver(t *testing.T, name string, depth int) *ca.Authority {
	t.Helper()
	made, err := ca.Create(ca.Options{CommonName: name, PathLength: depth})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func below(t *testing.T, above *ca.Authority, name string) *ca.Authority {
	t.Helper()
	return belowOver(t, above, name, 0)
}

// belowOver is an authority that allows so many below it.
func belowOver(t *testing.T, above *ca.Authority, name string, depth int) *ca.Authority {
	t.Helper()
	pair, err := above.IssueAuthority(ca.AuthorityRequest{CommonName: name, PathLength: depth})
	if err != nil {
		t.Fatal(err)
	}
	made, err := ca.LoadWith(append(pair.CertificatePEM, pemOf(above)...), pair.PrivateKey, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func callerOf(t *testing.T, authority *ca.Authority, name string) *x509.Certificate {
	t.Helper()
	pair, err := authority.Issue(ca.Request{Profile: ca.Partner, Subject: pkix.Name{CommonName: name}, Lifetime: 30 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return pair.Certificate
}

func pemOf(authorities ...*ca.Authority) []byte {
	var text []byte
	for _, a := range authorities {
		text = append(text, ca.EncodeCertificate(a.Certificate())...)
	}
	return text
}

func TestOf(t *testing.T) {
	old, next := root(t, "old"), root(t, "next")
	issuing := below(t, old, "issuing")
	direct, through, later := callerOf(t, old, "mapps"), callerOf(t, issuing, "nsp"), callerOf(t, next, "pilot")
	seen := func(c *x509.Certificate, consumer string, intermediates ...[]byte) Seen {
		return Seen{Certificate: c.Raw, Intermediates: intermediates, Consumer: consumer, Gateway: "edge", LastSeen: noon.Add(-time.Hour), Allowed: true}
	}
	chained := &sallyportv1.TruststoreSpec{Intermediates: &sallyportv1.Intermediates{FromCaller: true}}
	demanding := &sallyportv1.TruststoreSpec{Revocation: &sallyportv1.Revocation{Lists: []string{"file:nowhere.crl"}, Grace: durationpb.New(0)}}
	for name, test := range map[string]struct {
		spec         *sallyportv1.TruststoreSpec
		old, changed []byte
		seen         []Seen
		now          time.Time
		locked       string
		unknown      string
		letIn        int
	}{
		"an authority comes beside":          {&sallyportv1.TruststoreSpec{}, pemOf(old), pemOf(old, next), []Seen{seen(direct, "mapps"), seen(later, "pilot")}, noon, "", "", 1},
		"an authority goes":                  {&sallyportv1.TruststoreSpec{}, pemOf(old, next), pemOf(next), []Seen{seen(direct, "mapps"), seen(later, "pilot")}, noon, "mapps", "", 0},
		"one that nobody uses goes":          {&sallyportv1.TruststoreSpec{}, pemOf(old, next), pemOf(old), []Seen{seen(direct, "mapps")}, noon, "", "", 0},
		"with intermediates that are sent":   {chained, pemOf(old), pemOf(next), []Seen{seen(through, "nsp", issuing.Certificate().Raw)}, noon, "nsp", "", 0},
		"with intermediates that stay":       {chained, pemOf(old), pemOf(old, next), []Seen{seen(through, "nsp", issuing.Certificate().Raw)}, noon, "", "", 0},
		"with intermediates that are lost":   {chained, pemOf(old), pemOf(next), []Seen{seen(through, "nsp")}, noon, "", "nsp", 0},
		"an intermediate takes the place":    {&sallyportv1.TruststoreSpec{}, pemOf(issuing), pemOf(old), []Seen{seen(through, "nsp")}, noon, "nsp", "", 0},
		"without the lists that are needed":  {demanding, pemOf(old), pemOf(next), []Seen{seen(direct, "mapps")}, noon, "", "mapps", 0},
		"who has expired is nobody's loss":   {&sallyportv1.TruststoreSpec{}, pemOf(old), pemOf(next), []Seen{seen(direct, "mapps")}, noon.Add(60 * 24 * time.Hour), "", "", 0},
		"nothing was published":              {&sallyportv1.TruststoreSpec{}, nil, pemOf(old), []Seen{seen(direct, "mapps")}, noon, "", "", 1},
		"the new one is none":                {&sallyportv1.TruststoreSpec{}, pemOf(old), []byte("nothing"), []Seen{seen(direct, "mapps")}, noon, "mapps", "", 0},
		"of two gateways the one comes once": {&sallyportv1.TruststoreSpec{}, pemOf(old), pemOf(next), []Seen{seen(direct, "mapps"), seen(direct, "mapps")}, noon, "mapps", "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			trial, err := Try(t.Context(), test.spec, t.TempDir(), test.old, test.changed, test.now)
			if err != nil {
				t.Fatal(err)
			}
			result, err := Of(test.seen, "partners", trial.Old, trial.New, test.now)
			if err != nil {
				t.Fatal(err)
			}
			if consumers(result.LockedOut) != test.locked || consumers(result.Unknown) != test.unknown || result.LetIn != test.letIn {
				t.Fatalf("locked out %q, unknown %q, let in %d: %+v", consumers(result.LockedOut), consumers(result.Unknown), result.LetIn, result)
			}
		})
	}
}

func consumers(judged []Judged) string {
	var names []string
	for _, j := range judged {
		if j.Why == "" {
			names = append(names, "(no reason)")
		}
		names = append(names, j.Consumer)
	}
	return strings.Join(names, " ")
}

func TestReadCertificates(t *testing.T) {
	above := root(t, "root")
	issuing := below(t, above, "issuing")
	leaf := ca.EncodeCertificate(callerOf(t, issuing, "nsp"))
	seen, err := ReadCertificates(append(append([]byte{}, leaf...), append(pemOf(issuing), leaf...)...))
	if err != nil || len(seen) != 2 || len(seen[0].Intermediates) != 1 || len(seen[1].Intermediates) != 0 {
		t.Fatalf("%d certificates, %v", len(seen), err)
	}
	if _, err := ReadCertificates(pemOf(above)); err == nil {
		t.Fatal("an authority was taken for a caller")
	}
}
