package enrolment

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// DefaultLifetime and MaxLifetime bound how long a token is good for.
const (
	DefaultLifetime = time.Hour
	MaxLifetime     = 7 * 24 * time.Hour
)

// idSize is the length of a token's ID in bytes.
const idSize = 8

// mostOpen is how many tokens may be open at a time.
const mostOpen = 10_000

// ErrRefused is the error for a token that is unknown, used, out of date, or whose secret is wrong. Which of them is not
// told to the bearer.
var ErrRefused = errors.New("the enrolment token is not good: unknown, used already, or out of date; ask for another")

// Book is the tokens that were given out. It is safe for concurrent use, also by several processes that keep it in one file.
type Book struct {
	path  string
	clock func() time.Time

	mu    sync.Mutex
	given map[string]given
}

// given is a token that was given out and is not used yet.
type given struct {
	// Secret is the SHA-256 of the secret: enough bits are random that no slower hash is needed.
	Secret   [sha256.Size]byte `json:"secret"`
	Identity string            `json:"identity"`
	By       string            `json:"by"`
	Expires  time.Time         `json:"expires"`
}

// Open reads a book, or begins one. It is kept in a file of mode 0600; in memory alone if the path is empty. Clock is
// time.Now if nil.
func Open(path string, clock func() time.Time) (*Book, error) {
	if clock == nil {
		clock = time.Now
	}
	book := &Book{path: path, clock: clock, given: make(map[string]given)}
	unlock, err := book.lock()
	if err != nil {
		return nil, err
	}
	unlock()
	return book, nil
}

// lock keeps others out, in this process and in others, and reads what they have written. Its caller calls unlock.
func (b *Book) lock() (unlock func(), err error) {
	b.mu.Lock()
	if b.path == "" {
		return b.mu.Unlock, nil
	}
	file, err := os.OpenFile(b.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX) // held for as long as a small file is written
	}
	if err == nil {
		err = b.read()
	}
	unlock = func() {
		_ = file.Close() // which unlocks it
		b.mu.Unlock()
	}
	if err != nil {
		unlock()
		return nil, fmt.Errorf("read the book of enrolment tokens: %w", err)
	}
	return unlock, nil
}

// read takes over what the file holds.
func (b *Book) read() error {
	content, err := os.ReadFile(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		b.given = make(map[string]given)
		return nil
	}
	if err != nil {
		return err
	}
	held := make(map[string]given)
	if err := json.Unmarshal(content, &held); err != nil {
		return err
	}
	b.given = held
	return nil
}

// Give makes a token for an identity, with the ID and the secret filled in; the caller adds the rest. By says who asked
// for it.
func (b *Book) Give(identity spiffe.Identity, by string, lifetime time.Duration) (Token, time.Time, error) {
	if lifetime == 0 {
		lifetime = DefaultLifetime
	}
	if err := identity.Validate(); err != nil {
		return Token{}, time.Time{}, err
	}
	if lifetime < 0 || lifetime > MaxLifetime {
		return Token{}, time.Time{}, fmt.Errorf("an enrolment token lives for at most %s", MaxLifetime)
	}
	var id [idSize]byte
	_, _ = rand.Read(id[:]) // never fails, see crypto/rand
	token := Token{ID: hex.EncodeToString(id[:]), Secret: make([]byte, secretSize)}
	_, _ = rand.Read(token.Secret)
	unlock, err := b.lock()
	if err != nil {
		return Token{}, time.Time{}, err
	}
	defer unlock()
	b.forgetExpired()
	if len(b.given) >= mostOpen {
		return Token{}, time.Time{}, fmt.Errorf("%d enrolment tokens are open already: use them, or wait until they expire", len(b.given))
	}
	entry := given{sha256.Sum256(token.Secret), identity.String(), by, b.clock().Add(lifetime)}
	b.given[token.ID] = entry
	if err := b.save(); err != nil {
		delete(b.given, token.ID)
		return Token{}, time.Time{}, err
	}
	return token, entry.Expires, nil
}

// Redeem takes a token out of the book and calls use with its identity and who asked for the token. It is used up before
// use is called, so that it is good for one certificate whatever happens; if use fails, it goes back. The error wraps
// ErrRefused where the token is not good.
func (b *Book) Redeem(id string, secret []byte, use func(identity spiffe.Identity, by string) error) error {
	entry, identity, err := b.take(id, secret)
	if err != nil {
		return err
	}
	if err := use(identity, entry.By); err != nil {
		return errors.Join(err, b.putBack(id, entry))
	}
	return nil
}

// Withdraw makes the open tokens of an identity good for nothing, and returns how many there were.
func (b *Book) Withdraw(identity spiffe.Identity) (int, error) {
	unlock, err := b.lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	kept := make(map[string]given, len(b.given))
	for id, entry := range b.given {
		if entry.Identity != identity.String() {
			kept[id] = entry
		}
	}
	if len(kept) == len(b.given) {
		return 0, nil
	}
	before := b.given
	b.given = kept
	if err := b.save(); err != nil {
		b.given = before
		return 0, err
	}
	return len(before) - len(kept), nil
}

func (b *Book) take(id string, secret []byte) (given, spiffe.Identity, error) {
	unlock, err := b.lock()
	if err != nil {
		return given{}, spiffe.Identity{}, err
	}
	defer unlock()
	entry, found := b.given[id]
	sum := sha256.Sum256(secret)
	if !found || subtle.ConstantTimeCompare(sum[:], entry.Secret[:]) != 1 || !b.clock().Before(entry.Expires) {
		return given{}, spiffe.Identity{}, ErrRefused
	}
	identity, err := spiffe.Parse(entry.Identity)
	if err != nil {
		return given{}, spiffe.Identity{}, fmt.Errorf("the book of enrolment tokens: %w", err)
	}
	delete(b.given, id)
	if err := b.save(); err != nil {
		b.given[id] = entry
		return given{}, spiffe.Identity{}, err
	}
	return entry, identity, nil
}

func (b *Book) putBack(id string, entry given) error {
	unlock, err := b.lock()
	if err != nil {
		return err
	}
	defer unlock()
	b.given[id] = entry
	return b.save()
}

func (b *Book) forgetExpired() {
	now := b.clock()
	for id, entry := range b.given {
		if !now.Before(entry.Expires) {
			delete(b.given, id)
		}
	}
}

// save replaces the file as a whole.
func (b *Book) save() error {
	if b.path == "" {
		return nil
	}
	content, err := json.Marshal(b.given) //nolint:gosec // hashes of secrets
	if err != nil {
		return fmt.Errorf("keep the book of enrolment tokens: %w", err)
	}
	if err := atomicfile.Replace(b.path, content, 0o600); err != nil {
		return fmt.Errorf("keep the book of enrolment tokens: %w", err)
	}
	return nil
}
