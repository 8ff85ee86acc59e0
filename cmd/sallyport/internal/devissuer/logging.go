package devissuer

import (
	"context"
	"log/slog" //nolint:depguard // the library logs by slog alone; here it becomes hclog

	"github.com/hashicorp/go-hclog"
)

// slogHandler passes what the library logs on to hclog: a request that was refused as a warning, routine as a trace. The
// library logs no token and no secret, but only the error that it answers with.
type slogHandler struct {
	logger hclog.Logger
}

// Enabled is part of slog.Handler.
func (h slogHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle is part of slog.Handler.
func (h slogHandler) Handle(_ context.Context, record slog.Record) error {
	var pairs []any
	record.Attrs(func(attribute slog.Attr) bool {
		pairs = append(pairs, attribute.Key, attribute.Value.Resolve().String())
		return true
	})
	level := hclog.Trace
	switch {
	case record.Level >= slog.LevelError:
		level = hclog.Error
	case record.Level >= slog.LevelWarn:
		level = hclog.Warn
	}
	h.logger.Log(level, record.Message, pairs...)
	return nil
}

// WithAttrs is part of slog.Handler.
func (h slogHandler) WithAttrs(attributes []slog.Attr) slog.Handler {
	logger := h.logger
	for _, attribute := range attributes {
		logger = logger.With(attribute.Key, attribute.Value.Resolve().String())
	}
	return slogHandler{logger: logger}
}

// WithGroup is part of slog.Handler. The library uses none.
func (h slogHandler) WithGroup(string) slog.Handler { return h }

func slogTo(logger hclog.Logger) *slog.Logger { return slog.New(slogHandler{logger: logger}) }
