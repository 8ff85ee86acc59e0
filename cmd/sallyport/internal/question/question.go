// Package question answers who may do what, and why not: `explain`, `who-can` and `can`.
//
// It owns the questions: what is presumed of a caller whom nobody has seen, which gateways a request passes, and the form of
// the answers, which is that of the admin API. It owns no rule. Routes are chosen by envoy/routing over the generated
// configuration, and decisions come from the authorization service, so that an answer is what would be enforced; a property
// test holds them against each other. It enforces, records and counts nothing.
//
// A token that somebody shows is judged by the server that is asked, or else by the key sets at hand, and is kept nowhere. No token is got
// from a Provider for an answer: what gateways would send on to each other is made here, or presumed, and the answer says so.
package question

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz"
	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Answerer answers questions: Answers, or a running server. The error is a Mistake where the question is to blame.
type Answerer interface {
	Explain(context.Context, *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error)
	WhoCan(context.Context, *adminv1.WhoCanRequest) (*adminv1.WhoCanResponse, error)
	Can(context.Context, *adminv1.CanRequest) (*adminv1.CanResponse, error)
}

// Mistake says what is wrong with a question that cannot be answered as it was asked, and what to do.
type Mistake string

// Error is the Mistake.
func (m Mistake) Error() string { return string(m) }

func mistake(format string, args ...any) error { return Mistake(fmt.Sprintf(format, args...)) }

// Remembered finds the records of a request's decisions, the oldest first; *audit.Ring is one.
type Remembered interface {
	Find(requestID string) []audit.Record
}

// Config is what Answers need.
type Config struct {
	// Model that is asked about. Required.
	Model *config.Model
	// Material by which callers' certificates are judged. If nil, every truststore is taken to be good, and a certificate in
	// PEM cannot be judged.
	Material *inventory.Snapshot
	// TruststoresOnly says that Material has no Certificates: what our gateways present to each other is taken to be good.
	TruststoresOnly bool
	// Apart says that Material was read apart from the servers that decide: what is missing from it may be in force there.
	Apart bool
	// Remembered are recent decisions; nil where there are none.
	Remembered Remembered
	// Judge judges callers' tokens as the server does that is asked. If it is nil, they are judged apart from any server, by Keys.
	Judge authz.Judge
	// Keys are the key sets at hand, by Provider. Tokens of others are judged but for their signature.
	Keys map[string]*jose.KeySet
	// Clock is time.Now if nil.
	Clock func() time.Time
}

// Answers answers questions about one Model and its material. It is safe for concurrent use.
type Answers struct {
	config    Config
	resources *resources
	// verifier judges by the key sets at hand.
	verifier *bearer.View

	mu sync.Mutex
	// listeners are compiled for the first question that needs them, and so is present, the estate as it is now.
	listeners estate.Listeners
	present   *estate.Estate
	// stand makes and judges our own tokens between gateways, by keys that are made for these answers.
	stand *tokens.View
}

// New makes the Answers for a model.
func New(settings Config) *Answers {
	if settings.Clock == nil {
		settings.Clock = time.Now
	}
	return &Answers{config: settings, resources: newResources(settings.Model)}
}

// prepareTokens makes what judges tokens, and what stands for the gateways' keys.
func (a *Answers) prepareTokens(material *inventory.Snapshot) error {
	verifier, err := bearer.NewVerifier(bearer.Config{Clock: a.config.Clock})
	if err != nil {
		return err
	}
	a.verifier = verifier.View(a.config.Model.Providers(), keysAtHand(a.config.Keys), nil)
	stand, err := tokens.New(tokens.Config{Clock: a.config.Clock, Substitute: tokens.Nobody{}})
	if err != nil {
		return err
	}
	a.stand = stand.Apply(a.config.Model, material)
	return nil
}

// substitute makes material in place of all that a model refers to, valid at the clock's time.
func substitute(ctx context.Context, model *config.Model, clock func() time.Time) (*inventory.Snapshot, error) {
	keeper, err := inventory.New(inventory.Config{Substitute: true, Clock: clock})
	if err != nil {
		return nil, err
	}
	return keeper.Apply(ctx, pipeline.SpecsOf(model)), ctx.Err()
}

// moment is when a question is asked about, and whether the asker has chosen it.
type moment struct {
	time.Time
	chosen bool
}

func (a *Answers) moment(at *timestamppb.Timestamp) moment {
	if at == nil {
		return moment{Time: a.config.Clock()}
	}
	return moment{Time: at.AsTime(), chosen: true}
}

// estates are what a request goes through at one moment.
type estates struct {
	answers *Answers
	// first is the gateway that the caller connects to, onward all behind it. They differ in the material.
	first, onward *estate.Estate
	// presumed says that onward goes by substituted material.
	presumed bool
	// apart says that the material of first need not be that by which it decides: it was read apart from the servers, or
	// the moment is not the present one.
	apart bool
}

// estates prepares the gateways. What our gateways present to each other is substituted where it is not at hand, and for any
// moment but the present one: then it will have been renewed.
func (a *Answers) estates(ctx context.Context, at moment) (*estates, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.compile(ctx); err != nil {
		return nil, err
	}
	var err error
	if a.config.Material != nil && !a.config.TruststoresOnly && !at.chosen {
		if a.present == nil {
			a.present, err = a.estate(a.config.Material, a.config.Clock)
		}
		return &estates{answers: a, first: a.present, onward: a.present}, err
	}
	clock := func() time.Time { return at.Time }
	material, err := substitute(ctx, a.config.Model, clock)
	if err != nil {
		return nil, err
	}
	e := &estates{answers: a, presumed: true, apart: a.config.Material != nil && (a.config.Apart || at.chosen)}
	if e.onward, err = a.estate(material, clock); err != nil {
		return nil, err
	}
	if e.first = e.onward; a.config.Material != nil {
		e.first, err = a.estate(a.config.Material, clock)
	}
	return e, err
}

// compile prepares the listeners and what judges tokens, once. Which route is chosen does not depend on material, so that any will do.
func (a *Answers) compile(ctx context.Context) error {
	if a.listeners != nil {
		return nil
	}
	material, err := substitute(ctx, a.config.Model, a.config.Clock)
	if err != nil {
		return err
	}
	if err := a.prepareTokens(material); err != nil {
		return err
	}
	a.listeners, err = estate.CompileListeners(a.config.Model, material)
	return err
}

func (a *Answers) estate(material *inventory.Snapshot, clock func() time.Time) (*estate.Estate, error) {
	return estate.New(estate.Config{
		Model: a.config.Model, Material: material, Listeners: a.listeners, Clock: clock, Judge: a.judge, Planned: true,
	})
}
