package pipeline

import (
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// SpecsOf collects what a model says of material.
func SpecsOf(model *config.Model) inventory.Specs {
	specs := inventory.Specs{
		Authorities:            map[string]*sallyportv1.AuthoritySpec{},
		Truststores:            map[string]*sallyportv1.TruststoreSpec{},
		Certificates:           map[string]*sallyportv1.CertificateSpec{},
		Providers:              map[string]*sallyportv1.ProviderSpec{},
		CertificateHosts:       map[string][]string{},
		CertificateTruststores: map[string]string{},
	}
	for _, a := range model.Authorities() {
		specs.Authorities[a.Name] = a.Spec
	}
	for _, t := range model.Truststores() {
		specs.Truststores[t.Name] = t.Spec
	}
	for _, c := range model.Certificates() {
		specs.Certificates[c.Name] = c.Spec
	}
	for _, p := range model.Providers() {
		specs.Providers[p.Name] = providerSpec(p)
	}
	for _, g := range model.Gateways() {
		for _, l := range g.Listeners {
			for _, e := range l.Entries {
				if e.Certificate != nil {
					addHosts(specs, e)
				}
			}
		}
	}
	// An upstream that is one of our own gateways shows which truststore its callers verify it by.
	for _, u := range model.Upstreams() {
		if u.TLS == nil {
			continue
		}
		for name, hosts := range specs.CertificateHosts {
			if slices.Contains(hosts, u.TLS.ServerName) {
				specs.CertificateTruststores[name] = u.TLS.Truststore.Name
			}
		}
	}
	return specs
}

// providerSpec is what a Provider says of material, with defaults filled in. What it says of tokens changes no material.
func providerSpec(p *config.Provider) *sallyportv1.ProviderSpec {
	spec := &sallyportv1.ProviderSpec{Issuers: p.Issuers, KeySet: p.KeySet, Leeway: durationpb.New(p.Leeway)}
	if c := p.Client; c != nil {
		spec.Client = &sallyportv1.ProviderClient{Id: c.ID, Secret: c.Secret, PrivateKey: c.PrivateKey}
		if c.Certificate != nil {
			spec.Client.Certificate = c.Certificate.Name
		}
	}
	if m := p.Mint; m != nil {
		spec.Mint = &sallyportv1.ProviderMint{
			Class: m.Class, Lifetime: durationpb.New(m.Lifetime), Keys: m.Keys, RotateEvery: durationpb.New(m.RotateEvery),
		}
	}
	return spec
}

func addHosts(specs inventory.Specs, e *config.Entry) {
	for _, hostname := range e.Hostnames {
		if !slices.Contains(specs.CertificateHosts[e.Certificate.Name], hostname) {
			specs.CertificateHosts[e.Certificate.Name] = append(specs.CertificateHosts[e.Certificate.Name], hostname)
		}
	}
}
