// Package pipeline carries a configuration all the way, from documents to what the parts of the process use:
//
//	documents → Model → material → authorization engine, and resources for each group of proxies → lint → snapshot
//
// A revision is taken whole or not at all: one that has errors changes nothing. A change of material alone compiles
// secrets anew and leaves the Model as it is. The package decides nothing itself; it calls those who do, in order.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/directory"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Authorizer decides by the model and material that it was given last.
type Authorizer interface {
	Apply(*config.Model, *inventory.Snapshot)
}

// Publisher hands a group's resources to its proxies.
type Publisher interface {
	// Publish replaces what all groups have; it returns what had to be left out, or why nothing was published.
	Publish(*config.Model, *inventory.Snapshot) error
}

// Config is what a Pipeline needs.
type Config struct {
	Logger hclog.Logger
	Clock  func() time.Time
	Keeper *inventory.Keeper
	// Authorizer and Publisher may be nil, where the process does not play that part.
	Authorizer Authorizer
	Publisher  Publisher
	// Transform, if not nil, may change documents before they are built; `sallyport dev` moves addresses to loopback.
	Transform func(context.Context, []*document.Document)
	// Changed, if not nil, is told of each revision that was taken or refused.
	Changed func(Status)
}

// Status is the state of the pipeline.
type Status struct {
	// Revision in force, and since when; empty before the first.
	Revision string
	Since    time.Time
	// Model in force; nil before the first.
	Model *config.Model
	// Problems of the configuration that was read last. With an error among them, that one is not in force.
	Problems document.Problems
}

// Refused tells whether the configuration that was read last is not the one in force.
func (s Status) Refused() bool { return len(s.Problems.Errors()) > 0 }

// Pipeline is safe for concurrent use.
type Pipeline struct {
	config Config

	mu     sync.Mutex
	status Status
	// generation of the material that was published last.
	generation uint64
}

// New makes a pipeline with nothing in it.
func New(settings Config) *Pipeline {
	if settings.Clock == nil {
		settings.Clock = time.Now
	}
	return &Pipeline{config: settings}
}

// Status returns the present state.
func (p *Pipeline) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.status
}

// Load takes a configuration as it was read. It returns the problems that keep it from being used.
func (p *Pipeline) Load(ctx context.Context, reading directory.Reading) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	model, found := config.Build(reading.Documents, reading.Complete)
	if p.config.Transform != nil && model != nil { // what is wrong as it is written must not be put right by it
		p.config.Transform(ctx, reading.Documents)
		model, found = config.Build(reading.Documents, reading.Complete)
	}
	problems := slices.Concat(reading.Problems, found, config.CheckNotEmpty(reading.Directory, reading.Documents, reading.Problems))
	problems.Sort()
	p.status.Problems = problems
	if errs := problems.Errors(); len(errs) > 0 {
		if p.status.Model != nil { // who loads the first one is told by the error
			p.config.Logger.Error("the configuration has errors and is not used", "errors", len(errs), "revision_in_force", p.status.Revision)
		}
		err := p.withdraw(ctx, reading.Documents)
		p.changed()
		return errors.Join(errs, err)
	}
	err := p.take(ctx, model)
	p.changed()
	return err
}

// withdraw applies what a refused configuration takes back, consumers and tokens: a mistake elsewhere keeps nobody in.
func (p *Pipeline) withdraw(ctx context.Context, documents []*document.Document) error {
	if p.status.Model == nil {
		return nil
	}
	withdrawals := config.WithdrawalsOf(documents)
	without := p.status.Model.Without(withdrawals)
	if without == p.status.Model {
		return nil
	}
	p.config.Logger.Warn("what it suspends and revokes counts all the same", "withdrawn", withdrawals.Names())
	return p.take(ctx, without)
}

// take puts a model in force.
func (p *Pipeline) take(ctx context.Context, model *config.Model) error {
	if model.Revision() != p.status.Revision {
		p.status.Revision, p.status.Since = model.Revision(), p.config.Clock()
		p.config.Logger.Info("configuration in force", "revision", model.Revision(), "warnings", len(p.status.Problems.Warnings()))
	}
	p.status.Model = model
	return p.apply(model, p.config.Keeper.Apply(ctx, SpecsOf(model)))
}

// Run follows the material until the context ends.
func (p *Pipeline) Run(ctx context.Context) error {
	for {
		_, superseded := p.config.Keeper.Watch()
		if err := p.follow(); err != nil {
			p.config.Logger.Error("changed material could not be published", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-superseded:
		}
	}
}

// follow publishes material that is newer than what was published last. It is looked up under the lock, so that what was
// there before a revision never takes the place of what came with it.
func (p *Pipeline) follow() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	material := p.config.Keeper.Current()
	if p.status.Model == nil || material.Generation == p.generation {
		return nil
	}
	p.config.Logger.Info("material has changed", "generation", material.Generation)
	return p.apply(p.status.Model, material)
}

// apply gives model and material to those who use them: first to the one who judges, then to the proxies, so that a
// request by a new route meets a judge who knows its policy.
func (p *Pipeline) apply(model *config.Model, material *inventory.Snapshot) error {
	p.generation = material.Generation
	if p.config.Authorizer != nil {
		p.config.Authorizer.Apply(model, material)
	}
	if p.config.Publisher == nil {
		return nil
	}
	if err := p.config.Publisher.Publish(model, material); err != nil {
		return fmt.Errorf("publish the revision %s: %w", model.Revision(), err)
	}
	return nil
}

func (p *Pipeline) changed() {
	if p.config.Changed != nil {
		p.config.Changed(p.status)
	}
}

// ErrNotReady says that no configuration is in force yet.
var ErrNotReady = errors.New("no configuration is in force")

// Ready returns ErrNotReady until a configuration is in force.
func (p *Pipeline) Ready() error {
	if p.Status().Model == nil {
		return ErrNotReady
	}
	return nil
}
