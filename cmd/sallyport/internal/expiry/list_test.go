package expiry

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

func TestUrgencyRisesTowardsTheEnd(t *testing.T) {
	for name, test := range map[string]struct {
		life, left time.Duration
		want       Urgency
	}{
		"a year, ended":              {365 * day, 0, Ended},
		"a year, an hour":            {365 * day, time.Hour, Day},
		"a year, a day":              {365 * day, day, Day},
		"a year, two days":           {365 * day, 2 * day, Week},
		"a year, two weeks":          {365 * day, 14 * day, Fortnight},
		"a year, a month":            {365 * day, 30 * day, Month},
		"a year, two months":         {365 * day, 60 * day, TwoMonths},
		"a year, a season":           {365 * day, 90 * day, Later},
		"90 days, renewed in time":   {90 * day, 31 * day, Later},
		"90 days, not yet renewed":   {90 * day, 29 * day, Month},
		"a day, renewed in time":     {day, 9 * time.Hour, Later},
		"a day, not renewed":         {day, 3 * time.Hour, Day},
		"an unknown life, two weeks": {0, 14 * day, Fortnight},
	} {
		end := noon.Add(test.left)
		begin := end.Add(-test.life)
		if test.life == 0 {
			begin = time.Time{}
		}
		if got := urgencyOf(begin, end, noon); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// rows names what is listed, in order.
func rows(list []Row) []string {
	var names []string
	for _, r := range list {
		names = append(names, fmt.Sprintf("%s/%s/%s %s", r.Kind, r.Name, r.Gateway, r.Urgency))
	}
	return names
}

func TestACertificateOfOursIsListedThatNothingButARefusalIsKnownOf(t *testing.T) {
	revoked, stranger := sighting("", "r", 3*day), sighting("", "s", 3*day)
	revoked.Truststore, revoked.Subject, revoked.Allowed, revoked.Reason = "", "CN=nsp", false, reason.CertificateRevoked
	stranger.Truststore, stranger.Reason = "", reason.CertificateUntrusted
	list := Sources{Sightings: func() []sightings.Sighting { return []sightings.Sighting{revoked, stranger} }}.List(noon)
	if len(list) != 1 || list[0].Name != "CN=nsp" || list[0].LastAllowed || list[0].LastReason != reason.CertificateRevoked {
		t.Errorf("%+v", list)
	}
}

func TestEverythingIsListedTheMostUrgentFirst(t *testing.T) {
	sources := Sources{
		Sightings: func() []sightings.Sighting {
			stranger := sighting("", "s", day)
			stranger.Truststore = ""
			return []sightings.Sighting{sighting("mapps", "m", 3*day), sighting("nsp", "n", 100*day), stranger}
		},
		Material: func() *inventory.Snapshot {
			return &inventory.Snapshot{
				Certificates: map[string]*inventory.KeyPair{
					"edge-server": {Leaf: certificate("edge", noon.Add(20*day))},
					"edge-client": {Leaf: certificate("client", noon.Add(50*day))},
					"spare":       {Leaf: certificate("spare", noon.Add(70*day))},
				},
				Truststores: map[string]*inventory.Truststore{"partners": {
					Anchors: []*x509.Certificate{certificate("root", noon.Add(400*day))},
					Revocation: inventory.Revocation{States: []inventory.ListState{
						{Issuer: "CN=root", Number: "7", ThisUpdate: noon.Add(-6 * day), NextUpdate: noon.Add(day)},
						{Issuer: "CN=other", Number: "1", ThisUpdate: noon},
					}},
					Manifest: &inventory.Manifest{Generation: 3, Created: noon.Add(-300 * day), Expires: noon.Add(10 * day)},
				}},
			}
		},
		Model: func() *config.Model { return model(t) },
		Own: func() []Row {
			return []Row{OfCertificate(ControlPlane, "--certificate", certificate("control plane", noon.Add(-time.Hour)))}
		},
	}
	want := []string{
		"control_plane/--certificate/ ended", "revocation_list/partners/ 1d", "consumer/mapps/edge 7d", "manifest/partners/ 14d",
		"gateway/edge-server/edge 30d", "upstream/edge-client/ 60d", "certificate/spare/ later", "consumer/nsp/edge later", "truststore/partners/ later",
	}
	if got := rows(sources.List(noon)); !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if got := (Sources{}).List(noon); len(got) != 0 {
		t.Errorf("of no sources: %+v", got)
	}
}

func TestACertificateThatWasRenewedIsSuperseded(t *testing.T) {
	old, renewed := sighting("mapps", "old", day), sighting("mapps", "new", 300*day)
	old.LastSeen = noon.Add(-48 * time.Hour)
	list := ofSightings([]sightings.Sighting{old, renewed}, noon)
	if !list[0].Superseded || list[1].Superseded {
		t.Errorf("%+v", list)
	}
	old.LastSeen = noon // still in use
	if list := ofSightings([]sightings.Sighting{old, renewed}, noon); list[0].Superseded {
		t.Errorf("%+v", list[0])
	}
}

func TestWhatEndedLongAgoIsForgotten(t *testing.T) {
	gone := sighting("mapps", "m", -40*day)
	gone.LastSeen = noon.Add(-41 * day)
	used := sighting("nsp", "n", -40*day)
	if got := rows(ofSightings([]sightings.Sighting{gone, used}, noon)); len(got) != 1 || got[0] != "consumer/nsp/edge ended" {
		t.Errorf("%q", got)
	}
}

// model has a gateway that presents edge-server and an upstream that is presented edge-client.
func model(t *testing.T) *config.Model {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "all.yaml"), []byte(`
api_version: sallyport/v1
kind: Gateway
metadata: {name: edge}
spec:
  group: edge
  listeners: [{name: https, address: 127.0.0.1, port: 8443, tls: [{hostnames: [api.example.org], certificate: edge-server}]}]
---
api_version: sallyport/v1
kind: Upstream
metadata: {name: api}
spec: {endpoints: {addresses: ["127.0.0.1:9080"]}, tls: {truststore: partners, server_name: api.internal, client_certificate: edge-client}}
---
api_version: sallyport/v1
kind: Truststore
metadata: {name: partners}
spec: {bundle: "file:partners.pem"}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: edge-server}
spec: {material: {certificate: "file:a.pem", private_key: "file:a-key.pem"}}
---
api_version: sallyport/v1
kind: Certificate
metadata: {name: edge-client}
spec: {material: {certificate: "file:b.pem", private_key: "file:b-key.pem"}}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	m, problems, err := config.Load(folder)
	if err != nil || m == nil {
		t.Fatal(problems, err)
	}
	return m
}
