package expiry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/authz/sightings"
)

// receiver is a webhook's other side, which can fail.
type receiver struct {
	mu     sync.Mutex
	fail   int // so many calls, with this status
	status int
	calls  []*http.Request
	bodies []string
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, call *http.Request) {
	body, _ := io.ReadAll(call.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls, r.bodies = append(r.calls, call), append(r.bodies, string(body))
	if r.fail > 0 {
		r.fail--
		if r.status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(r.status)
	}
}

// hook is a webhook to a receiver.
func hook(t *testing.T, to *receiver, secret string) *Webhook {
	t.Helper()
	server := httptest.NewServer(to)
	t.Cleanup(server.Close)
	webhook, err := NewWebhook(WebhookConfig{URL: server.URL + "/token-in-the-path", Secret: []byte(secret), Pause: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return webhook
}

// house is a watcher with a clock that a test moves.
type house struct {
	*Watcher
	now time.Time
	log bytes.Buffer
}

func watch(t *testing.T, webhook *Webhook, list ...sightings.Sighting) *house {
	t.Helper()
	h := &house{now: noon}
	sources := Sources{Sightings: func() []sightings.Sighting { return list }}
	watcher, err := NewWatcher(WatcherConfig{
		List: sources.List, Webhook: webhook, Clock: func() time.Time { return h.now },
		Logger: hclog.New(&hclog.LoggerOptions{Output: &h.log, JSONFormat: true}),
	})
	if err != nil {
		t.Fatal(err)
	}
	h.Watcher = watcher
	return h
}

// warnings are the days left of each line since the last call.
func (h *house) warnings(t *testing.T) []float64 {
	t.Helper()
	var days []float64
	for line := range strings.Lines(h.log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if left, ok := entry["days_left"].(float64); ok {
			days = append(days, left)
		}
	}
	h.log.Reset()
	return days
}

func TestEachStepIsToldOfOnce(t *testing.T) {
	h := watch(t, nil, sighting("mapps", "m", 100*day))
	for range 110 * 24 {
		h.look(t.Context())
		h.now = h.now.Add(time.Hour)
	}
	if got, want := h.warnings(t), []float64{60, 30, 14, 7, 1, 0}; !slices.Equal(got, want) {
		t.Errorf("warned with %v days left, want %v", got, want)
	}
}

func TestOneCertificateAtTwoGatewaysIsToldOfOnce(t *testing.T) {
	other := sighting("mapps", "m", day)
	other.Gateway = "second"
	h := watch(t, nil, sighting("mapps", "m", day), other)
	h.look(t.Context())
	if got := h.warnings(t); len(got) != 1 {
		t.Errorf("%d warnings", len(got))
	}
}

func TestAStartIsToldOfWhatIsUrgentAlready(t *testing.T) {
	h := watch(t, nil, sighting("mapps", "m", 5*day), sighting("nsp", "n", -day))
	h.look(t.Context())
	if got := h.warnings(t); !slices.Equal(got, []float64{-1, 5}) {
		t.Errorf("days left %v", got)
	}
}

func TestAWebhookIsToldOfAllAtOnceAndSigned(t *testing.T) {
	to := &receiver{}
	h := watch(t, hook(t, to, "secret"), sighting("mapps", "m", 5*day), sighting("nsp", "n", 20*day))
	h.look(t.Context())
	h.look(t.Context())
	if len(to.calls) != 1 {
		t.Fatalf("%d calls", len(to.calls))
	}
	var got notice
	if err := json.Unmarshal([]byte(strings.NewReplacer(`"7d"`, `1`, `"30d"`, `4`).Replace(to.bodies[0])), &got); err != nil {
		t.Fatal(err)
	}
	if got.Event != "expiring" || len(got.Certificates) != 2 || got.Certificates[0].Name != "mapps" || !got.Time.Equal(noon) {
		t.Errorf("%+v", got)
	}
	header := to.calls[0].Header
	if want := "sha256=" + sign([]byte("secret"), header.Get(TimestampHeader), []byte(to.bodies[0])); header.Get(SignatureHeader) != want {
		t.Errorf("signature %q, want %q", header.Get(SignatureHeader), want)
	}
}

func TestAWebhookIsCalledAgainWhereThatMayHelp(t *testing.T) {
	for name, test := range map[string]struct {
		status, fail, calls int
		done                bool
	}{
		"a fault that passes":   {http.StatusBadGateway, 2, 3, true},
		"a fault that stays":    {http.StatusServiceUnavailable, 9, 3, false},
		"too many":              {http.StatusTooManyRequests, 1, 2, true},
		"not wanted":            {http.StatusForbidden, 1, 1, false},
		"sent somewhere else":   {http.StatusFound, 1, 1, false},
		"taken at the first go": {0, 0, 1, true},
	} {
		to := &receiver{fail: test.fail, status: test.status}
		err := hook(t, to, "").Post(t.Context(), noon, []Row{{Name: "mapps"}})
		if (err == nil) != test.done || len(to.calls) != test.calls {
			t.Errorf("%s: %d calls, error %v", name, len(to.calls), err)
		}
		if to.calls[0].Header.Get(SignatureHeader) != "" {
			t.Errorf("%s: signed without a secret", name)
		}
	}
}

func TestAWebhookThatFailedIsToldAtTheNextLook(t *testing.T) {
	to := &receiver{fail: 3, status: http.StatusBadGateway}
	h := watch(t, hook(t, to, ""), sighting("mapps", "m", 5*day))
	h.look(t.Context())
	text := h.log.String()
	h.look(t.Context())
	if len(to.calls) != 4 || strings.Contains(text, "token-in-the-path") || !strings.Contains(text, "not told") {
		t.Errorf("%d calls; log %s", len(to.calls), text)
	}
	if got := h.warnings(t); len(got) != 1 {
		t.Errorf("%d warnings in the log", len(got))
	}
}

func TestAWebhookElsewhereMustBeEncrypted(t *testing.T) {
	for url, want := range map[string]bool{
		"https://alerts.example.org/x": true, "http://127.0.0.1:8080/": true, "http://localhost/": true,
		"http://alerts.example.org/": false, "ftp://alerts.example.org/": false, "alerts": false, "": false, "https://%zz": false,
	} {
		if _, err := NewWebhook(WebhookConfig{URL: url}); (err == nil) != want {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestAnErrorOfTheNetworkHidesTheURL(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	webhook, err := NewWebhook(WebhookConfig{URL: server.URL + "/token-in-the-path", Attempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := webhook.Post(t.Context(), noon, nil); err == nil || strings.Contains(err.Error(), "token") {
		t.Errorf("error %v", err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := webhook.Post(ended, noon, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
