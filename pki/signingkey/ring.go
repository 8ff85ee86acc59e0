package signingkey

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Ring is the generated keys of one issuer. It is safe for concurrent use, also by several processes that keep it in one
// file: each of them finds the same keys.
type Ring struct {
	path string

	mu   sync.Mutex
	keys []Key // by when they begin; what the file held last
}

// Open returns the ring that is kept in a file of mode 0600, which is made when the first key is needed, as is its folder, of
// mode 0700. With an empty path it is kept in memory. The file is the truth: who removes it has all keys made anew.
func Open(path string) *Ring { return &Ring{path: path} }

// At returns the keys as a schedule has them at a moment, and when that is to be asked again. It makes keys that are due, and
// forgets those that are no longer published. A file that cannot be read or written is an error; it is never written over
// then.
func (r *Ring) At(schedule Schedule, now time.Time) (*Set, time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys, err := r.load()
	if err != nil {
		return nil, time.Time{}, err
	}
	if len(keys) == 0 || schedule.changes(keys, now) {
		if keys, err = r.advance(schedule, now); err != nil {
			return nil, time.Time{}, err
		}
	}
	r.keys = keys
	found := schedule.at(beginnings(keys), now)
	return newSet(keys[found.signing], keys[found.oldest:]), found.until, nil
}

// changes reports whether a key is to be made or forgotten.
func (s Schedule) changes(keys []Key, now time.Time) bool {
	found := s.at(beginnings(keys), now)
	return found.due || found.oldest > 0
}

// advance makes and forgets keys, while other processes wait.
func (r *Ring) advance(schedule Schedule, now time.Time) ([]Key, error) {
	unlock, err := r.lock()
	if err != nil {
		return nil, fmt.Errorf("lock the signing keys: %w", err)
	}
	defer unlock()
	keys, err := r.load() // another process may have been first
	if err != nil {
		return nil, err
	}
	advanced, err := schedule.advance(keys, now)
	if err != nil {
		return nil, err
	}
	return advanced, r.save(advanced)
}

// advance is the keys without those that are no longer published, and with those that are due. The first of all signs at
// once: there is no key set yet that somebody could hold.
func (s Schedule) advance(keys []Key, now time.Time) ([]Key, error) {
	var advanced []Key
	begin := now
	if len(keys) > 0 {
		found := s.at(beginnings(keys), now)
		advanced = append(advanced, keys[found.oldest:]...)
		begin = s.next(keys[len(keys)-1].Begins, now)
	}
	for len(advanced) == 0 || s.at(beginnings(advanced), now).due {
		key, err := Generate(begin)
		if err != nil {
			return nil, err
		}
		advanced = append(advanced, key)
		begin = s.next(begin, now)
	}
	return advanced, nil
}

func beginnings(keys []Key) []time.Time {
	begins := make([]time.Time, len(keys))
	for i, key := range keys {
		begins[i] = key.Begins
	}
	return begins
}

// lock keeps other processes out.
func (r *Ring) lock() (unlock func(), err error) {
	if r.path == "" {
		return func() {}, nil
	}
	if err := os.MkdirAll(filepath.Dir(r.path), 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(r.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	unlock = func() { _ = file.Close() } // which unlocks it
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}
