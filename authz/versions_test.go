package authz_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// editedExample is a folder with the example, in which texts were replaced, each by the one that follows it.
func editedExample(t *testing.T, oldnew ...string) string {
	t.Helper()
	return edited(t, example, oldnew...)
}

// edited is a copy of a folder, in which texts were replaced.
func edited(t *testing.T, source string, oldnew ...string) string {
	t.Helper()
	folder := t.TempDir()
	files, err := filepath.Glob(source + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("files %v, error %v", files, err)
	}
	found := make(map[string]bool)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		for i := 0; i < len(oldnew); i += 2 {
			found[oldnew[i]] = found[oldnew[i]] || strings.Contains(text, oldnew[i])
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), []byte(strings.NewReplacer(oldnew...).Replace(text)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for old, is := range found {
		if !is {
			t.Fatalf("the example has no %q", old)
		}
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

func TestWhatIsNewerThanOursIsWaitedFor(t *testing.T) {
	for name, test := range map[string]struct{ old, replacement, rule string }{
		"a version of a policy": {listed, "consumers: [nsp]", "status"},
		"a rule":                {"name: status,", "name: state,", "state"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			now, newer := h.model, fixture.Load(t, editedExample(t, test.old, test.replacement))
			h.model = newer
			byNewRoute := h.statusAsked("nsp", "")
			byNewRoute.rule = test.rule
			check := h.check(byNewRoute)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			decided := make(chan *policy.Decision)
			go func() {
				_, decision, _ := h.Decide(ctx, "edge", check)
				decided <- decision
			}()
			h.Apply(now, h.material) // something else changes meanwhile
			select {
			case decision := <-decided:
				t.Errorf("decided for %s before it was known", decision.Reason)
			default:
			}
			h.Apply(newer, h.material)
			if decision := <-decided; decision.Reason != reason.ConsumerListed {
				t.Errorf("decided for %s (%s)", decision.Reason, decision.Detail)
			}
		})
	}
}

// strict gives the example's rule for /v1/status a policy that lets its partners in by their roles, of which none permits it.
func strict(t *testing.T) string {
	return editedExample(t, "policy: any-partner}", "policy: partners}")
}

func TestARuleThatIsGivenAStricterPolicyIsHeldToItByOldRoutesAsWell(t *testing.T) {
	h := newHouse(t)
	byOldRoute := h.check(h.statusAsked("mapps", ""))
	h.model = fixture.Load(t, strict(t))
	h.Apply(h.model, h.material)
	response, decision, err := h.Decide(t.Context(), "edge", byOldRoute)
	if err != nil || decision.Reason != reason.PermissionMissing || response.GetDeniedResponse().GetStatus().GetCode() != 403 {
		t.Errorf("%v, %s (%s), error %v", response, decision.Reason, decision.Detail, err)
	}
}

// hiding is a policy that lets one partner in, tells it apart by nothing, and hides everything from the others.
const hiding = `api_version: sallyport/v1
kind: Policy
metadata: {name: hiding}
spec:
  authenticate: {certificate: {truststores: [partners]}}
  authorize: [{name: known, consumers: [nsp]}]
  deny: {hide_as_not_found: true}
---
`

func TestTheAnswerIsThatOfThePolicyThatTheRuleHasNow(t *testing.T) {
	h := newHouse(t)
	refused, allowed := h.check(h.statusAsked("mapps", "")), h.check(h.statusAsked("nsp", ""))
	const everyone = "# Everyone, with a certificate or without.\n"
	h.model = fixture.Load(t, editedExample(t, "policy: any-partner}", "policy: hiding}", everyone, hiding))
	h.Apply(h.model, h.material)
	response, _, err := h.Decide(t.Context(), "edge", refused)
	if status := response.GetDeniedResponse().GetStatus().GetCode(); err != nil || status != 404 {
		t.Errorf("status %d, error %v: that there is something is not hidden", status, err)
	}
	response, _, err = h.Decide(t.Context(), "edge", allowed)
	if ok := response.GetOkResponse(); err != nil || len(ok.GetHeaders()) > 0 || !slices.Contains(ok.GetHeadersToRemove(), "x-consumer") {
		t.Errorf("answered %v, error %v", response, err)
	}
}

func TestARuleThatWasRemovedIsDeniedOnceProxiesHaveHadTimeToFollow(t *testing.T) {
	h := newHouse(t)
	decide := func(check *authv3.CheckRequest, want reason.Reason) {
		t.Helper()
		if _, decision, err := h.Decide(t.Context(), "edge", check); err != nil || decision.Reason != want {
			t.Errorf("%s (%s), error %v, want %s", decision.Reason, decision.Detail, err, want)
		}
	}
	byOldRoute := h.check(h.statusAsked("nsp", ""))
	without := fixture.Load(t, editedExample(t, "name: status,", "name: state,"))
	h.Apply(without, h.material)
	decide(byOldRoute, reason.ConsumerListed)
	h.clock.advance(10 * time.Second)
	decide(byOldRoute, reason.RuleRemoved)
	h.Apply(without, h.material) // new material does not begin it anew
	decide(byOldRoute, reason.RuleRemoved)
	h.Apply(h.model, h.material)
	decide(byOldRoute, reason.ConsumerListed)
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
