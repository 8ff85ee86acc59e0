package identity_test

import (
	"testing"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/pki/revocation"
)

func TestAForgottenListRefusesAlsoWhereNoneIsRequired(t *testing.T) {
	root := newRawAuthority(t, nil)
	one := root.below(t, "one", nil)
	presented := sent(one.leaf(t, 7, nil), one)
	gaps := revocation.Gaps{Of: []revocation.Gap{one.list(t, 5, current, 7).Gap()}}
	for name, test := range map[string]struct {
		mode inventory.RevocationMode
		gaps revocation.Gaps
		want reason.Reason
	}{
		"none is required, and none was there": {inventory.RevocationWhenPresent, revocation.Gaps{}, ""},
		"none is required, and one was there":  {inventory.RevocationWhenPresent, gaps, reason.RevocationUnavailable},
		"one is required":                      {inventory.RevocationRequired, gaps, reason.RevocationUnavailable},
		"lists are not asked":                  {inventory.RevocationOff, gaps, ""},
	} {
		t.Run(name, func(t *testing.T) {
			store := fromCaller(require(t, truststore("raw", name, root), root.list(t, 1, current)), 1)
			store.Revocation.Mode, store.Revocation.Lists = test.mode, store.Revocation.Lists.WithGaps(test.gaps)
			wantReason(t, presented, store, 0, test.want)
		})
	}
}
