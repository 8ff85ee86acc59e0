package issuer

import (
	"context"
	"crypto"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
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

// Due reads register and publications, and says when the next list must be published: at once if none is published, one of
// the publications is behind another or incomplete, or the register holds more than was published; else when a scheduled
// revocation takes effect, or RepublishAhead before the list runs out. A publication that cannot be read is an error.
func (i *Issuer) Due(ctx context.Context) (Due, error) {
	due, before, err := i.look(ctx)
	if err == nil {
		err = before.failed()
	}
	if err != nil {
		return Due{}, fmt.Errorf("find out whether a revocation list is due: %w", err)
	}
	return due, nil
}

// look judges those publications that can be read.
func (i *Issuer) look(ctx context.Context) (Due, published, error) {
	if err := i.loadGenerations(); err != nil {
		return Due{}, published{}, err
	}
	before := i.readPublished(ctx)
	current, err := i.Register(ctx)
	if err != nil {
		return Due{}, published{}, err
	}
	return i.due(before, current), before, nil
}

func (i *Issuer) due(before published, current *register.Register) Due {
	now := i.config.Clock()
	for position, place := range i.publish {
		if reason := i.behind(before.places[position], before.last); reason != "" {
			return Due{At: now, Reason: fmt.Sprintf("%s %s", place, reason)}
		}
	}
	last := before.last
	if last == nil { // none can be read
		return Due{At: now, Reason: "it is not known what is published"}
	}
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

// behind says why a publication is not the newest as a whole; empty if it is, or cannot be read. Whoever publishes may have
// been interrupted between two objects, or between two places.
func (i *Issuer) behind(at standing, newest *register.Index) string {
	switch {
	case at.err != nil:
		return ""
	case at.list.ETag == "" || at.index.ETag == "" || at.head.ETag == "":
		return "is not published yet"
	case at.parsed.Number != newest.Number || at.parsed.Head.Hash != newest.Head.Hash:
		return fmt.Sprintf("has publication %d, and %d is the newest", at.parsed.Number, newest.Number)
	}
	var signers []crypto.PublicKey
	for _, g := range i.inForce() {
		signers = append(signers, g.signer().PublicKey)
		if !hasNumber(at.lists, g.signer(), newest.Number) {
			return fmt.Sprintf("has no list %d of %q", newest.Number, commonName(g.signer()))
		}
	}
	if head, err := register.ReadHead(at.head.Data, signers); err != nil || head.Hash != newest.Head.Hash {
		return "has the head of another publication"
	}
	return ""
}

// hasNumber reports whether there is a list of an authority with a number. Those of offline roots have numbers of their own.
func hasNumber(lists []*x509.RevocationList, authority *x509.Certificate, number uint64) bool {
	return slices.ContainsFunc(lists, func(list *x509.RevocationList) bool {
		return list.Number.Cmp(new(big.Int).SetUint64(number)) == 0 && signedByAny(list, []*x509.Certificate{authority})
	})
}

// PublishIfDue publishes if that is due, and reports whether it was. A publication that cannot be read keeps no other from
// being made; it is the error all the same.
func (i *Issuer) PublishIfDue(ctx context.Context) (made Published, was bool, err error) {
	due, before, err := i.look(ctx)
	if err != nil {
		return Published{}, false, fmt.Errorf("find out whether a revocation list is due: %w", err)
	}
	if i.config.Clock().Before(due.At) {
		return Published{}, false, before.failed()
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
