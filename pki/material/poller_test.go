package material

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakePlace is a Fetcher of one or more places, with a fault switch. Every content is its own ETag.
type fakePlace struct {
	mu    sync.Mutex
	data  map[string]string
	err   error
	stuck bool
	asked []Request
}

func (f *fakePlace) Fetch(ctx context.Context, request Request) (Fetched, error) {
	f.mu.Lock()
	f.asked = append(f.asked, request)
	data, found := f.data[request.Reference.String()]
	err, stuck := f.err, f.stuck
	f.mu.Unlock()
	switch {
	case stuck:
		<-ctx.Done()
		return Fetched{}, ctx.Err()
	case err != nil:
		return Fetched{}, err
	case !found:
		return Fetched{}, fmt.Errorf("404 NoSuchKey: %w", fs.ErrNotExist)
	case request.Known.ETag != "" && request.Known.ETag == data:
		return Fetched{Unchanged: true}, nil
	}
	return Fetched{Data: []byte(data), Validator: Validator{ETag: data}}, nil
}

func (f *fakePlace) change(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *fakePlace) set(reference, data string) { f.change(func() { f.data[reference] = data }) }

func (f *fakePlace) requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// polling is a poller over a fakePlace, within a bubble of its own time.
type polling struct {
	*testing.T
	*poller
	place  *fakePlace
	told   int // how often changed was called
	toldMu sync.Mutex
}

const (
	bundle   = "s3://partners/bundle.pem"
	manifest = "s3://partners/bundle.pem.manifest"
)

// poll runs a test in a bubble, with a poller that runs until the test ends.
func poll(t *testing.T, folder string, test func(p *polling)) {
	synctest.Test(t, func(t *testing.T) {
		p := &polling{T: t, place: &fakePlace{data: map[string]string{}}}
		config := Config{Fetchers: map[Scheme]Fetcher{S3: p.place, SecretsManager: p.place}, Debounce: time.Millisecond, Keep: folder}
		p.poller = NewStore(config).poller
		p.changed = func() {
			p.toldMu.Lock()
			defer p.toldMu.Unlock()
			p.told++
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { p.run(ctx) })
		test(p)
		cancel()
		running.Wait()
	})
}

// follow watches references with the default refresh, and lets the first attempts end.
func (p *polling) follow(texts ...string) {
	p.Helper()
	var sources []Source
	for _, text := range texts {
		sources = append(sources, Source{Reference: p.reference(text)})
	}
	p.watch(p.Context(), sources)
	synctest.Wait()
}

func (p *polling) reference(text string) Reference {
	p.Helper()
	reference, err := Parse(text)
	if err != nil {
		p.Fatal(err)
	}
	return reference
}

// pass lets time pass.
func (p *polling) pass(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
	synctest.Wait()
}

func (p *polling) tellings() int {
	p.toldMu.Lock()
	defer p.toldMu.Unlock()
	return p.told
}

func (p *polling) expect(text, want string) {
	p.Helper()
	if got, err := p.read(p.reference(text)); err != nil || string(got) != want {
		p.Errorf("read %q, %v; want %q", got, err, want)
	}
}

func (p *polling) expectError(text, want string) {
	p.Helper()
	if err := p.failure(text); !strings.Contains(err.Error(), want) {
		p.Errorf("got %v; want an error with %q", err, want)
	}
}

// failure is the error that a reference cannot be read with.
func (p *polling) failure(text string) error {
	p.Helper()
	got, err := p.read(p.reference(text))
	if err == nil {
		p.Fatalf("read %q", got)
	}
	return err
}

func TestAChangeAtAPlaceIsSeenWithinItsRefreshAndToldOnce(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.set(bundle, "one")
		p.follow(bundle)
		p.expect(bundle, "one")
		p.pass(time.Minute)
		if asked := len(p.place.requests()); asked < 12 || asked > 20 || p.tellings() != 1 {
			t.Errorf("asked %d times in a minute, told %d times", asked, p.tellings())
		}
		p.place.set(bundle, "two")
		p.pass(DefaultRefresh + time.Second)
		p.expect(bundle, "two")
		if p.tellings() != 2 {
			t.Errorf("told %d times", p.tellings())
		}
	})
}

func TestWhileAPlaceFailsReadSaysSinceWhenAndWhatIsGoodStays(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.set(bundle, "one")
		p.follow(bundle)
		p.accept(p.reference(bundle), []byte("one"))
		p.pass(time.Second)
		for name, fault := range map[string]struct {
			err  error
			want string
			is   error
		}{
			"denied":  {fmt.Errorf("403 AccessDenied: %w", fs.ErrPermission), "403 AccessDenied", fs.ErrPermission},
			"broken":  {errors.New("500 InternalError"), "500 InternalError", nil},
			"removed": {fmt.Errorf("404 NoSuchKey: %w", fs.ErrNotExist), "404 NoSuchKey", fs.ErrNotExist},
		} {
			before := p.tellings()
			begin := time.Now()
			p.place.change(func() { p.place.err = fault.err })
			p.pass(10 * time.Minute)
			err := p.failure(bundle)
			state := p.states()[0]
			if !errors.Is(err, fault.err) || !strings.Contains(err.Error(), fault.want) || fault.is != nil && !errors.Is(err, fault.is) || !strings.Contains(err.Error(), state.Since.UTC().Format(time.RFC3339)) {
				t.Errorf("%s: %v", name, err)
			}
			if since := state.Since.Sub(begin); since < 0 || since > DefaultRefresh || state.Err == nil || state.Version.ETag != "one" || !state.Kept {
				t.Errorf("%s: the state is %+v", name, state)
			}
			if good, found := p.lastGood(p.reference(bundle)); !found || string(good) != "one" {
				t.Errorf("%s: the last good is %q", name, good)
			}
			if told := p.tellings() - before; told != 1 {
				t.Errorf("%s: told %d times", name, told)
			}
			p.place.change(func() { p.place.err = nil })
			p.pass(retryLast + time.Second)
			p.expect(bundle, "one")
			if state := p.states()[0]; state.Err != nil || !state.Since.IsZero() {
				t.Errorf("%s is over, but the state is %+v", name, state)
			}
		}
	})
}

func TestAPlaceThatFailsIsAskedLessAndLess(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.err = errors.New("500")
		p.follow(bundle)
		p.pass(10 * time.Minute)
		if asked := len(p.place.requests()); asked < 13 || asked > 22 {
			t.Errorf("asked %d times in ten minutes", asked)
		}
	})
	poll(t, "", func(p *polling) {
		p.follow(bundle) // it is not there, which the place says readily
		p.pass(10 * time.Minute)
		if asked := len(p.place.requests()); asked < 120 || asked > 165 {
			t.Errorf("asked for what is missing %d times in ten minutes", asked)
		}
	})
}

func TestOnePlaceThatAnswersAgainHurriesTheOthers(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.err = errors.New("500")
		p.follow(bundle, manifest)
		p.pass(30 * time.Minute)
		p.place.change(func() { p.place.err, p.place.data = nil, map[string]string{bundle: "b", manifest: "m"} })
		recovered := func() int { return strings.Count(fmt.Sprint(p.states()), "<nil>") }
		for recovered() == 0 {
			p.pass(100 * time.Millisecond)
		}
		p.pass(2 * time.Second)
		p.expect(bundle, "b")
		p.expect(manifest, "m")
	})
}

func TestWhatChangesTogetherIsSeenTogether(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.data = map[string]string{bundle: "b1", manifest: "m1"}
		p.watch(t.Context(), []Source{{Reference: p.reference(bundle), Refresh: 2 * time.Second}, {Reference: p.reference(manifest), Refresh: time.Hour}})
		p.pass(time.Minute)
		p.place.change(func() { p.place.data = map[string]string{bundle: "b2", manifest: "m2"} })
		p.pass(4 * time.Second)
		p.expect(bundle, "b2")
		p.expect(manifest, "m2")
	})
}

func TestACallerWaitsForTheFirstAnswersTogetherAndNotForLong(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.stuck = true
		begin := time.Now()
		var texts []string
		for i := range 20 {
			texts = append(texts, fmt.Sprintf("s3://partners/%d", i))
		}
		var sources []Source
		for _, text := range texts {
			sources = append(sources, Source{Reference: p.reference(text)})
		}
		p.watch(t.Context(), sources)
		for _, text := range texts {
			p.expectError(text, "has not answered yet")
		}
		if waited := time.Since(begin); waited != coldWait {
			t.Errorf("waited %v", waited)
		}
		p.pass(fetchTimeout)
		p.expectError(texts[0], "there was no answer within 5s")
	})
}

func TestWhatIsNoAnswerIsAnError(t *testing.T) {
	for name, test := range map[string]struct{ data, want string }{
		"empty":     {"", "it is empty"},
		"too large": {strings.Repeat("a", MaxSize+1), "larger than the 4194304 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			poll(t, "", func(p *polling) {
				p.place.set(bundle, test.data)
				p.follow(bundle)
				p.expectError(bundle, test.want)
			})
		})
	}
	t.Run("unchanged, although nothing was fetched", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewStore(Config{Fetchers: map[Scheme]Fetcher{S3: alwaysUnchanged{}}}).poller
			reference := Reference{S3, "//partners/bundle.pem"}
			p.watch(t.Context(), []Source{{Reference: reference}})
			if _, err := p.read(reference); err == nil || !strings.Contains(err.Error(), "nothing had been fetched") {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("no fetcher", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := NewStore(Config{}).poller
			reference := Reference{S3, "//partners/bundle.pem"}
			p.watch(t.Context(), []Source{{Reference: reference}})
			if _, err := p.read(reference); err == nil || !strings.Contains(err.Error(), "s3: references cannot be read here") {
				t.Errorf("got %v", err)
			}
		})
	})
}

type alwaysUnchanged struct{}

func (alwaysUnchanged) Fetch(context.Context, Request) (Fetched, error) {
	return Fetched{Unchanged: true}, nil
}

func TestTheShortestRefreshOfAReferenceHolds(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.set(bundle, "one")
		reference := p.reference(bundle)
		p.watch(t.Context(), []Source{{Reference: reference, Refresh: time.Hour}, {Reference: reference, Refresh: time.Second}})
		p.pass(time.Minute)
		if asked := len(p.place.requests()); asked < 60 {
			t.Errorf("asked %d times in a minute", asked)
		}
	})
}

func TestAnExpectedOwnerIsDemandedForEverybodyWhoReads(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.set(bundle, "one")
		reference := p.reference(bundle)
		p.watch(t.Context(), []Source{{Reference: reference}})
		synctest.Wait()
		p.expect(bundle, "one")

		// What was fetched without the demand does not count.
		p.place.change(func() { p.place.err = fmt.Errorf("403: %w", fs.ErrPermission) })
		p.watch(t.Context(), []Source{{Reference: reference}, {Reference: reference, ExpectedOwner: "123456789012"}})
		synctest.Wait()
		p.expectError(bundle, "403")
		if last := p.place.requests()[len(p.place.requests())-1]; last.ExpectedOwner != "123456789012" || last.Known != (Validator{}) {
			t.Errorf("asked for %+v", last)
		}

		asked := len(p.place.requests())
		p.watch(t.Context(), []Source{{Reference: reference, ExpectedOwner: "123456789012"}, {Reference: reference, ExpectedOwner: "210987654321"}})
		p.pass(time.Minute)
		p.expectError(bundle, "expected to belong to the account 123456789012 and to 210987654321")
		if len(p.place.requests()) != asked {
			t.Error("it was asked for nevertheless")
		}
	})
}

func TestFieldsOfASecretChangeAsOne(t *testing.T) {
	poll(t, "", func(p *polling) {
		const secret, certificate, key = "secretsmanager:edge", "secretsmanager:edge#certificate", "secretsmanager:edge#key"
		p.place.set(secret, `{"certificate": "c1", "key": "k1", "number": 1}`)
		p.follow(certificate, key, "secretsmanager:edge#number", "secretsmanager:edge#none")
		p.expect(certificate, "c1")
		p.expect(key, "k1")
		if asked := len(p.place.requests()); asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		if err := p.failure("secretsmanager:edge#none"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), `no field "none"`) {
			t.Errorf("got %v", err)
		}
		p.expectError("secretsmanager:edge#number", "no string")
		p.place.set(secret, "canary-1234")
		p.pass(DefaultRefresh)
		if err := p.failure(key); !strings.Contains(err.Error(), "no JSON object") || strings.Contains(err.Error(), "canary") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnEndCutsAttemptsShortAndBlamesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		place := &fakePlace{data: map[string]string{bundle: "one"}}
		p := NewStore(Config{Fetchers: map[Scheme]Fetcher{S3: place}}).poller
		reference := Reference{S3, "//partners/bundle.pem"}
		p.watch(t.Context(), []Source{{Reference: reference}})
		synctest.Wait()
		place.change(func() { place.stuck = true })
		ctx, cancel := context.WithTimeout(t.Context(), DefaultRefresh+time.Second)
		defer cancel()
		p.run(ctx)
		if got, err := p.read(reference); err != nil || string(got) != "one" {
			t.Errorf("read %q, %v", got, err)
		}
	})
}

func TestAReferenceThatIsNoLongerWatchedIsForgotten(t *testing.T) {
	poll(t, "", func(p *polling) {
		p.place.set(bundle, "one")
		p.follow(bundle)
		p.follow()
		p.expectError(bundle, "it is not watched")
		asked := len(p.place.requests())
		p.pass(time.Minute)
		if len(p.place.requests()) != asked || len(p.states()) != 0 {
			t.Error("it is still asked for")
		}
	})
}
