package authz_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// editedExample is a folder with the example, in which a text was replaced by another.
func editedExample(t *testing.T, old, replacement string) string {
	t.Helper()
	folder := t.TempDir()
	files, err := filepath.Glob(example + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, error %v", files, err)
	}
	found := false
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		found = found || strings.Contains(text, old)
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), []byte(strings.ReplaceAll(text, old, replacement)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if !found {
		t.Fatalf("the example has no %q", old)
	}
	return folder
}

// oldVersion is the version of a policy in the example as it stands.
func oldVersion(t *testing.T, name string) string {
	t.Helper()
	return fixture.Load(t, example).Policy(name).Version
}

// statusAsked asks for /v1/status by a route that was made with a version of its policy.
func (h *house) statusAsked(consumer, version string) ask {
	a := persons(h.partners.Client(consumer))
	a.rule, a.path, a.version = "status", "/v1/status", version
	return a
}

const listed = "consumers: [mapps, nsp, event-service]"

func TestATightenedPolicyHoldsAtOnceAndALoosenedOneWaitsForTheRoute(t *testing.T) {
	h := newHouse(t)
	before := oldVersion(t, "any-partner")

	h.model = fixture.Load(t, editedExample(t, listed, "consumers: [nsp]"))
	h.Apply(h.model, h.material)
	h.want(h.statusAsked("mapps", before), reason.NotAuthorized)
	h.want(h.statusAsked("nsp", before), reason.ConsumerListed)

	tight := h.model.Policy("any-partner").Version
	h.model = fixture.Load(t, example)
	h.Apply(h.model, h.material)
	h.want(h.statusAsked("mapps", tight), reason.NotAuthorized)
	h.want(h.statusAsked("mapps", before), reason.ConsumerListed)
}

func TestAnOldVersionIsKeptForItsGraceAndAsLongAsItIsInUse(t *testing.T) {
	for name, test := range map[string]struct {
		inUse bool
		after time.Duration
		want  reason.Reason
	}{
		"within the grace":             {false, authz.DefaultGrace - 1, reason.ConsumerListed},
		"after the grace":              {false, authz.DefaultGrace, reason.PolicyUnknown},
		"after the grace, and in use":  {true, 100 * authz.DefaultGrace, reason.ConsumerListed},
		"within the grace, and in use": {true, 0, reason.ConsumerListed},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, func(c *authz.Config) { c.InUse = func(string, string) bool { return test.inUse } })
			before := oldVersion(t, "any-partner")
			h.model = fixture.Load(t, editedExample(t, listed, "consumers: [nsp]"))
			h.Apply(h.model, h.material)
			h.clock.advance(test.after)
			old := h.statusAsked("nsp", before)
			old.certificate = h.partners.Client("nsp", fixture.Valid(0, 1000*time.Hour))
			h.want(old, test.want)
			h.Apply(h.model, h.material) // forgets what may be forgotten
			h.want(old, test.want)
		})
	}
}

func TestAPolicyThatIsNewerThanOursIsWaitedFor(t *testing.T) {
	h := newHouse(t)
	newer := fixture.Load(t, editedExample(t, listed, "consumers: [nsp]"))
	check := h.check(h.statusAsked("nsp", newer.Policy("any-partner").Version))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	decided := make(chan *policy.Decision)
	go func() {
		_, decision, _ := h.Decide(ctx, "edge", check)
		decided <- decision
	}()
	h.Apply(h.model, h.material) // something else changes meanwhile
	select {
	case decision := <-decided:
		t.Errorf("decided for %s before the policy was known", decision.Reason)
	default:
	}
	h.Apply(newer, h.material)
	if decision := <-decided; decision.Reason != reason.ConsumerListed {
		t.Errorf("decided for %s (%s)", decision.Reason, decision.Detail)
	}
}

func TestAPolicyThatNeverComesIsOurFaultWithinTheDeadline(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	h.wantWithin(ctx, h.statusAsked("nsp", "ffff"), reason.PolicyUnknown)
}

func TestNothingIsDecidedWithoutTime(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h.wantWithin(ctx, persons(h.partners.Client("mapps")), reason.Deadline)
}

func TestNothingPassesBeforeThereIsAConfiguration(t *testing.T) {
	h := newHouse(t)
	empty, err := authz.New(authz.Config{Sink: h.ring, Clock: h.clock.Now, Identify: nobody})
	if err != nil {
		t.Fatal(err)
	}
	if empty.Ready() {
		t.Error("an empty service is ready")
	}
	h.Service = empty
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	h.wantWithin(ctx, persons(h.partners.Client("mapps")), reason.PolicyUnknown)
}
