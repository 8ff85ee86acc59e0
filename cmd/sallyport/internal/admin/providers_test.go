package admin

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/config"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func TestStatusTellsHowItStandsWithProviders(t *testing.T) {
	documents, complete, _ := config.Decode([]config.File{{Path: "providers.yaml", Data: []byte(`api_version: sallyport/v1
kind: Provider
metadata: {name: corporate}
spec: {issuers: ["https://login.example.org", "https://old.example.org"], audiences: [vessels]}
---
api_version: sallyport/v1
kind: Provider
metadata: {name: partners}
spec: {issuers: ["https://partners.example.org"], audiences: [vessels]}
`)}})
	model, problems := config.Build(documents, complete)
	if model == nil {
		t.Fatal(problems.Errors())
	}
	noon := time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)
	states := providerStates(model, tokens.States{
		KeySets: []keyset.State{
			{Name: "corporate", KeyIDs: []string{"one"}, Next: noon.Add(time.Minute), Since: noon, Set: keyset.Set{Problem: "the connection failed"}},
			{Name: "gone"},
		},
		Acquired: []propagation.State{{Provider: "corporate", Expires: noon.Add(time.Hour)}, {Provider: "gone"}},
	})
	if len(states) != 2 || states[0].GetName() != "corporate" || states[1].GetName() != "partners" {
		t.Fatalf("states %v", states)
	}
	corporate := states[0]
	if corporate.GetIssuer() != "https://login.example.org" || corporate.GetProblem() != "the connection failed" || corporate.GetFetched() != nil ||
		!corporate.GetNext().AsTime().Equal(noon.Add(time.Minute)) || len(corporate.GetAcquired()) != 1 || !corporate.GetAcquired()[0].GetExpires().AsTime().Equal(noon.Add(time.Hour)) {
		t.Errorf("state %v", corporate)
	}
	if states[1].GetIssuer() != "https://partners.example.org" || states[1].GetAcquired() != nil {
		t.Errorf("state %v", states[1])
	}
}

func TestWhatIsRememberedOfRulesOnTrialIsToldAndEnds(t *testing.T) {
	ring := audit.NewRing(10)
	for id, tried := range map[string]bool{"1": true, "2": false, "3": true} {
		r := audit.Record{Kind: audit.KindDecision, RequestID: id}
		if tried {
			r.Shadow = []audit.Shadow{{Policy: "writers", Rule: "strict", WouldAllow: true}}
		}
		if err := ring.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream := tailing(ctx, t, &Audit{Feed: audit.NewFeed(), Ring: ring}, &adminv1.TailAuditRequest{Last: 10, Shadow: true, RememberedOnly: true})
	got := 0
	for {
		record, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got++
		if !strings.Contains(record.GetJson(), `"shadow":[{"policy":"writers"`) {
			t.Errorf("record %s", record.GetJson())
		}
	}
	if got != 2 {
		t.Errorf("%d records, want 2", got)
	}
}
