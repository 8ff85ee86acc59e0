package policy_test

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/revocation"
)

const forWhoeverIsTrusted = `{authenticate: {certificate: {truststores: [partners]}}, authorize: [{name: all, everyone: true}]}`

// listed is the material with a revocation list of the partners' authority, for an hour from Noon on.
func (c *callers) listed(t *testing.T, number int64, grace time.Duration, revoked ...*x509.Certificate) *inventory.Snapshot {
	t.Helper()
	list := ca.RevocationList{Number: big.NewInt(number), ThisUpdate: fixture.Noon, NextUpdate: fixture.Noon.Add(time.Hour)}
	for _, certificate := range revoked {
		list.Entries = append(list.Entries, ca.Revoked{Serial: certificate.SerialNumber, Time: fixture.Noon, Reason: ca.KeyCompromise})
	}
	der, err := c.partners.SignRevocationList(list)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := revocation.Parse(der)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := lists[0].Verify(c.partners.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	store := fixture.Truststore("partners", c.partners)
	store.Hash = fmt.Sprint(store.Hash, number, grace)
	store.Revocation = inventory.Revocation{Mode: inventory.RevocationRequired, Grace: grace, Lists: revocation.NewSet([]revocation.Verified{verified}, nil)}
	return fixture.Material(store, c.material.Truststores["others"], c.material.Truststores["elsewhere"])
}

// A connection that is open, or a session that is resumed, shows the same certificate with each request: nothing but the
// judgement of each request can tell that it has been revoked.
func TestEachRequestOfAnOpenConnectionMeetsTheListOfItsMoment(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(forWhoeverIsTrusted))
	leaf, other := c.partners.Issued("leaf"), c.partners.Issued("other")
	verifier, err := identity.NewVerifier(identity.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var engine *policy.Engine
	for _, step := range []struct {
		name     string
		material *inventory.Snapshot
		at       time.Duration
		want     reason.Reason
		other    reason.Reason
	}{
		{"before there are lists", c.material, 0, reason.Everyone, reason.Everyone},
		{"a list without it", c.listed(t, 1, 0), time.Minute, reason.Everyone, reason.Everyone},
		{"a list with it", c.listed(t, 2, 0, leaf), 2 * time.Minute, reason.CertificateRevoked, reason.Everyone},
		{"a hold that was lifted", c.listed(t, 3, 0), 3 * time.Minute, reason.Everyone, reason.Everyone},
		{"the other is revoked", c.listed(t, 4, 0, other), 4 * time.Minute, reason.Everyone, reason.CertificateRevoked},
		{"the same list in its last moment", c.listed(t, 4, 0, other), time.Hour - 1, reason.Everyone, reason.CertificateRevoked},
		{"the same list when it has run out", c.listed(t, 4, 0, other), time.Hour, reason.RevocationUnavailable, reason.CertificateRevoked},
		{"the same list with a grace", c.listed(t, 4, time.Hour, other), time.Hour, reason.Everyone, reason.CertificateRevoked},
		{"when that is over", c.listed(t, 4, time.Hour, other), 2 * time.Hour, reason.RevocationUnavailable, reason.CertificateRevoked},
	} {
		engine = policy.Compile(policy.Input{
			Model: model, Material: step.material, Verifier: verifier, Previous: engine, Now: fixture.Noon,
			Keep: func(string, string, time.Time) bool { return true },
		})
		for range 2 { // judged, and then remembered
			at := fixture.Noon.Add(step.at)
			wantDecision(t, engine.Evaluate(asks(model, fixture.Encode(leaf)), at, nil), step.want)
			wantDecision(t, engine.Evaluate(asks(model, fixture.Encode(other)), at, nil), step.other)
		}
		if t.Failed() {
			t.Fatal(step.name)
		}
	}
}

func TestTheTraceTellsOfAListThatCountsByItsGraceAlone(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(forWhoeverIsTrusted))
	c.material = c.listed(t, 7, time.Hour)
	d := engineOf(t, c, model, nil).Evaluate(asks(model, c.partners.Client("leaf")), fixture.Noon.Add(time.Hour), nil)
	wantDecision(t, d, reason.Everyone)
	told := slices.ContainsFunc(d.Steps, func(s policy.Step) bool {
		return s.Name == policy.StepCertificate && strings.Contains(s.Detail, "the revocation list 7 of CN=partners ran out at 2030-01-02T13:00:00Z")
	})
	if !told {
		t.Errorf("steps %+v", d.Steps)
	}
}

func TestOneTruststoreWithoutAListHoldsNoOtherBack(t *testing.T) {
	c := newCallers(t)
	model := fixture.Model(t, policySpec(`{authenticate: {any_of: [{certificate: {truststores: [partners]}}, {certificate: {truststores: [others]}}]}, authorize: [{name: all, everyone: true}]}`))
	c.material = c.listed(t, 1, 0)
	engine := engineOf(t, c, model, nil)
	at := fixture.Noon.Add(90 * time.Minute)
	wantDecision(t, engine.Evaluate(asks(model, c.partners.Client("leaf")), at, nil), reason.RevocationUnavailable)
	wantDecision(t, engine.Evaluate(asks(model, c.others.Client("leaf")), at, nil), reason.Everyone)
	wantDecision(t, engine.Evaluate(asks(model, ""), at, nil), reason.CertificateMissing)
}
