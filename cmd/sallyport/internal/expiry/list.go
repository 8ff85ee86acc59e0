package expiry

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// forgotten is how long something that has ended is listed, after its end or since it was last seen.
const forgotten = 30 * day

// Sources are where rows come from. Each may be nil.
type Sources struct {
	// Sightings are the certificates that gateways met.
	Sightings func() []sightings.Sighting
	// Material is what is in force.
	Material func() *inventory.Snapshot
	// Model says what the material is used for; it may return nil.
	Model func() *config.Model
	// Own are the certificates of this process, and of the authorities that it holds. Only OfCertificate's fields count.
	Own func() []Row
}

// List returns everything that ends, the most urgent first, at this moment.
func (s Sources) List(now time.Time) []Row {
	var rows []Row
	if s.Sightings != nil {
		rows = append(rows, ofSightings(s.Sightings(), now)...)
	}
	if s.Material != nil {
		if material := s.Material(); material != nil {
			rows = append(rows, ofCertificates(material, s.uses())...)
			rows = append(rows, ofTruststores(material)...)
		}
	}
	if s.Own != nil {
		rows = append(rows, s.Own()...)
	}
	for i := range rows {
		rows[i].Urgency = urgencyOf(rows[i].NotBefore, rows[i].NotAfter, now)
	}
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(compareBool(a.Superseded, b.Superseded), a.NotAfter.Compare(b.NotAfter),
			cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Gateway, b.Gateway))
	})
	return rows
}

// compareBool puts true last.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// ofSightings leaves strangers out: when their certificates end is their business. Those of ours that nothing but refusals are
// known of are listed.
func ofSightings(seen []sightings.Sighting, now time.Time) []Row {
	var rows []Row
	for _, s := range seen {
		if !s.Ours() || now.Sub(s.NotAfter) > forgotten && now.Sub(s.LastSeen) > forgotten {
			continue
		}
		rows = append(rows, Row{
			Kind: Consumer, Name: cmp.Or(s.Consumer, s.Subject, s.Serial), Gateway: s.Gateway, Consumer: s.Consumer,
			Subject: s.Subject, Issuer: s.Issuer, Serial: s.Serial, SHA256: s.SHA256, NotBefore: s.NotBefore, NotAfter: s.NotAfter,
			LastSeen: s.LastSeen, LastAllowed: s.Allowed, LastReason: s.Reason, Requests: s.Requests, Superseded: superseded(s, seen),
		})
	}
	return rows
}

// superseded tells whether the consumer came with a later certificate after it came with this one the last time.
func superseded(s sightings.Sighting, seen []sightings.Sighting) bool {
	return s.Consumer != "" && slices.ContainsFunc(seen, func(other sightings.Sighting) bool {
		return other.Consumer == s.Consumer && other.Vouched() && other.NotAfter.After(s.NotAfter) && other.LastSeen.After(s.LastSeen)
	})
}

// use is what a Certificate is for.
type use struct {
	kind    Kind
	gateway string
}

// uses are those of Certificates, by name. One that a gateway presents is called after the gateway, whatever else it does.
func (s Sources) uses() map[string]use {
	found := make(map[string]use)
	if s.Model == nil {
		return found
	}
	model := s.Model()
	if model == nil {
		return found
	}
	for _, u := range model.Upstreams() {
		if u.TLS != nil && u.TLS.ClientCertificate != nil {
			found[u.TLS.ClientCertificate.Name] = use{kind: Upstream}
		}
	}
	for _, g := range model.Gateways() {
		for _, l := range g.Listeners {
			for _, e := range l.Entries {
				if e.Certificate != nil {
					found[e.Certificate.Name] = use{Gateway, g.Name}
				}
			}
		}
	}
	return found
}

func ofCertificates(material *inventory.Snapshot, uses map[string]use) []Row {
	var rows []Row
	for _, name := range slices.Sorted(maps.Keys(material.Certificates)) {
		use, used := uses[name]
		if !used {
			use.kind = Unused
		}
		row := OfCertificate(use.kind, name, material.Certificates[name].Leaf)
		row.Gateway = use.gateway
		rows = append(rows, row)
	}
	return rows
}

// ofTruststores are anchors, lists and manifests.
func ofTruststores(material *inventory.Snapshot) []Row {
	var rows []Row
	for _, name := range slices.Sorted(maps.Keys(material.Truststores)) {
		t := material.Truststores[name]
		for _, anchor := range t.Anchors {
			rows = append(rows, OfCertificate(Truststore, name, anchor))
		}
		for _, l := range t.Revocation.States {
			if l.NextUpdate.IsZero() {
				continue
			}
			rows = append(rows, Row{
				Kind: List, Name: name, Issuer: l.Issuer, Serial: l.Number, SHA256: l.SHA256, NotBefore: l.ThisUpdate, NotAfter: l.NextUpdate,
			})
		}
		if t.Manifest != nil {
			rows = append(rows, Row{
				Kind: Manifest, Name: name, Serial: strconv.FormatUint(t.Manifest.Generation, 10), NotBefore: t.Manifest.Created, NotAfter: t.Manifest.Expires,
			})
		}
	}
	return rows
}
