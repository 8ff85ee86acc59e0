package identity_test

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/register"
)

// index is the published index of an authority's register.
func (a *rawAuthority) index(t testing.TB, known ...*x509.Certificate) *register.Index {
	t.Helper()
	var sums []string
	for _, certificate := range known {
		sum := sha256.Sum256(certificate.Raw)
		sums = append(sums, hex.EncodeToString(sum[:]))
	}
	data, err := register.SignIndex(register.Publication{
		Number: 1, ThisUpdate: fixture.Noon, NextUpdate: fixture.Noon.Add(time.Hour), Head: register.Head{Hash: strings.Repeat("a", 64)},
	}, sums, a.key)
	if err != nil {
		t.Fatal(err)
	}
	index, err := register.ParseIndex(data, []*x509.Certificate{a.certificate})
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// registers has a truststore ask registers, and refuse those whom none knows if demanded.
func registers(store *inventory.Truststore, demanded bool, indexes ...*register.Index) *inventory.Truststore {
	store.Issuance.Registered = demanded
	for _, index := range indexes {
		store.Issuance.Registers = append(store.Issuance.Registers, inventory.RegisterState{Index: index})
	}
	return store
}

func TestARegisterDecidesWhereItIsDemanded(t *testing.T) {
	root, other := newRawAuthority(t, nil), newRawAuthority(t, nil)
	known, unknown := root.leaf(t, 7, nil), root.leaf(t, 8, nil)
	index := root.index(t, known)
	for name, test := range map[string]struct {
		leaf     *x509.Certificate
		demanded bool
		indexes  []*register.Index
		want     reason.Reason
	}{
		"known":                              {known, true, []*register.Index{index}, ""},
		"known to one of several":            {known, true, []*register.Index{root.index(t), index}, ""},
		"unknown":                            {unknown, true, []*register.Index{index}, reason.CertificateUnregistered},
		"unknown where it is not demanded":   {unknown, false, []*register.Index{index}, ""},
		"there is no register":               {known, true, nil, reason.RegisterUnavailable},
		"there is another authority's alone": {known, true, []*register.Index{other.index(t, known)}, reason.RegisterUnavailable},
		"nobody asks":                        {unknown, false, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := registers(truststore("raw", name, root), test.demanded, test.indexes...)
			wantReason(t, identity.Presented{Certificate: fixture.Encode(test.leaf)}, store, 0, test.want)
		})
	}
	t.Run("revoked and unknown", func(t *testing.T) {
		store := require(t, registers(truststore("raw", "both", root), true, index), root.list(t, 1, current, 8))
		wantReason(t, identity.Presented{Certificate: fixture.Encode(unknown)}, store, 0, reason.CertificateRevoked)
	})
}

func TestAnUnregisteredCertificateRaisesAnAlarmOnceInAWhile(t *testing.T) {
	root, stranger := newRawAuthority(t, nil), newRawAuthority(t, nil)
	known, unknown := root.leaf(t, 7, nil), root.leaf(t, 8, nil)
	for _, demanded := range []bool{false, true} {
		var alarms []identity.Alarm
		verifier, err := identity.NewVerifier(identity.Config{CacheSize: 1, Unregistered: func(a identity.Alarm) { alarms = append(alarms, a) }})
		if err != nil {
			t.Fatal(err)
		}
		trust := trusting([]string{"raw"}, registers(truststore("raw", "x", root), demanded, root.index(t, known)))
		present := func(leaf *x509.Certificate, at time.Duration) {
			verifier.Verify(identity.Presented{Certificate: fixture.Encode(leaf)}, trust, fixture.Noon.Add(at))
		}
		for range 3 { // a cache of one certificate forgets each time
			present(unknown, 0)
			present(known, 0)
			present(stranger.leaf(t, 9, nil), 0)
		}
		if len(alarms) != 1 || alarms[0].Truststore != "raw" || alarms[0].Refused != demanded || alarms[0].Certificate.Subject != "CN=leaf-8" {
			t.Errorf("alarms %+v", alarms)
		}
		present(unknown, identity.AlarmInterval-1)
		present(known, 0)
		present(unknown, identity.AlarmInterval)
		if len(alarms) != 2 {
			t.Errorf("%d alarms after an interval", len(alarms))
		}
	}
}
