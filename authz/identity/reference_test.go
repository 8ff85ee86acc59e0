package identity

import (
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

func TestACertificateThatATokenNamesIsJudgedAsIfItWereHere(t *testing.T) {
	partners, others := fixture.NewAuthority(t, "partners"), fixture.NewAuthority(t, "others")
	leaf := partners.Issued("mapps")
	good := Reference{Truststore: "partners", Issuer: "CN=partners", Serial: leaf.SerialNumber.Text(16)}
	named := []*config.Truststore{{Header: config.Header{Name: "partners"}}}
	withIntermediates := fixture.Truststore("partners", partners)
	withIntermediates.Intermediates = inventory.Intermediates{FromCaller: true, MaxDepth: 1}
	demanding := fixture.Truststore("partners", partners)
	demanding.Revocation.Mode = inventory.RevocationRequired
	for name, test := range map[string]struct {
		truststore *inventory.Truststore
		change     func(*Reference)
		want       reason.Reason // empty if nothing is known against it
	}{
		"nothing against it":                  {fixture.Truststore("partners", partners), nil, ""},
		"a truststore that is not there":      {fixture.Truststore("partners", partners), func(r *Reference) { r.Truststore = "gone" }, reason.CertificateUntrusted},
		"a truststore that never was good":    {nil, nil, reason.TruststoreMissing},
		"an authority that is not there":      {fixture.Truststore("partners", others), nil, reason.CertificateUntrusted},
		"an intermediate that is let in":      {withIntermediates, func(r *Reference) { r.Issuer = "CN=between" }, ""},
		"an intermediate that is not":         {fixture.Truststore("partners", partners), func(r *Reference) { r.Issuer = "CN=between" }, reason.CertificateUntrusted},
		"a list that is required and missing": {demanding, nil, reason.RevocationUnavailable},
		"no serial number":                    {fixture.Truststore("partners", partners), func(r *Reference) { r.Serial = "" }, reason.CertificateMalformed},
		"no issuer":                           {fixture.Truststore("partners", partners), func(r *Reference) { r.Issuer = "" }, reason.CertificateMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			material, ref := fixture.Material(), good
			if test.truststore != nil {
				material = fixture.Material(test.truststore)
			}
			if test.change != nil {
				test.change(&ref)
			}
			got := reason.Reason("")
			if refusal := NewReferences(named, material).Judge(ref, fixture.Noon.Add(time.Minute)); refusal != nil {
				got = refusal.Reason
			}
			if got != test.want {
				t.Errorf("refused for %q, want %q", got, test.want)
			}
		})
	}
}

func TestATokenIsTheConsumersWhoseMatchItMeetsInFull(t *testing.T) {
	corporate, other := &config.Provider{Header: config.Header{Name: "corporate"}}, &config.Provider{Header: config.Header{Name: "other"}}
	consumer := func(name string, matches ...*config.TokenMatch) *config.Consumer {
		c := &config.Consumer{Header: config.Header{Name: name}, Tokens: matches}
		for _, m := range matches {
			m.Consumer = c
		}
		return c
	}
	consumers := NewConsumers([]*config.Consumer{
		consumer("app", &config.TokenMatch{Provider: corporate, ClientID: "app"}),
		consumer("alice", &config.TokenMatch{Provider: corporate, Subject: "alice"}, &config.TokenMatch{Provider: corporate, Subject: "al", ClientID: "x"}),
		consumer("app-of-other", &config.TokenMatch{Provider: other, ClientID: "app"}),
		consumer("nobody", &config.TokenMatch{Provider: corporate}),
	})
	for name, test := range map[string]struct {
		provider, client, subject, want string
		several                         bool
	}{
		"a client":                     {"corporate", "app", "app", "app", false},
		"the client of another issuer": {"other", "app", "app", "app-of-other", false},
		"a subject":                    {"corporate", "web", "alice", "alice", false},
		"client and subject":           {"corporate", "x", "al", "alice", false},
		"the subject, another client":  {"corporate", "y", "al", "", false},
		"neither":                      {"corporate", "web", "bob", "", false},
		"two consumers'":               {"corporate", "app", "alice", "alice", true},
		"nothing that could match":     {"corporate", "", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			found, several := consumers.FindToken(test.provider, test.client, test.subject)
			switch {
			case test.several:
				if found == nil || several == nil {
					t.Errorf("found %v and %v", found, several)
				}
			case several != nil || (found == nil) != (test.want == "") || found != nil && found.Consumer.Name != test.want:
				t.Errorf("found %v and %v, want %q", found, several, test.want)
			}
		})
	}
}
