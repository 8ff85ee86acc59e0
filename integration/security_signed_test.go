package integration

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/issuer"
	"github.com/sallyport-project/sallyport/pki/manifest"
)

// sealed signs a manifest for a bundle; the manifest may be changed before.
func sealed(t *testing.T, bundle []byte, signer crypto.Signer, change func(*manifest.Manifest)) []byte {
	t.Helper()
	now := time.Now()
	m := manifest.Manifest{BundleSHA256: manifest.HashBundle(bundle), Generation: 5, Created: now.Add(-time.Minute), Expires: now.Add(time.Hour)}
	if change != nil {
		change(&m)
	}
	data, err := manifest.Sign(m, signer)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func sealedEntry(name string) entry {
	return entry{name: name, truststore: fmt.Sprintf(`{bundle: "file:../pki/%s.pem", signers: ["file:../pki/signer.pub"]}`, name)}
}

// manifests is about who may say which authorities are trusted, where a truststore names signers.
func manifests(g *guarded) area {
	t := g.t.(*testing.T)
	signer, other := fresh(t), fresh(t)
	public, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	g.publish("signer.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
	root, intruder := mint(t, listing("sealed"), nil), mint(t, listing("intruder"), nil)
	good, bad := from(t, nil, root), from(t, nil, intruder)
	bundle, both := bundleOf(root), bundleOf(root, intruder)

	a := area{name: "manifests"}
	var atStart []attempt
	for name, content := range map[string][]byte{
		"sealed-well":           sealed(t, bundle, signer, nil),
		"sealed-for-this":       sealed(t, bundle, signer, func(m *manifest.Manifest) { m.Truststore = "sealed-for-this" }),
		"unsealed":              nil,
		"sealed-empty":          {},
		"sealed-by-another":     sealed(t, bundle, other, nil),
		"sealed-another-bundle": sealed(t, both, signer, nil),
		"sealed-expired": sealed(t, bundle, signer, func(m *manifest.Manifest) {
			m.Created, m.Expires = m.Created.Add(-2*time.Hour), m.Created.Add(-time.Hour)
		}),
		"sealed-in-the-future": sealed(t, bundle, signer, func(m *manifest.Manifest) { m.Created = m.Created.Add(30 * time.Minute) }),
		"sealed-for-another":   sealed(t, bundle, signer, func(m *manifest.Manifest) { m.Truststore = steady }),
	} {
		a.entries = append(a.entries, sealedEntry(name))
		g.publish(name+".pem", bundle)
		if content != nil {
			g.publish(name+".pem.manifest", content)
		}
		want := shutOut
		if name == "sealed-well" || name == "sealed-for-this" {
			want = letIn
		}
		atStart = append(atStart, attempt{"a partner", name, good, nil, want})
	}

	// What somebody who can write the bundle, or once saw another, may put in its place.
	type replacement struct{ bundle, manifest []byte }
	replacements := map[string]replacement{
		"added-unsealed":   {both, sealed(t, bundle, signer, nil)},
		"added-by-another": {both, sealed(t, both, other, func(m *manifest.Manifest) { m.Generation = 6 })},
		"added-of-before":  {both, sealed(t, both, signer, func(m *manifest.Manifest) { m.Generation = 4 })},
		"added-as-present": {both, sealed(t, both, signer, nil)},
		"added-of-another": {both, sealed(t, both, signer, func(m *manifest.Manifest) { m.Generation, m.Truststore = 6, steady })},
	}
	for name := range replacements {
		a.entries = append(a.entries, sealedEntry(name))
		g.publish(name+".pem", bundle)
		g.publish(name+".pem.manifest", sealed(t, bundle, signer, nil))
	}
	a.test = func(t *testing.T, g *guarded) {
		g.judge(t, atStart)
		var running []attempt
		var said []string
		for name, r := range replacements {
			g.publish(name+".pem.manifest", r.manifest)
			g.publish(name+".pem", r.bundle)
			said = append(said, "Truststore "+name)
			running = append(running, attempt{"the partner", name, good, nil, letIn}, attempt{"the intruder", name, bad, nil, isUntrusted})
		}
		g.told(t, said...)
		g.judge(t, running)
		// Over a restart the generation is remembered. What was good is read no more, so that nobody passes.
		g.authz.end(t, syscall.SIGTERM)
		g.startDeciding()
		control := g.pair("mapps")
		eventually(t, "the control passes", func() bool { return g.ask(steady, &control).status == http.StatusOK })
		for i := range running {
			if running[i].pair == bad {
				running[i].outcome = outcome{statuses: slices.Concat(shutOut.statuses, isUntrusted.statuses)}
			}
		}
		g.judge(t, slices.DeleteFunc(running, func(a attempt) bool { return a.pair != bad }))
		g.publish("added-unsealed.pem.manifest", sealed(t, both, signer, func(m *manifest.Manifest) { m.Generation = 6 }))
		eventually(t, "an authority that is sealed counts", func() bool { return g.ask("added-unsealed", bad).status == http.StatusOK })
		g.api.take()
	}
	return a
}

// issuance is about certificates that an authority's key has signed behind its register's back.
func issuance(g *guarded) area {
	t := g.t.(*testing.T)
	home := g.path("registered")
	authority, err := issuer.Init(t.Context(), issuer.Config{Dir: home}, issuer.Options{
		Settings: issuer.Settings{Name: "Registered", Publish: []string{"file:" + g.path("pki", "registered.crl")}}, RootOnly: true, RequestedBy: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	issued, err := authority.Issue(t.Context(), issuer.Order{Consumer: "mapps", RequestedBy: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.publish("registered.pem", authority.Bundle())
	const bundle = `{bundle: "file:../pki/registered.pem", issuance: {`
	return area{
		name: "issuance",
		entries: []entry{
			{name: "registered", truststore: bundle + `mode: registered, registers: ["file:../pki/registered.crl.index"]}}`},
			{name: "registered-or-not", truststore: bundle + `registers: ["file:../pki/registered.crl.index"]}}`},
			{name: "registered-nowhere", truststore: bundle + `mode: registered, registers: ["file:../pki/away.index"]}}`},
		},
		test: func(t *testing.T, g *guarded) {
			stolen, err := tls.X509KeyPair([]byte(g.read("registered", "1", "root.pem")), []byte(g.read("registered", "1", "root-key.pem")))
			if err != nil {
				t.Fatal(err)
			}
			rogue, known := from(t, nil, stolen), issued.Pair.TLS()
			sum := fingerprint(rogue)
			g.judge(t, []attempt{
				{"one that is registered", "registered", &known, nil, letIn},
				{"one that is not", "registered", rogue, nil, isDenied("certificate_unregistered")},
				{"one that is registered, without a register", "registered-nowhere", &known, nil, ourFault},
			})
			says(t, g.authz, "its register does not know")
			if !strings.Contains(g.authz.err.String(), sum) {
				t.Errorf("the alarm does not name the certificate %s", sum)
			}
			// Where unregistered ones are accepted, the alarm is raised all the same.
			another := from(t, nil, stolen)
			g.judge(t, []attempt{
				{"one that is registered", "registered-or-not", &known, nil, letIn},
				{"one that is not, where it may be", "registered-or-not", another, nil, letIn},
			})
			says(t, g.authz, fingerprint(another))
			g.registerLater(t, authority)
		},
	}
}

// registerLater has a certificate issued that counts only once the index is published.
func (g *guarded) registerLater(t *testing.T, authority *issuer.Issuer) {
	t.Helper()
	issued, err := authority.Issue(t.Context(), issuer.Order{Consumer: "mapps", RequestedBy: "test"})
	if err != nil {
		t.Fatal(err)
	}
	later := issued.Pair.TLS()
	g.judge(t, []attempt{{"one that is not published yet", "registered", &later, nil, isDenied("certificate_unregistered")}})
	if _, err := authority.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the published index counts", func() bool { return g.ask("registered", &later).status == http.StatusOK })
	g.api.take()
}
