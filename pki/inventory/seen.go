package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/revocation"
)

// seen is the highest that was seen of everything about a truststore that only rises, so that nobody puts something older
// in its place, not even over a restart.
type seen struct {
	// Lists by revocation.Authority.
	Lists map[string]seenList `json:"lists"`
	// Registers by their reference.
	Registers map[string]seenRegister `json:"registers"`
	Manifest  seenManifest            `json:"manifest"`
}

type seenList struct {
	// Number in decimal, up to 20 bytes (RFC 5280, section 5.2.3).
	Number string `json:"number"`
	// Content is the SHA-256 of what was signed.
	Content string `json:"content"`
}

type seenRegister struct {
	Number uint64 `json:"number"`
	Hash   string `json:"hash"`
}

type seenManifest struct {
	Generation   uint64 `json:"generation"`
	BundleSHA256 string `json:"bundle_sha256"`
}

// number is below every list's where none was seen.
func (s seenList) number() *big.Int {
	if n, ok := new(big.Int).SetString(s.Number, 10); ok {
		return n
	}
	return big.NewInt(-1)
}

func newSeen() *seen {
	return &seen{Lists: make(map[string]seenList), Registers: make(map[string]seenRegister)}
}

func (s *seen) list(authority revocation.Authority) seenList { return s.Lists[authority.String()] }

func (s *seen) clone() *seen {
	return &seen{Lists: maps.Clone(s.Lists), Registers: maps.Clone(s.Registers), Manifest: s.Manifest}
}

func (s *seen) equal(other *seen) bool {
	return maps.Equal(s.Lists, other.Lists) && maps.Equal(s.Registers, other.Registers) && s.Manifest == other.Manifest
}

// raise takes over what another process has seen that is higher.
func (s *seen) raise(other *seen) {
	for authority, list := range other.Lists {
		if list.number().Cmp(s.Lists[authority].number()) > 0 {
			s.Lists[authority] = list
		}
	}
	for source, register := range other.Registers {
		if register.Number > s.Registers[source].Number {
			s.Registers[source] = register
		}
	}
	if other.Manifest.Generation > s.Manifest.Generation {
		s.Manifest = other.Manifest
	}
}

// seenOf returns a copy of what was seen of a truststore.
func (l *look) seenOf(name string) *seen {
	known := l.memory.seen[name]
	if known == nil {
		var err error
		if known, err = l.state.loadSeen(name, l.now); err != nil {
			// Nothing older is told from newer now. The sources themselves are signed, so this alone lets nobody in.
			l.unreadable(name, err)
			known = newSeen()
		}
		l.memory.seen[name] = known
	}
	return known.clone()
}

// saveSeen remembers what is new, for good: a truststore that comes back has not become younger.
func (l *look) saveSeen(name string, now *seen) {
	if now.equal(l.memory.seen[name]) {
		return
	}
	l.memory.seen[name] = now
	if err := l.state.saveSeen(name, now, l.now); err != nil {
		l.logger.Warn("what was seen of a truststore cannot be kept over a restart", "truststore", name, "error", err)
		if errors.Is(err, errStillThere) {
			l.memory.unreadable[name] = err
		}
	}
}

func (s state) seenPath(name string) (string, error) {
	if !resourceName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a truststore", name)
	}
	return filepath.Join(s.folder, "seen", name+".json"), nil
}

// loadSeen returns what saveSeen kept last; an empty one if there is nothing.
func (s state) loadSeen(name string, now time.Time) (*seen, error) {
	if s.folder == "" {
		return newSeen(), nil
	}
	path, err := s.seenPath(name)
	if err != nil {
		return nil, err
	}
	kept := newSeen()
	err = s.load(path, now, func(data []byte) error {
		if err := json.Unmarshal(data, kept); err != nil {
			return err
		}
		if kept.Lists == nil || kept.Registers == nil {
			return errors.New("it has no lists or registers")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// saveSeen replaces what was kept, and lowers nothing that another process has kept meanwhile.
func (s state) saveSeen(name string, seen *seen, now time.Time) error {
	if s.folder == "" {
		return nil
	}
	path, err := s.seenPath(name)
	if err != nil {
		return err
	}
	kept, err := s.loadSeen(name, now)
	switch {
	case err == nil:
		seen.raise(kept)
	case errors.Is(err, errStillThere):
		return err
	}
	data, err := json.Marshal(seen)
	if err != nil {
		return fmt.Errorf("encode what was seen: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep what was seen: %w", err)
	}
	return atomicfile.Replace(path, data, 0o600)
}
