package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bucket is Segments in memory, with the faults of a bucket far away.
type bucket struct {
	mu      sync.Mutex
	objects map[string][]byte
	// loseAnswers makes Create fail after it has written; failCreate before; failRead makes Read fail.
	loseAnswers, failCreate, failRead atomic.Bool
}

var errFault = errors.New("503 slow down")

func (b *bucket) Read(_ context.Context, name string) ([]byte, error) {
	if b.failRead.Load() {
		return nil, errFault
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	data, found := b.objects[name]
	if !found {
		return nil, fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return data, nil
}

func (b *bucket) Create(_ context.Context, name string, data []byte) error {
	if b.failCreate.Load() {
		return errFault
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, found := b.objects[name]; found {
		return fmt.Errorf("%s: %w", name, fs.ErrExist)
	}
	if b.objects == nil {
		b.objects = map[string][]byte{}
	}
	b.objects[name] = data
	if b.loseAnswers.Load() {
		return errFault
	}
	return nil
}

// kinds are ways to open a store of the same register, time and again.
func kinds(t *testing.T) map[string]func() Store {
	path := filepath.Join(t.TempDir(), "register.jsonl")
	shared := &bucket{}
	return map[string]func() Store{
		"file":    func() Store { return NewFileStore(path, Config{Clock: atNoon}) },
		"objects": func() Store { return NewObjectStore(shared, Config{Clock: atNoon}) },
	}
}

func load(t *testing.T, store Store) *Register {
	t.Helper()
	register, err := store.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return register
}

func TestAStoreKeepsWhatWasAppended(t *testing.T) {
	for name, open := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			store, watching := open(), open()
			if count := load(t, watching).Head().Count; count != 0 {
				t.Errorf("%d entries at first", count)
			}
			entries, err := store.Append(t.Context(), Always(issued(0), issued(1)))
			if err != nil || len(entries) != 2 || entries[1].Sequence != 2 {
				t.Fatalf("%+v, %v", entries, err)
			}
			if _, err := store.Append(t.Context(), Always(revoked(0, noon))); err != nil {
				t.Fatal(err)
			}
			for _, store := range []Store{store, watching, open()} {
				if head := load(t, store).Head(); head.Count != 3 {
					t.Errorf("head %+v", head)
				}
			}
		})
	}
}

func TestAStoreAppendsNothingThatIsNotProposed(t *testing.T) {
	refusal := errors.New("no")
	for name, open := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			store := open()
			if _, err := store.Append(t.Context(), func(*Register) ([]Record, error) { return nil, refusal }); !errors.Is(err, refusal) {
				t.Errorf("error %v", err)
			}
			if entries, err := store.Append(t.Context(), Always()); err != nil || entries != nil {
				t.Errorf("%v, %v", entries, err)
			}
			if _, err := store.Append(t.Context(), Always(issued(0), issued(0))); err == nil {
				t.Error("want an error")
			}
			if head := load(t, open()).Head(); head.Count != 0 {
				t.Errorf("head %+v", head)
			}
		})
	}
}

func TestNothingIsLostWhereManyAppendAtOnce(t *testing.T) {
	count := len(theEstate().certificates)
	for name, open := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			var group sync.WaitGroup
			shared := open()
			for i := range count {
				store := shared // two writers of three share a store, as in one process
				if i%3 == 0 {
					store = open()
				}
				group.Go(func() {
					if _, err := store.Append(context.Background(), Always(issued(i))); err != nil {
						t.Errorf("issued %d: %v", i, err)
					}
					if _, err := store.Append(context.Background(), Always(revoked(i, noon))); err != nil {
						t.Errorf("revoked %d: %v", i, err)
					}
				})
			}
			group.Wait()
			register := load(t, open())
			if head := register.Head(); head.Count != uint64(2*count) {
				t.Errorf("head %+v", head)
			}
			for i := range count {
				if found, ok := register.Certificate(issued(i).Issued.CertificateSHA256); !ok || !found.RevokedAt(noon) {
					t.Errorf("number %d was lost", i)
				}
			}
			if err := load(t, shared).Check(register.Head()); err != nil {
				t.Errorf("the shared store sees another register: %v", err)
			}
		})
	}
}

func TestOfManyWhoProposeTheSameItIsKeptOnce(t *testing.T) {
	for name, open := range kinds(t) {
		t.Run(name, func(t *testing.T) {
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					_, err := open().Append(context.Background(), func(register *Register) ([]Record, error) {
						if _, known := register.Certificate(issued(0).Issued.CertificateSHA256); known {
							return nil, nil
						}
						return []Record{issued(0)}, nil
					})
					if err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if head := load(t, open()).Head(); head.Count != 1 {
				t.Errorf("head %+v", head)
			}
		})
	}
}

func TestATornLineIsSetAsideAndNothingElse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "register.jsonl")
	whole := lines(t, issued(0), issued(1))
	torn := whole[:len(whole)-10]
	if err := os.WriteFile(path, torn, 0o600); err != nil {
		t.Fatal(err)
	}
	store := NewFileStore(path, Config{Clock: atNoon})
	if head := load(t, store).Head(); head.Count != 1 {
		t.Errorf("head %+v", head)
	}
	if data, _ := os.ReadFile(path); !bytes.Equal(data, torn) {
		t.Error("reading has changed the file")
	}
	if _, err := store.Append(t.Context(), Always(issued(2))); err != nil {
		t.Fatal(err)
	}
	if head := load(t, NewFileStore(path, Config{})).Head(); head.Count != 2 {
		t.Errorf("head %+v", head)
	}
	aside, err := filepath.Glob(path + ".torn-*")
	if err != nil || len(aside) != 1 {
		t.Fatalf("set aside: %v, %v", aside, err)
	}
	if data, _ := os.ReadFile(aside[0]); !strings.HasSuffix(string(torn), string(data)) || len(data) == 0 {
		t.Errorf("set aside: %q", data)
	}
}

func TestAFileThatWasCutOrReplacedIsNoticed(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"cut":      func(path string) error { return os.Truncate(path, 10) },
		"replaced": func(path string) error { return os.Rename(path+".other", path) },
		"removed":  os.Remove,
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "register.jsonl")
			store := NewFileStore(path, Config{Clock: atNoon})
			if _, err := store.Append(t.Context(), Always(issued(0))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path+".other", lines(t, issued(1), issued(2)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := spoil(path); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Load(t.Context()); err == nil {
				t.Error("Load: want an error")
			}
			if _, err := store.Append(t.Context(), Always(issued(3))); err == nil {
				t.Error("Append: want an error")
			}
		})
	}
}

func TestTheFileIsForItsOwnerAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "register.jsonl")
	if _, err := NewFileStore(path, Config{}).Append(t.Context(), Always(issued(0))); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestALockThatIsHeldIsWaitedForOnlySoLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "register.jsonl")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := NewFileStore(path, Config{}).Append(t.Context(), func(*Register) ([]Record, error) {
		_, err := NewFileStore(path, Config{}).Append(ctx, Always(issued(0)))
		return nil, err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestALostAnswerLosesNoEntryAndMakesNoneTwice(t *testing.T) {
	shared := &bucket{}
	shared.loseAnswers.Store(true)
	entries, err := NewObjectStore(shared, Config{Clock: atNoon}).Append(t.Context(), Always(issued(0)))
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	if head := load(t, NewObjectStore(shared, Config{})).Head(); head.Count != 1 {
		t.Errorf("head %+v", head)
	}
}

func TestAFaultOfTheBucketIsToldAndKeepsNothing(t *testing.T) {
	shared := &bucket{}
	store := NewObjectStore(shared, Config{Clock: atNoon})
	shared.failCreate.Store(true)
	if _, err := store.Append(t.Context(), Always(issued(0))); !errors.Is(err, errFault) {
		t.Errorf("Append: %v", err)
	}
	shared.failRead.Store(true)
	if _, err := store.Load(t.Context()); !errors.Is(err, errFault) {
		t.Errorf("Load: %v", err)
	}
	shared.failRead.Store(false)
	shared.failCreate.Store(false)
	if _, err := store.Append(t.Context(), Always(issued(0))); err != nil {
		t.Errorf("when it is over: %v", err)
	}
}

func TestASegmentThatWasChangedIsNoticed(t *testing.T) {
	for name, spoil := range map[string]func(map[string][]byte){
		"empty": func(objects map[string][]byte) { objects[segmentName(2)] = nil },
		"cut":   func(objects map[string][]byte) { objects[segmentName(2)] = objects[segmentName(2)][:50] },
		"twice": func(objects map[string][]byte) { objects[segmentName(4)] = objects[segmentName(3)] },
		"swapped": func(objects map[string][]byte) {
			objects[segmentName(2)], objects[segmentName(3)] = objects[segmentName(3)], objects[segmentName(2)]
		},
	} {
		t.Run(name, func(t *testing.T) {
			shared := &bucket{}
			store := NewObjectStore(shared, Config{Clock: atNoon})
			for i := range 3 {
				if _, err := store.Append(t.Context(), Always(issued(i))); err != nil {
					t.Fatal(err)
				}
			}
			spoil(shared.objects)
			var broken *BrokenError
			if _, err := NewObjectStore(shared, Config{}).Load(t.Context()); !errors.As(err, &broken) {
				t.Errorf("error %v", err)
			}
		})
	}
}

func TestALineOfAForeignCertificateIsNotTaken(t *testing.T) {
	verify := func(_ uint64, certificate *Issued) error {
		if certificate.Consumer == "partner-1" {
			return errFault
		}
		return nil
	}
	for name, open := range map[string]func(lines []byte, config Config) Store{
		"file": func(lines []byte, config Config) Store {
			path := filepath.Join(t.TempDir(), "register.jsonl")
			if err := os.WriteFile(path, lines, 0o600); err != nil {
				t.Fatal(err)
			}
			return NewFileStore(path, config)
		},
		"objects": func(lines []byte, config Config) Store {
			return NewObjectStore(&bucket{objects: map[string][]byte{segmentName(1): lines}}, config)
		},
	} {
		t.Run(name, func(t *testing.T) {
			config := Config{Clock: atNoon, Verify: verify}
			store, foreign := open(lines(t, issued(0), issued(1), issued(2)), config), (*ForeignError)(nil)
			for range 2 {
				if _, err := store.Load(t.Context()); !errors.As(err, &foreign) || foreign.Line != 2 || !errors.Is(err, errFault) {
					t.Errorf("read: %v", err)
				}
			}
			if _, err := store.Append(t.Context(), Always(issued(3))); !errors.As(err, &foreign) || foreign.Line != 2 {
				t.Errorf("appended after it: %v", err)
			}
			store, foreign = open(lines(t, issued(0)), config), nil
			if _, err := store.Append(t.Context(), Always(issued(1))); !errors.As(err, &foreign) || foreign.Line != 2 {
				t.Errorf("a foreign certificate was appended: %v", err)
			}
			register, err := store.Load(t.Context())
			if err != nil || register.Head().Count != 1 {
				t.Errorf("%v, %v", register.Head(), err)
			}
		})
	}
}

func TestALineIsTakenOnceItsAuthorityIsKnown(t *testing.T) {
	path, known := filepath.Join(t.TempDir(), "register.jsonl"), false
	if err := os.WriteFile(path, lines(t, issued(0), issued(1)), 0o600); err != nil {
		t.Fatal(err)
	}
	store := NewFileStore(path, Config{Clock: atNoon, Verify: func(line uint64, _ *Issued) error {
		if line == 2 && !known {
			return errFault
		}
		return nil
	}})
	if _, err := store.Load(t.Context()); !errors.Is(err, errFault) {
		t.Errorf("got %v", err)
	}
	known = true
	if register, err := store.Load(t.Context()); err != nil || register.Head().Count != 2 {
		t.Errorf("%v", err)
	}
}
