package issuer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/register"
)

// state is how far things had come when this home was last used. It only ever rises.
type state struct {
	// Head is the register's.
	Head register.Head `json:"head"`
	// Number is that of the last publication.
	Number uint64 `json:"number"`
}

func (i *Issuer) readState() (state, error) {
	path := filepath.Join(i.config.Dir, stateFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state{Head: register.Head{Hash: register.Origin}}, nil
	}
	var read state
	if err == nil {
		err = json.Unmarshal(data, &read)
	}
	if err != nil {
		return state{}, fmt.Errorf("read %s: %w", path, err)
	}
	return read, nil
}

// remember raises what is known. Another process may do so at the same time: the one that knows less may win, and then
// less is known, never what is wrong.
func (i *Issuer) remember(reached state) error {
	known, err := i.readState()
	if err != nil {
		return err
	}
	raised := known
	if reached.Head.Count > known.Head.Count {
		raised.Head = reached.Head
	}
	raised.Number = max(known.Number, reached.Number)
	if raised == known {
		return nil
	}
	data, err := json.MarshalIndent(raised, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the home's state: %w", err)
	}
	return atomicfile.Replace(filepath.Join(i.config.Dir, stateFile), append(data, '\n'), 0o600)
}
