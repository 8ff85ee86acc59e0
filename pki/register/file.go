package register

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
)

// ErrReplaced is wrapped by the error of a Store whose file was replaced or cut while it was open.
var ErrReplaced = errors.New("the register's file was replaced or cut while it was in use: stop, and put back the whole register")

// lockRetry is how often a lock that another process holds is tried for.
const lockRetry = 10 * time.Millisecond

// FileStore keeps a register in one file of mode 0600, which it makes when there is something to keep. Writers of several
// processes are kept apart by flock(2), which does not reach over NFS: there, and where operators share no disk, use an
// ObjectStore.
type FileStore struct {
	path   string
	config Config

	mu       sync.Mutex
	register *Register
	// read is how many bytes of the file the register holds, and file is which file that was.
	read int64
	file os.FileInfo
}

// NewFileStore keeps a register in a file, whose folder must exist.
func NewFileStore(path string, config Config) *FileStore {
	return &FileStore{path: path, config: config.withDefaults(), register: &Register{verify: config.Verify}}
}

// Load reads what was appended since it was called last. A last line without an end was never acknowledged to whoever
// wrote it; it is told to the log, and the register is returned without it.
func (s *FileStore) Load(ctx context.Context) (*Register, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.OpenFile(s.path, os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) && s.file == nil {
		return s.register, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the register: %w", err)
	}
	defer func() { _ = file.Close() }() // only read from
	if err := lock(ctx, file, syscall.LOCK_SH); err != nil {
		return nil, fmt.Errorf("read the register %s: %w", s.path, err)
	}
	torn, err := s.catchUp(file)
	if err != nil {
		return nil, fmt.Errorf("read the register %s: %w", s.path, err)
	}
	if len(torn) > 0 {
		s.config.Logger.Warn("the register ends in the middle of a line: whoever wrote it was interrupted before it was acknowledged; it is set aside when something is appended",
			"path", s.path, "bytes", len(torn))
	}
	return s.register, nil
}

// Append writes all records or none, and returns when they are on the disk.
func (s *FileStore) Append(ctx context.Context, propose Proposal) ([]Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	file, err := os.OpenFile(s.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("append to the register: %w", err)
	}
	entries, err := s.append(ctx, file, propose)
	if err = errors.Join(err, file.Close()); err != nil { // closing gives up the lock
		return nil, fmt.Errorf("append to the register %s: %w", s.path, err)
	}
	return entries, nil
}

func (s *FileStore) append(ctx context.Context, file *os.File, propose Proposal) ([]Entry, error) {
	if err := lock(ctx, file, syscall.LOCK_EX); err != nil {
		return nil, err
	}
	torn, err := s.catchUp(file)
	if err != nil {
		return nil, err
	}
	if len(torn) > 0 {
		if err := s.setAside(file, torn); err != nil {
			return nil, err
		}
	}
	records, err := propose(s.register)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	entries, lines, err := s.register.extend(records, s.config.Clock())
	if err != nil {
		return nil, err
	}
	if _, err := file.WriteAt(lines, s.read); err != nil {
		return nil, errors.Join(err, file.Truncate(s.read))
	}
	if err := errors.Join(file.Sync(), atomicfile.SyncFolder(filepath.Dir(s.path))); err != nil {
		return nil, errors.Join(err, file.Truncate(s.read))
	}
	if err := s.register.read(lines); err != nil {
		return nil, err
	}
	s.read += int64(len(lines))
	return entries, nil
}

// catchUp reads what was appended, and returns the beginning of a line that was never finished. The caller holds a lock
// on the file.
func (s *FileStore) catchUp(file *os.File) (torn []byte, err error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if s.file != nil && (!os.SameFile(s.file, info) || info.Size() < s.read) {
		return nil, ErrReplaced
	}
	s.file = info
	data, err := io.ReadAll(io.NewSectionReader(file, s.read, info.Size()-s.read))
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(data, '\n') + 1
	if err := s.register.read(data[:end]); err != nil {
		return nil, err
	}
	s.read += int64(end)
	return data[end:], nil
}

// setAside moves the beginning of a line that was never finished to a file beside the register, so that nothing is lost
// unseen.
func (s *FileStore) setAside(file *os.File, torn []byte) error {
	aside := fmt.Sprintf("%s.torn-%d", s.path, s.config.Clock().UnixNano())
	if err := os.WriteFile(aside, torn, 0o600); err != nil {
		return fmt.Errorf("set a torn line aside: %w", err)
	}
	if err := file.Truncate(s.read); err != nil {
		return fmt.Errorf("set a torn line aside: %w", err)
	}
	s.config.Logger.Warn("the register ended in the middle of a line, which was never acknowledged: it was set aside",
		"path", s.path, "set_aside", aside, "bytes", len(torn))
	return nil
}

// lock waits for a lock on an open file, as long as the context lets it. Closing the file gives it up.
func lock(ctx context.Context, file *os.File, how int) error {
	ticker := time.NewTicker(lockRetry)
	defer ticker.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), how|syscall.LOCK_NB)
		if err == nil || !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for whoever has it locked: %w", ctx.Err())
		case <-ticker.C:
		}
	}
}
