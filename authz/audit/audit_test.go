package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
)

func denial() audit.Record {
	d := policy.Deny(&request.Request{
		Context: request.Context{Gateway: "edge", Policy: "partners"}, ID: "id-1", Method: "GET", Path: "/v1/persons/1/alerts", Query: "secret=1",
	}, policy.StepDefault, reason.PermissionMissing, `no role of "nsp" permits it`)
	d.Consumer, d.Certificate = "nsp", &identity.Certificate{Subject: "CN=nsp", SHA256: "ab"}
	d.Steps[0].Origin = config.Origin{File: "policies.yaml", Line: 3, Column: 1}
	return audit.NewRecord(d, audit.Circumstances{Time: fixture.Noon, Duration: 3 * time.Microsecond, Status: 404, Asker: "edge"})
}

// give hands a record to a sink that must not refuse it.
func give(t *testing.T, sink audit.Sink, r audit.Record) {
	t.Helper()
	if err := sink.Record(r); err != nil {
		t.Error(err)
	}
}

func TestARecordHoldsTheDecisionAndNoQuery(t *testing.T) {
	encoded, err := json.Marshal(denial())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(encoded, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"request_id": "id-1", "allowed": false, "status": 404., "reason": "permission_missing", "consumer": "nsp",
		"gateway": "edge", "certificate_sha256": "ab", "path": "/v1/persons/1/alerts", "duration_ns": 3000., "asker": "edge",
	} {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if !strings.Contains(string(encoded), `"origin":"policies.yaml:3:1"`) {
		t.Errorf("no origin in %s", encoded)
	}
	if strings.Contains(string(encoded), "secret") {
		t.Error("the query is in the record")
	}
	if step := denial().Steps[0]; step.Origin.String() != "policies.yaml:3:1" || step.Outcome != policy.Denies {
		t.Errorf("step %+v", step)
	}
}

func TestARecordTellsOfTheTokenAndNeverTheToken(t *testing.T) {
	d := &policy.Decision{
		Request: &request.Request{ID: "id-2", Method: "GET", Path: "/vessels"}, Allowed: true, Reason: reason.ScopeHeld, Detail: "let in",
		Token: &bearer.Token{
			Provider: &config.Provider{Header: config.Header{Name: "corporate"}}, Issuer: "https://login.example.org", Subject: "alice", ClientID: "app",
			ID: "jti-1", Expires: fixture.Noon, Raw: "secret.secret.secret", Claims: map[string]any{"email": "secret@example.org"},
		},
		Shadow: []policy.ShadowVerdict{{Policy: "vessels", Rule: "tight", Reason: reason.ScopeMissing}},
	}
	record := audit.NewRecord(d, audit.Circumstances{Time: fixture.Noon, Status: 200, Onward: "exchange", OnwardProvider: "corporate"})
	encoded, err := json.Marshal(record)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"token_provider":"corporate"`, `"token_issuer":"https://login.example.org"`, `"token_subject":"alice"`, `"token_client_id":"app"`, `"token_id":"jti-1"`,
		`"token_expires":"2030-01-02T12:00:00Z"`, `"onward":"exchange"`, `"onward_provider":"corporate"`,
		`"shadow":[{"policy":"vessels","rule":"tight","would_allow":false,"reason":"scope_missing"}]`,
	} {
		if !strings.Contains(string(encoded), want) {
			t.Errorf("no %s in %s", want, encoded)
		}
	}
	var out bytes.Buffer
	give(t, audit.Log{Logger: hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true})}, record)
	if !strings.Contains(out.String(), `"token_subject":"alice"`) || !strings.Contains(out.String(), "vessels/tight would deny: scope_missing") {
		t.Errorf("logged %s", out.String())
	}
	if strings.Contains(string(encoded)+out.String(), "secret") {
		t.Errorf("the token is in %s or %s", encoded, out.String())
	}
	if got, want := record.Line(), "200 GET /vessels  corporate:alice  scope_held: let in"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	d.Allowed = false
	if denied := audit.NewRecord(d, audit.Circumstances{Onward: "exchange"}); denied.Onward != "" {
		t.Error("something went on with a request that did not")
	}
}

func TestALineIsOneLineWhateverTheCallerWrote(t *testing.T) {
	record := denial()
	if got, want := record.Line(), `edge  404 GET /v1/persons/1/alerts  nsp  permission_missing: no role of "nsp" permits it`; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
	record.Path = "/a\nb\x1b[31m\u202e"
	if line := record.Line(); strings.ContainsAny(line, "\n\x1b\u202e") {
		t.Errorf("line %q", line)
	}
}

func TestTheLogHasTheCallersTextInFieldsAlone(t *testing.T) {
	var out bytes.Buffer
	log := audit.Log{Logger: hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true})}
	record := denial()
	record.Path = "/forged\n{\"allowed\":true}"
	give(t, log, record)
	var entry map[string]any
	if err := json.Unmarshal(out.Bytes(), &entry); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	if entry["@message"] != "decision" || entry["path"] != record.Path || entry["@level"] != "info" {
		t.Errorf("entry %v", entry)
	}
	out.Reset()
	record.Reason = reason.Internal
	give(t, log, record)
	if !strings.Contains(out.String(), `"@level":"warn"`) {
		t.Errorf("our own fault is logged as %s", out.String())
	}
}

func TestTheRingKeepsTheLastRecordsOfARequest(t *testing.T) {
	ring := audit.NewRing(3)
	for i := range 5 {
		give(t, ring, audit.Record{RequestID: "id-" + strconv.Itoa(i%2), Status: i})
	}
	found := ring.Find("id-0")
	if len(found) != 2 || found[0].Status != 2 || found[1].Status != 4 {
		t.Errorf("found %+v", found)
	}
}

func TestAwaitSeesARecordThatComesLater(t *testing.T) {
	ring := audit.NewRing(3)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	found := make(chan bool)
	go func() {
		_, ok := ring.Await(ctx, func(r audit.Record) bool { return r.RequestID == "later" })
		found <- ok
	}()
	give(t, ring, audit.Record{RequestID: "other"})
	give(t, ring, audit.Record{RequestID: "later"})
	if !<-found {
		t.Error("the record was not seen")
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, ok := ring.Await(ended, func(audit.Record) bool { return false }); ok {
		t.Error("a record was found that is not there")
	}
}

func TestSinksHandRecordsOnInOrder(t *testing.T) {
	var order []int
	sink := func(i int) audit.Sink { return audit.SinkFunc(func(audit.Record) { order = append(order, i) }) }
	give(t, audit.Sinks{sink(1), sink(2)}, audit.Record{})
	if len(order) != 2 || order[0] != 1 {
		t.Errorf("order %v", order)
	}
}
