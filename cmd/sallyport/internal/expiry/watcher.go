package expiry

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"
)

// WatcherConfig is what a Watcher needs.
type WatcherConfig struct {
	// List returns what ends, usually Sources.List. Required.
	List func(now time.Time) []Row
	// Logger gets the warnings. Required.
	Logger hclog.Logger
	// Webhook, if not nil, is told as well.
	Webhook *Webhook
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Interval between looks; one hour if zero. What lives shorter than a few of them is not told of in time.
	Interval time.Duration
}

// Watcher tells of each thing that ends at 60, 30, 14, 7 and 1 days and when it has ended, once each. It begins anew in each
// process.
type Watcher struct {
	config WatcherConfig
	// told and posted are the urgencies that were told of last, by Row.id.
	told, posted map[string]Urgency
}

// NewWatcher makes a watcher.
func NewWatcher(config WatcherConfig) (*Watcher, error) {
	if config.List == nil || config.Logger == nil || config.Interval < 0 {
		return nil, errors.New("expiry: a watcher needs a list and a logger, and no negative interval")
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Interval == 0 {
		config.Interval = time.Hour
	}
	return &Watcher{config: config, told: map[string]Urgency{}, posted: map[string]Urgency{}}, nil
}

// Run looks until the context ends, and then returns nil.
func (w *Watcher) Run(ctx context.Context) error {
	ticker := time.NewTicker(w.config.Interval)
	defer ticker.Stop()
	for {
		w.look(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// look tells of what has become more urgent since the last look.
func (w *Watcher) look(ctx context.Context) {
	now := w.config.Clock()
	rows := w.config.List(now)
	for _, r := range news(rows, w.told) {
		w.warn(r, now)
	}
	if w.config.Webhook == nil {
		return
	}
	fresh := news(rows, w.posted)
	if len(fresh) == 0 {
		return
	}
	if err := w.config.Webhook.Post(ctx, now, fresh); err != nil && ctx.Err() == nil {
		w.config.Logger.Warn("the webhook was not told of what ends soon; the next look tries again", "host", w.config.Webhook.Host(), "error", err)
		for _, r := range fresh {
			delete(w.posted, r.id()) // so that it is told again
		}
	}
}

// news are the rows that have become more urgent than they were told of, each certificate once. It notes them as told, and
// forgets what is gone.
func news(rows []Row, told map[string]Urgency) []Row {
	var fresh []Row
	there := make(map[string]bool, len(rows))
	for _, r := range rows {
		id := r.id()
		there[id] = true
		if r.Superseded || r.Urgency == Later {
			continue
		}
		if before, known := told[id]; known && before <= r.Urgency {
			continue
		}
		told[id] = r.Urgency
		fresh = append(fresh, r)
	}
	for id := range told {
		if !there[id] {
			delete(told, id)
		}
	}
	return fresh
}

func (w *Watcher) warn(r Row, now time.Time) {
	message := r.title() + " ends soon"
	if r.Urgency == Ended {
		message = r.title() + " has ended"
	}
	fields := []any{"kind", string(r.Kind), "name", r.Name, "not_after", r.NotAfter.UTC().Format(time.RFC3339), "days_left", daysLeft(r.NotAfter, now)}
	for _, field := range [...]struct{ key, value string }{
		{"gateway", r.Gateway}, {"consumer", r.Consumer}, {"issuer", r.Issuer}, {"serial", r.Serial}, {"sha256", r.SHA256},
	} {
		if field.value != "" {
			fields = append(fields, field.key, field.value)
		}
	}
	w.config.Logger.Warn(message, fields...)
}

// daysLeft are whole days, negative after the end.
func daysLeft(end, now time.Time) int { return int(end.Sub(now).Hours() / 24) }
