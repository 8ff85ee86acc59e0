package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sallyport-project/sallyport/internal/serving"
)

// health answers /healthz (the process runs), /readyz (it has a configuration in force) and /metrics.
type health struct {
	listener net.Listener
	ready    func() error
	metrics  http.Handler
}

// Run serves until the context ends.
func (h *health) Run(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := h.ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", h.metrics)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return serving.HTTP(ctx, server, h.listener)
}
