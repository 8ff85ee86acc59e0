package register

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Store keeps a register where several operators can get at it. What Append has returned without an error is kept, whatever
// others append at the same time. A Store is safe for concurrent use, in one process and in several.
type Store interface {
	// Load returns the register as it is now. The same Register is returned each time, and grows with what is appended. An
	// error that wraps a *BrokenError says that what is kept is not what was written, and one that wraps a *ForeignError that it is
	// nobody's of the register.
	Load(ctx context.Context) (*Register, error)
	// Append keeps the records that propose returns for the register as it is at that moment: nothing is appended by
	// anybody between. Where somebody else was first, propose is called again. It must not call the Store.
	Append(ctx context.Context, propose Proposal) ([]Entry, error)
}

// Proposal decides what to append to a register that it may read. An error of its own ends the Append and is returned by it.
type Proposal func(*Register) ([]Record, error)

// Always proposes the same records, whatever the register holds.
func Always(records ...Record) Proposal {
	return func(*Register) ([]Record, error) { return records, nil }
}

// Config is what every Store needs.
type Config struct {
	// Clock is time.Now if nil.
	Clock func() time.Time
	// Logger tells of what was recovered; nil for none.
	Logger hclog.Logger
	// Verify is asked about each certificate that a line tells of, before the line is taken or written: its error says why
	// none of the register's authorities has signed it, and Load's and Append's then wrap a *ForeignError. Nil: no signature
	// is looked at. It must not call the Store.
	Verify func(line uint64, issued *Issued) error
}

func (c Config) withDefaults() Config {
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	return c
}
