package audit_test

import (
	"context"
	"testing"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/reason"
)

func TestAFollowerSeesWhatItsFilterAccepts(t *testing.T) {
	feed := audit.NewFeed()
	ctx, cancel := context.WithCancel(t.Context())
	denied := feed.Follow(ctx, audit.Filter{Denied: true})
	mapps := feed.Follow(ctx, audit.Filter{Consumer: "mapps"})
	for _, r := range []audit.Record{
		{Kind: audit.KindDecision, RequestID: "1", Allowed: true, Consumer: "mapps"},
		{Kind: audit.KindDecision, RequestID: "2", Consumer: "nsp", Reason: reason.PermissionMissing},
		{Kind: audit.KindHandshake, RequestID: "3", Reason: reason.CertificateExpired},
	} {
		if err := feed.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	for name, test := range map[string]struct {
		of   *audit.Following
		want string
	}{"denied": {denied, "23"}, "mapps": {mapps, "1"}} {
		got := ""
		for r := range test.of.Records() {
			got += r.RequestID
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestASlowFollowerMissesRecordsAndHoldsUpNobody(t *testing.T) {
	feed := audit.NewFeed()
	ctx, cancel := context.WithCancel(t.Context())
	slow := feed.Follow(ctx, audit.Filter{})
	for range 1000 {
		_ = feed.Record(audit.Record{})
	}
	cancel()
	got := uint64(0)
	for range slow.Records() {
		got++
	}
	if got == 0 || slow.Missed() == 0 || got+slow.Missed() != 1000 {
		t.Errorf("%d seen, %d missed", got, slow.Missed())
	}
}

func TestAFilterWantsEachOfItsFields(t *testing.T) {
	r := audit.Record{Kind: audit.KindDecision, Consumer: "mapps", Gateway: "edge", Reason: reason.PermissionMissing}
	for name, test := range map[string]struct {
		filter audit.Filter
		want   bool
	}{
		"all":             {audit.Filter{}, true},
		"everything fits": {audit.Filter{Denied: true, Consumer: "mapps", Gateway: "edge", Reason: "permission_missing", Kind: audit.KindDecision}, true},
		"consumer":        {audit.Filter{Consumer: "nsp"}, false},
		"gateway":         {audit.Filter{Gateway: "sidecar"}, false},
		"reason":          {audit.Filter{Reason: "everyone"}, false},
		"kind":            {audit.Filter{Kind: audit.KindHandshake}, false},
	} {
		if got := test.filter.Accepts(r); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
