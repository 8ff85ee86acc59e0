package question_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/expression"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// noon is the time at which everything happens.
var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

// world is a random model with real certificates of everybody in it.
type world struct {
	t        *testing.T
	seed     uint64
	random   *rand.Rand
	model    *config.Model
	material *inventory.Snapshot
	// certificates of each consumer, in the order of its matches, and of somebody else by truststore.
	certificates map[string][]*tls.Certificate
	strangers    map[string]*tls.Certificate
	// signers are the keys of the Providers.
	signers map[string]*jose.Signer
	// estates judge by real certificates, by time.
	estates map[time.Time]*estate.Estate

	// compiled are conditions by their text.
	compiled map[string]*expression.Condition

	documents  []string
	routeNames []string
	holders    []holder
}

// holder is a match whose certificate has to be made.
type holder struct {
	consumer, truststore string
	request              ca.Request
	// placeholders are texts of the model that only the certificate tells.
	placeholders func(ca.KeyPair) []string
}

// newWorld makes a world of a seed. Most random models are invalid in some way; it is one that is not.
func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 7))
	var problems error
	for range 800 {
		w := &world{
			t: t, seed: seed, random: random, compiled: map[string]*expression.Condition{}, certificates: map[string][]*tls.Certificate{}, strangers: map[string]*tls.Certificate{},
			estates: map[time.Time]*estate.Estate{}, signers: signers(),
		}
		w.write()
		if problems = w.settle(); problems == nil {
			return w
		}
	}
	t.Fatalf("no valid model came of the seed %d: %v", seed, problems)
	return nil
}

// settle makes the material, the certificates of the consumers, and the model with what only these tell.
func (w *world) settle() error {
	text := strings.Join(w.documents, "\n---\n")
	model, problems := build(text)
	if model == nil {
		return problems
	}
	keeper, err := inventory.New(inventory.Config{Substitute: true, Clock: clock})
	if err != nil {
		return err
	}
	keeper.Apply(w.t.Context(), pipeline.SpecsOf(model))
	for _, h := range w.holders {
		pair, err := w.issue(keeper, h.truststore, h.request)
		if err != nil {
			return err
		}
		certificate := pair.TLS()
		w.certificates[h.consumer] = append(w.certificates[h.consumer], &certificate)
		if h.placeholders != nil {
			text = strings.NewReplacer(h.placeholders(pair)...).Replace(text)
		}
	}
	for _, name := range truststores {
		pair, err := w.issue(keeper, name, ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: "stranger"}})
		if err != nil {
			return err
		}
		certificate := pair.TLS()
		w.strangers[name] = &certificate
	}
	if w.model, problems = build(text); w.model == nil {
		return problems
	}
	w.material = keeper.Apply(w.t.Context(), pipeline.SpecsOf(w.model))
	return nil
}

func build(text string) (*config.Model, error) {
	documents, complete, problems := config.Decode([]config.File{{Path: "world.yaml", Data: []byte(text)}})
	model, found := config.Build(documents, complete)
	problems = append(problems, found...)
	if errs := problems.Errors(); len(errs) > 0 {
		return nil, errs
	}
	return model, nil
}

func (w *world) issue(keeper *inventory.Keeper, truststore string, request ca.Request) (ca.KeyPair, error) {
	authority, found := keeper.TruststoreAuthority(truststore)
	if !found {
		return ca.KeyPair{}, fmt.Errorf("the truststore %s has no authority", truststore)
	}
	return authority.Issue(request)
}

// at is the estate that judges by real certificates at a time.
func (w *world) at(when time.Time) *estate.Estate {
	w.t.Helper()
	if w.estates[when] != nil {
		return w.estates[when]
	}
	listeners, err := estate.CompileListeners(w.model, w.material)
	if err != nil {
		w.t.Fatal(err)
	}
	at, err := estate.New(estate.Config{
		Model: w.model, Material: w.material, Listeners: listeners, Clock: func() time.Time { return when }, Substitute: issuers{w},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.estates[when] = at
	return at
}
