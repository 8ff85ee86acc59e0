package issuer

import (
	"context"
	"fmt"
	"time"

	"github.com/sallyport-project/sallyport/pki/register"
)

// Due is when and why a new list must be published.
type Due struct {
	// At is when; not after now if it is overdue.
	At time.Time
	// Reason is for people.
	Reason string
}

// Due reads register and publications, and says when the next list must be published: at once if none is published, or the
// register holds more than was published; else when a scheduled revocation takes effect, or RepublishAhead before the
// list runs out.
func (i *Issuer) Due(ctx context.Context) (Due, error) {
	if err := i.loadGenerations(); err != nil {
		return Due{}, err
	}
	before, err := i.readPublished(ctx)
	if err != nil {
		return Due{}, fmt.Errorf("find out what is published: %w", err)
	}
	current, err := i.Register(ctx)
	if err != nil {
		return Due{}, err
	}
	return i.due(before, current), nil
}

func (i *Issuer) due(before published, current *register.Register) Due {
	now := i.config.Clock()
	for position, place := range i.publish {
		at := before.places[position]
		if at.list.ETag == "" || at.index.ETag == "" || at.head.ETag == "" {
			return Due{At: now, Reason: fmt.Sprintf("%s is not published yet", place)}
		}
	}
	last := before.last
	if head := current.Head(); head.Hash != last.Head.Hash {
		return Due{At: now, Reason: fmt.Sprintf("the register has %d entries, and %d are published", head.Count, last.Head.Count)}
	}
	due := Due{At: last.NextUpdate.Add(-time.Duration(i.settings.RepublishAhead)), Reason: "the list is renewed before it runs out"}
	for _, certificate := range current.Certificates(func(c *register.Certificate) bool {
		return c.Revocation != nil && c.Revocation.At.After(last.ThisUpdate) && !c.Revocation.At.After(c.NotAfter)
	}) {
		if at := certificate.Revocation.At; at.Before(due.At) {
			due = Due{At: at, Reason: fmt.Sprintf("the revocation of %s takes effect", certificate.Serial)}
		}
	}
	return due
}

// PublishIfDue publishes if that is due, and reports whether it was.
func (i *Issuer) PublishIfDue(ctx context.Context) (made Published, was bool, err error) {
	due, err := i.Due(ctx)
	if err != nil || i.config.Clock().Before(due.At) {
		return Published{}, false, err
	}
	i.config.Logger.Debug("a revocation list is due", "reason", due.Reason)
	made, err = i.Publish(ctx)
	return made, err == nil, err
}

// maxPause is the longest that Run waits after a failure.
const maxPause = time.Minute

// Run keeps the publications as they should be until the context ends, and then returns nil. What goes wrong is told to the
// log, once for each kind, and tried again.
func (i *Issuer) Run(ctx context.Context) error {
	pause, told := i.config.Poll, ""
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		_, _, err := i.PublishIfDue(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			if told != "" {
				i.config.Logger.Info("the revocation list can be published again")
			}
			pause, told = i.config.Poll, ""
		default:
			if err.Error() != told {
				i.config.Logger.Error("the revocation list cannot be published, trying again", "error", err)
			}
			pause, told = min(2*pause, maxPause), err.Error()
		}
		timer.Reset(pause)
	}
}
