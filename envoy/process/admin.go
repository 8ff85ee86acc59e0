package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// adminTimeout bounds one question to the admin interface, which Envoy's main thread answers.
	adminTimeout = 10 * time.Second
	// largestAnswer bounds one answer, in bytes: a dump of ten thousand clusters has some tens of megabytes.
	largestAnswer = 256 << 20
	// shortestPause and longestPause bound the time between two looks at readiness.
	shortestPause = 5 * time.Millisecond
	longestPause  = 200 * time.Millisecond
)

// Admin is a client of one Envoy's admin interface. It is safe for use by several goroutines, and holds no connection
// between questions, so that it survives an Envoy that is replaced behind the same socket.
type Admin struct {
	socket string
	client *http.Client
}

// NewAdmin returns a client for the admin interface on a Unix socket. Nothing is connected yet.
func NewAdmin(socket string) *Admin {
	dialer := &net.Dialer{}
	return &Admin{socket: socket, client: &http.Client{
		Timeout: adminTimeout,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			},
		},
	}}
}

// Ready returns nil if Envoy is live now: it has started, has what it waited for from the control plane (or has given
// up waiting), listens, and is not draining.
func (a *Admin) Ready(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodGet, "/ready", nil)
	return err
}

// WaitReady looks until Ready is nil, in growing steps of at most 200 ms. When ctx ends first, the error holds ctx's
// and what kept Envoy from being ready at the last look. It does not know when the process has died: end ctx with it.
func (a *Admin) WaitReady(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the envoy at %s to be ready: %w", a.socket, errors.Join(ctx.Err(), last))
		case <-timer.C:
		}
		err := a.Ready(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil {
			last = err
		}
		timer.Reset(pause)
	}
}

// Ready waits until the Envoy whose admin interface is on the Unix socket is live, or ctx ends: see Admin.WaitReady.
func Ready(ctx context.Context, adminSocket string) error {
	return NewAdmin(adminSocket).WaitReady(ctx)
}

// ConfigDump returns the configuration that Envoy runs with, endpoints included, as JSON. Envoy has redacted private
// keys in it.
func (a *Admin) ConfigDump(ctx context.Context) ([]byte, error) {
	return a.ask(ctx, http.MethodGet, "/config_dump", url.Values{"include_eds": {""}})
}

// Stats returns counters and gauges by name. The filter is a regular expression (RE2) that a name must contain a match
// of; empty means all. A statistic that was never written may be missing.
func (a *Admin) Stats(ctx context.Context, filter string) (map[string]uint64, error) {
	query := url.Values{"format": {"json"}}
	if filter != "" {
		query.Set("filter", filter)
	}
	answer, err := a.ask(ctx, http.MethodGet, "/stats", query)
	if err != nil {
		return nil, err
	}
	var document struct {
		Stats []struct {
			Name  string          `json:"name"`
			Value json.RawMessage `json:"value"`
		} `json:"stats"`
	}
	if err := json.Unmarshal(answer, &document); err != nil {
		return nil, fmt.Errorf("read the statistics of the envoy at %s: %w", a.socket, err)
	}
	stats := make(map[string]uint64, len(document.Stats))
	for _, stat := range document.Stats {
		var value uint64
		// Histograms have no name here, and text readouts no number.
		if stat.Name != "" && json.Unmarshal(stat.Value, &value) == nil {
			stats[stat.Name] = value
		}
	}
	return stats, nil
}

// DrainListeners has Envoy discourage further requests on open connections (`connection: close`, GOAWAY), and close its
// listeners when the drain time is over.
func (a *Admin) DrainListeners(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodPost, "/drain_listeners", url.Values{"graceful": {""}})
	return err
}

// Quit has Envoy end with status 0. For a Process that runs, that is an end which nobody asked for: end its context
// instead.
func (a *Admin) Quit(ctx context.Context) error {
	_, err := a.ask(ctx, http.MethodPost, "/quitquitquit", nil)
	return err
}

func (a *Admin) ask(ctx context.Context, method, path string, query url.Values) ([]byte, error) {
	target := url.URL{Scheme: "http", Host: "envoy", Path: path, RawQuery: query.Encode()}
	request, err := http.NewRequestWithContext(ctx, method, target.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask the envoy at %s for %s: %w", a.socket, path, err)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the envoy at %s for %s: %w", a.socket, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, largestAnswer))
	if err != nil {
		return nil, fmt.Errorf("read what the envoy at %s answers to %s: %w", a.socket, path, err)
	}
	if response.StatusCode != http.StatusOK {
		const shown = 200
		text := strings.TrimSpace(string(body[:min(len(body), shown)]))
		return nil, fmt.Errorf("the envoy at %s answers %s with %d: %s", a.socket, path, response.StatusCode, text)
	}
	return body, nil
}
