package issuer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
)

// Rotate makes a new generation beside those in force, and returns its number. From then on both are trusted by whoever
// trusts Bundle, both have a list, and the old one still issues: Activate makes the new one issue, once the new bundle
// has arrived wherever its certificates are verified. The home's settings stay; those of the options are passed over.
func (i *Issuer) Rotate(ctx context.Context, options Options) (number int, err error) {
	if err := i.loadGenerations(); err != nil {
		return 0, err
	}
	making, err := os.MkdirTemp(i.config.Dir, ".making-") // mode 0700
	if err != nil {
		return 0, fmt.Errorf("bring in a new generation: %w", err)
	}
	defer func() { _ = os.RemoveAll(making) }() // there is nothing left of it if all went well
	number = i.nextGeneration()
	records, err := i.makeGeneration(ctx, making, number, options)
	if err != nil {
		return 0, fmt.Errorf("bring in a new generation: %w", err)
	}
	if err := i.moveIn(ctx, making, filepath.Join(i.config.Dir, strconv.Itoa(number)), records); err != nil {
		return 0, fmt.Errorf("bring in a new generation: %w", err)
	}
	i.config.Logger.Info("generation made", "number", number)
	return number, i.writeBundle()
}

// moveIn puts a generation in its place, and enters its records: whoever reads of its certificates in the register finds
// the authority that has signed them. Nothing is trusted before the bundle is written.
func (i *Issuer) moveIn(ctx context.Context, making, place string, records []register.Record) error {
	if err := os.Rename(making, place); err != nil {
		return fmt.Errorf("did somebody else do so at the same time? %w", err)
	}
	err := i.loadGenerations()
	if err == nil && len(records) > 0 {
		_, err = i.append(ctx, register.Always(records...))
	}
	if err == nil {
		return nil
	}
	// An answer that was lost, or an operator who has interrupted us: what counts is what the register holds.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	switch entered, fault := i.hasEntered(ctx, records); {
	case fault != nil:
		return errors.Join(err, fmt.Errorf("whether the register has the new generation cannot be told, so it stays in %s: look with `sallyport ca show`, and take it out with `sallyport ca retire` if it is not wanted: %w", place, fault))
	case entered:
		return i.loadGenerations()
	}
	i.forgetKeys(place)
	return errors.Join(err, os.Rename(place, making), i.loadGenerations())
}

// settleTimeout bounds how long the register is asked after an append of which no answer came.
const settleTimeout = 30 * time.Second

// hasEntered tells whether the register holds every certificate of the records.
func (i *Issuer) hasEntered(ctx context.Context, records []register.Record) (bool, error) {
	current, err := i.Register(ctx)
	if err != nil {
		return false, err
	}
	for _, record := range records {
		if _, found := current.Certificate(record.Issued.CertificateSHA256); !found {
			return false, nil
		}
	}
	return len(records) > 0, nil
}

// forgetKeys drops what was loaded of a generation that is taken out again: another may come under its number.
func (i *Issuer) forgetKeys(place string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	maps.DeleteFunc(i.authorities, func(key authorityKey, _ *ca.Authority) bool {
		return strconv.Itoa(key.generation) == filepath.Base(place)
	})
}

func (i *Issuer) nextGeneration() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	highest := 0
	for _, generations := range [][]*generation{i.generations, i.retired} {
		for _, generation := range generations {
			highest = max(highest, generation.number)
		}
	}
	return highest + 1
}

// Activate makes a generation in force the one that issues.
func (i *Issuer) Activate(number int) error {
	if err := i.loadGenerations(); err != nil {
		return err
	}
	i.mu.Lock()
	found := i.generation(number)
	i.mu.Unlock()
	if found == nil {
		return fmt.Errorf("generation %d is not in force", number)
	}
	if err := atomicfile.Replace(filepath.Join(i.config.Dir, activeFile), []byte(strconv.Itoa(number)+"\n"), 0o644); err != nil {
		return err
	}
	i.config.Logger.Info("generation issues", "number", number, "subject", found.signer().Subject)
	return nil
}

// ErrInUse is wrapped by the error of Retire for a generation whose certificates are still in force.
var ErrInUse = errors.New("certificates of it are still in force")

// Retire takes a generation out of force: it leaves the bundle, and no more lists of it are published. Its folder is kept
// among the retired ones. The generation that issues is refused, and, unless it is forced, one whose certificates are
// still in force: the error wraps ErrInUse.
func (i *Issuer) Retire(ctx context.Context, number int, force bool) error {
	if err := i.loadGenerations(); err != nil {
		return err
	}
	active, err := i.active()
	if err != nil {
		return err
	}
	i.mu.Lock()
	leaving := i.generation(number)
	i.mu.Unlock()
	switch {
	case leaving == nil:
		return fmt.Errorf("generation %d is not in force", number)
	case leaving.number == active.number:
		return fmt.Errorf("generation %d issues: bring in a new one and make it issue first", number)
	}
	if inUse, err := i.inUse(ctx, leaving); err != nil {
		return err
	} else if inUse > 0 && !force {
		return fmt.Errorf("retire generation %d: %d %w: renew or revoke them first", number, inUse, ErrInUse)
	}
	retired := filepath.Join(i.config.Dir, retiredDir)
	if err := os.MkdirAll(retired, 0o700); err != nil {
		return fmt.Errorf("retire generation %d: %w", number, err)
	}
	if err := os.Rename(leaving.folder, filepath.Join(retired, strconv.Itoa(number))); err != nil {
		return fmt.Errorf("retire generation %d: %w", number, err)
	}
	if err := i.loadGenerations(); err != nil {
		return err
	}
	i.config.Logger.Info("generation retired", "number", number)
	return i.writeBundle()
}

// inUse counts the certificates of holders that a generation has issued and that are in force.
func (i *Issuer) inUse(ctx context.Context, g *generation) (int, error) {
	current, err := i.Register(ctx)
	if err != nil {
		return 0, err
	}
	now, issuer := i.config.Clock(), issuedBy(g.signer())
	return len(current.Certificates(func(c *register.Certificate) bool {
		status := c.StatusAt(now)
		return c.IssuerSHA256 == issuer && status != register.RevokedNow && status != register.Expired
	})), nil
}

// Bundle is what must be trusted at present, in PEM: of each generation in force the root, and the authority that issues
// below it, so that callers need not send that with their certificates. It stands in bundle.pem too.
func (i *Issuer) Bundle() []byte {
	var bundle []byte
	for _, generation := range i.inForce() {
		bundle = append(bundle, ca.EncodeCertificate(generation.anchor())...)
		if !generation.signer().Equal(generation.anchor()) {
			bundle = append(bundle, ca.EncodeCertificate(generation.signer())...)
		}
	}
	return bundle
}

func (i *Issuer) writeBundle() error {
	return atomicfile.Replace(filepath.Join(i.config.Dir, bundleFile), i.Bundle(), 0o644)
}
