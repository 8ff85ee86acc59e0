package question_test

import (
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/question"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// How much the property test asks: in groups that run side by side.
const (
	groups           = 5
	worldsOfAGroup   = 25
	requestsOfAWorld = 80
)

// TestAnswersAgreeWithCheck asks about random requests in random models. Whatever is answered of a hypothetical caller must be
// what the authorization service decides about the same request when it comes with a real certificate.
func TestAnswersAgreeWithCheck(t *testing.T) {
	const garbage = 400 // percent; there is much of it, and little that stays
	defer debug.SetGCPercent(debug.SetGCPercent(garbage))
	var mu sync.Mutex
	seen := map[string]int{}
	asked := uint64(groups)
	if testing.Short() {
		asked = 1
	}
	t.Run("groups", func(t *testing.T) {
		for group := range asked {
			t.Run(strconv.FormatUint(group, 10), func(t *testing.T) {
				t.Parallel()
				found := map[string]int{}
				for seed := range uint64(worldsOfAGroup) {
					newWorld(t, group*worldsOfAGroup+seed).judge(found)
				}
				mu.Lock()
				defer mu.Unlock()
				for verdict, times := range found {
					seen[verdict] += times
				}
			})
		}
	})
	for of, least := range map[string]int{"explain": 10, "explain a token": 4, "who-can": 10, "who-can with a token": 10, "can": 10} {
		for _, verdict := range []string{question.Allowed, question.Conditional, question.Denied} {
			if seen[of+" "+verdict] < least*int(asked) {
				t.Errorf("only %d answers of %s were %s: the test tests little", seen[of+" "+verdict], of, verdict)
			}
		}
	}
	t.Log(seen)
}

// bearerOfWorld is somebody with a token, the same for all requests of a world but for what nobody has told.
const bearerOfWorld = "the bearer of the world"

// judge holds the answers about random requests against what is decided, and counts verdicts.
func (w *world) judge(seen map[string]int) {
	answers := question.New(question.Config{Model: w.model, Material: w.material, Clock: clock})
	grants := map[string]*adminv1.CanResponse{}
	for _, c := range w.model.Consumers() {
		can, err := answers.Can(w.t.Context(), &adminv1.CanRequest{Consumer: c.Name})
		if err != nil {
			w.t.Fatal(err)
		}
		grants[c.Name] = can
	}
	presumed := w.presumedToken()
	ofToken, err := answers.Can(w.t.Context(), &adminv1.CanRequest{AsToken: presumed})
	if err != nil {
		w.t.Fatal(err)
	}
	for range requestsOfAWorld {
		trial := w.trial()
		trial.explain(answers, seen)
		trial.whoCan(answers, seen)
		for _, c := range w.model.Consumers() {
			trial.can(c.Name, grants[c.Name], seen)
		}
		trial.shown[bearerOfWorld] = []shown{w.sign(presumed)}
		trial.can(bearerOfWorld, ofToken, seen)
		if w.t.Failed() {
			w.t.Fatalf("seed %d, %s\n%s", w.seed, trial.inquiry, strings.Join(w.documents, "\n---\n"))
		}
	}
}
