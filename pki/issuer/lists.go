package issuer

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
)

// blockList is the type of PEM block of a revocation list (RFC 7468, section 7).
const blockList = "X509 CRL"

// retention is for how long a certificate stays in lists and index after it has expired: so long that each list which
// RFC 5280, section 3.3, wants to name it once more does, and a day at least, for clocks that are slow.
func (i *Issuer) retention() time.Duration {
	return max(24*time.Hour, time.Duration(i.settings.ListLifetime))
}

// revokedBy are the entries of an authority's list.
func (i *Issuer) revokedBy(current *register.Register, authority *x509.Certificate, now time.Time) ([]ca.Revoked, error) {
	digest := issuedBy(authority)
	var entries []ca.Revoked
	for _, certificate := range current.Certificates(func(c *register.Certificate) bool {
		return c.IssuerSHA256 == digest && c.RevokedAt(now) && now.Before(c.NotAfter.Add(i.retention()))
	}) {
		reason, err := ca.ParseReason(certificate.Revocation.Reason)
		if err != nil {
			return nil, fmt.Errorf("the revocation of %s: %w", certificate.Serial, err)
		}
		serial, ok := new(big.Int).SetString(certificate.Serial, 16)
		if !ok {
			return nil, fmt.Errorf("the serial number %q cannot be read", certificate.Serial)
		}
		entries = append(entries, ca.Revoked{Serial: serial, Time: certificate.Revocation.At, Reason: reason})
	}
	return entries, nil
}

// knownFrom are the certificates of an authority's index, and the authority itself.
func (i *Issuer) knownFrom(current *register.Register, authority *x509.Certificate, now time.Time) []string {
	digest := issuedBy(authority)
	known := []string{digest}
	for _, certificate := range current.Certificates(func(c *register.Certificate) bool {
		return c.IssuerSHA256 == digest && now.Before(c.NotAfter.Add(i.retention()))
	}) {
		known = append(known, certificate.CertificateSHA256)
	}
	return known
}

// writeRootList signs the list of a root whose key is kept offline, into its generation's folder.
func (i *Issuer) writeRootList(folder string, root *ca.Authority, entries []ca.Revoked, number *big.Int) error {
	now := i.config.Clock()
	der, err := root.SignRevocationList(ca.RevocationList{
		Number: number, ThisUpdate: now, NextUpdate: now.Add(time.Duration(i.settings.RootListLifetime)), Entries: entries,
	})
	if err != nil {
		return err
	}
	return atomicfile.Replace(filepath.Join(folder, rootListFile), ca.EncodeRevocationList(der), 0o644)
}

// readRootList returns the list of an offline root that the home has; nil if there is none.
func (g *generation) readRootList() (*x509.RevocationList, error) {
	path := filepath.Join(g.folder, rootListFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // an adopted root may have its list elsewhere
	}
	if err != nil {
		return nil, fmt.Errorf("read the root's revocation list: %w", err)
	}
	lists, err := parseLists(data)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", path, err)
	case len(lists) != 1 || lists[0].CheckSignatureFrom(g.root) != nil:
		return nil, fmt.Errorf("%s is not one list of this root", path)
	}
	return lists[0], nil
}

// RenewRootLists signs the lists of all roots again whose key is kept offline, with what the register says of the
// authorities below them. The keys must be in the home for that while; the error for one that is not wraps ErrOffline.
// Publish then publishes them.
func (i *Issuer) RenewRootLists(ctx context.Context) error {
	current, err := i.Register(ctx)
	if err != nil {
		return err
	}
	standing := i.readPublished(ctx)
	if err := standing.failed(); err != nil {
		return err
	}
	for _, g := range i.inForce() {
		if g.root == nil || g.rootIssues() {
			continue
		}
		root, err := i.authority(ctx, g, rootName)
		if err != nil {
			return err
		}
		entries, err := i.revokedBy(current, g.root, i.config.Clock())
		if err != nil {
			return err
		}
		last, err := i.latestRootList(g, standing)
		if err != nil {
			return err
		}
		number := big.NewInt(1)
		if last != nil {
			number.Add(last.Number, number)
		}
		if err := i.writeRootList(g.folder, root, entries, number); err != nil {
			return err
		}
	}
	return nil
}

// latestRootList is the newest that the home has or that is published; nil if there is none.
func (i *Issuer) latestRootList(g *generation, standing published) (*x509.RevocationList, error) {
	latest, err := g.readRootList()
	if err != nil {
		return nil, err
	}
	for _, list := range standing.lists {
		if list.CheckSignatureFrom(g.root) == nil && (latest == nil || list.Number.Cmp(latest.Number) > 0) {
			latest = list
		}
	}
	return latest, nil
}

// parseLists reads revocation lists: any number in PEM, or one in DER. Each must have a number.
func parseLists(data []byte) ([]*x509.RevocationList, error) {
	var lists []*x509.RevocationList
	take := func(der []byte) error {
		list, err := x509.ParseRevocationList(der)
		if err != nil {
			return err
		}
		if list.Number == nil {
			list.Number = new(big.Int) // of an authority that did not number them
		}
		lists = append(lists, list)
		return nil
	}
	block, rest := pem.Decode(data)
	if block == nil {
		return lists, take(bytes.TrimSpace(data))
	}
	for ; block != nil; block, rest = pem.Decode(rest) {
		if block.Type != blockList {
			return nil, fmt.Errorf("a PEM block of type %q stands where revocation lists belong", block.Type)
		}
		if err := take(block.Bytes); err != nil {
			return nil, err
		}
	}
	return lists, nil
}
