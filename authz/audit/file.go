package audit

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// lookAgain is how often a File looks whether its path still leads to it.
const lookAgain = time.Second

// File is a file that lines are appended to: made with mode 0600 where it is not there, and opened again once it was renamed
// or removed, as log rotation does, so that nothing has to be told of that. It is safe for concurrent use.
type File struct {
	path  string
	clock func() time.Time

	mu     sync.Mutex
	file   *os.File // nil after it could not be opened again
	looked time.Time
}

// OpenFile opens a file. The clock is time.Now if nil.
func OpenFile(path string, clock func() time.Time) (*File, error) {
	if clock == nil {
		clock = time.Now
	}
	f := &File{path: path, clock: clock}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) open() error {
	file, err := os.OpenFile(f.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the audit log: %w", err)
	}
	f.file, f.looked = file, f.clock()
	return nil
}

// Write appends. It looks at most once a second whether the file is still where it was.
func (f *File) Write(lines []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.moved() {
		if err := f.reopen(); err != nil {
			return 0, err
		}
	}
	return f.file.Write(lines)
}

// moved tells whether the path leads elsewhere than to the open file.
func (f *File) moved() bool {
	if f.file == nil {
		return true
	}
	now := f.clock()
	if now.Sub(f.looked) < lookAgain {
		return false
	}
	f.looked = now
	open, err := f.file.Stat()
	if err != nil {
		return true
	}
	there, err := os.Stat(f.path)
	return err != nil || !os.SameFile(open, there)
}

// Reopen opens the path again, for whoever rotates logs and says so by a signal.
func (f *File) Reopen() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reopen()
}

// reopen keeps the open file where the path cannot be opened: better there than nowhere.
func (f *File) reopen() error {
	before := f.file
	if err := f.open(); err != nil {
		if before != nil {
			return nil // tried again at the next look
		}
		return err
	}
	if before != nil {
		_ = before.Close() // all of it was written
	}
	return nil
}

// Close closes the file. A later Write opens it again.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.file == nil {
		return nil
	}
	err := errors.Join(f.file.Sync(), f.file.Close())
	f.file = nil
	return err
}
