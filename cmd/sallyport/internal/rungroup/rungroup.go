// Package rungroup runs the parts of a process together: all of them, or none.
package rungroup

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// Group is a set of parts, each a Run function that lives until its context ends. The zero Group is empty.
type Group struct {
	parts []part
}

type part struct {
	name string
	run  func(context.Context) error
}

// Add adds a part. Its function must return soon after its context has ended, and not before unless it failed.
func (g *Group) Add(name string, run func(context.Context) error) {
	g.parts = append(g.parts, part{name, run})
}

// Run runs all parts until the context ends or the first of them returns or panics; then it ends the others and waits for
// them. The error names the part that ended first, and is nil where the context did. Parts that fail while they are being
// ended are reported as well.
func (g *Group) Run(ctx context.Context) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		mu     sync.Mutex
		failed []error
		wait   sync.WaitGroup
	)
	for _, p := range g.parts {
		wait.Go(func() {
			err := p.guarded(within)
			if err == nil && within.Err() == nil {
				err = errors.New("ended without being asked to")
			}
			cancel()
			if err != nil && !errors.Is(err, context.Canceled) {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("%s: %w", p.name, err))
			}
		})
	}
	wait.Wait()
	return errors.Join(failed...)
}

// guarded runs a part and turns a panic into an error, so that the others still end in order.
func (p part) guarded(ctx context.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return p.run(ctx)
}
