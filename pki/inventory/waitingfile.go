package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/revocation"
)

// writtenWaiting is what the file beside what was seen holds.
type writtenWaiting struct {
	Lists   []writtenList `json:"lists"`
	Gaps    []gap         `json:"gaps,omitempty"`
	Overrun []string      `json:"overrun,omitempty"`
}

type writtenList struct {
	Source string `json:"source"`
	DER    []byte `json:"der"`
}

func (s state) waitingPath(name string) (string, error) {
	if !resourceName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a truststore", name)
	}
	return filepath.Join(s.folder, "seen", name+".lists.json"), nil
}

// kept returns what a process kept last; nothing if it cannot be read, with a problem about it. It reports whether its
// place may be written.
func (t *trustLook) kept() (found waiting, writable bool) {
	if t.state.folder == "" {
		return waiting{}, false
	}
	path, err := t.state.waitingPath(t.name)
	if err != nil {
		t.fault("%w", err)
		return waiting{}, false
	}
	err = t.state.load(path, t.now, func(data []byte) (err error) {
		found, err = parseWaiting(data)
		return err
	})
	if err != nil {
		t.unreadable(t.name, err)
		return waiting{}, !errors.Is(err, errStillThere)
	}
	return found, true
}

func parseWaiting(data []byte) (waiting, error) {
	var written writtenWaiting
	if err := json.Unmarshal(data, &written); err != nil {
		return waiting{}, err
	}
	found := waiting{gaps: written.Gaps, overrun: written.Overrun}
	for _, left := range found.gaps {
		if left.Number == nil {
			return waiting{}, errors.New("a gap has no number")
		}
	}
	for _, list := range written.Lists {
		parsed, err := revocation.Parse(list.DER)
		if err != nil {
			return waiting{}, err
		}
		for _, p := range parsed {
			found.lists = append(found.lists, unprovenList{p, list.Source})
		}
	}
	return found, nil
}

func (s state) writeWaiting(name string, w waiting) error {
	path, err := s.waitingPath(name)
	if err != nil {
		return err
	}
	written := writtenWaiting{Gaps: w.gaps, Overrun: w.overrun}
	for _, list := range w.lists {
		written.Lists = append(written.Lists, writtenList{list.source, list.Raw})
	}
	data, err := json.Marshal(written)
	if err != nil {
		return fmt.Errorf("encode the lists that wait: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the lists that wait: %w", err)
	}
	return atomicfile.Replace(path, data, 0o600)
}
