// Package process finds an Envoy binary, runs it as a child, and speaks to its admin interface over a Unix socket.
//
// It owns the life of the child: its arguments, its log, its end. It never writes configuration (package bootstrap
// does), never restarts an Envoy that died (the caller's run group decides), and reaches an admin interface only by
// Unix socket.
package process
