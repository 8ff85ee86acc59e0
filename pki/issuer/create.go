package issuer

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

// Options describe a new authority.
type Options struct {
	// Settings become ca.yaml. Only Name is required.
	Settings Settings
	// Organization, OrganizationalUnit and Country (two capital letters) stand in the authorities' subjects; each may be
	// empty.
	Organization, OrganizationalUnit, Country string
	// RootOnly makes a root that issues itself, as small set-ups do. Otherwise an intermediate issues, and the root's key can
	// be taken elsewhere.
	RootOnly bool
	// Development marks the authority as one that must not be used in earnest.
	Development bool
	// RootLifetime and IssuingLifetime are ca's defaults if zero.
	RootLifetime, IssuingLifetime time.Duration
	// NameConstraints bind what the issuing authority may issue; with RootOnly, the root.
	NameConstraints ca.NameConstraints
	// RootPassphrase and IssuingPassphrase encrypt the private keys that are written, where they are not empty.
	RootPassphrase, IssuingPassphrase []byte
	// RootKey and IssuingKey are references to keys that exist (awskms:KEY). Where they are empty, keys are made and written
	// into the home.
	RootKey, IssuingKey string
	// RequestedBy is the person or program that asks, for the register.
	RequestedBy string
}

// Init makes a home and its first generation. The folder must not exist, or be empty; it appears complete or not at all.
// Nothing is published yet.
func Init(ctx context.Context, config Config, options Options) (*Issuer, error) {
	return found(ctx, config, options.Settings, func(i *Issuer, folder string) ([]register.Record, error) {
		return i.makeGeneration(ctx, folder, 1, options)
	})
}

// found makes a home with one generation in a folder of its own, and moves it to its place.
func found(ctx context.Context, config Config, settings Settings, fill func(*Issuer, string) ([]register.Record, error)) (*Issuer, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	settings = settings.withDefaults()
	if err := settings.check(); err != nil {
		return nil, fmt.Errorf("the authority's settings: %w", err)
	}
	if entries, err := os.ReadDir(config.Dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty, and nothing in it is overwritten: choose another folder, or move it away", config.Dir)
	}
	parent := filepath.Dir(config.Dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("make the authority's home: %w", err)
	}
	making, err := os.MkdirTemp(parent, ".making-") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make the authority's home: %w", err)
	}
	defer func() { _ = os.RemoveAll(making) }() // there is nothing left of it if all went well
	inMaking := config
	inMaking.Dir = making
	if err := fillHome(ctx, inMaking, settings, fill); err != nil {
		return nil, err
	}
	if err := os.Remove(config.Dir); err != nil && !errors.Is(err, fs.ErrNotExist) { // it is empty
		return nil, fmt.Errorf("make the authority's home: %w", err)
	}
	if err := os.Rename(making, config.Dir); err != nil {
		return nil, fmt.Errorf("make the authority's home: %w", err)
	}
	return Open(config)
}

func fillHome(ctx context.Context, config Config, settings Settings, fill func(*Issuer, string) ([]register.Record, error)) error {
	if err := writeSettings(config.Dir, settings); err != nil {
		return err
	}
	if _, err := readSettings(config.Dir); err != nil {
		return err
	}
	home, err := newIssuer(config, settings)
	if err != nil {
		return err
	}
	loaded, err := home.store.Load(ctx)
	if foreign := (*register.ForeignError)(nil); errors.As(err, &foreign) {
		return fmt.Errorf("the register %s is of another authority already: choose another place for this one's", settings.Register)
	}
	if err != nil {
		return err
	}
	if count := loaded.Head().Count; count > 0 {
		return fmt.Errorf("the register %s has %d entries of an authority already: choose another place for this one's", settings.Register, count)
	}
	folder := filepath.Join(config.Dir, "1")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return fmt.Errorf("make the authority's home: %w", err)
	}
	records, err := fill(home, folder)
	if err != nil {
		return err
	}
	if err := home.loadGenerations(); err != nil {
		return err
	}
	if err := home.writeBundle(); err != nil {
		return err
	}
	_, err = home.append(ctx, register.Always(records...))
	return err
}

// makeGeneration makes the authorities of a new generation in a folder, and returns what the register must know.
func (i *Issuer) makeGeneration(ctx context.Context, folder string, number int, options Options) ([]register.Record, error) {
	root, err := i.makeRoot(ctx, folder, number, options)
	if err != nil {
		return nil, err
	}
	places := keyPlaces{Root: options.RootKey, Issuing: options.IssuingKey}
	if err := writeKeyPlaces(folder, places); err != nil || options.RootOnly {
		return nil, err
	}
	if err := i.writeRootList(folder, root, nil, big.NewInt(1)); err != nil {
		return nil, err
	}
	record, err := i.makeIssuing(ctx, folder, number, root, options)
	if err != nil {
		return nil, err
	}
	return []register.Record{record}, nil
}

func (i *Issuer) makeRoot(ctx context.Context, folder string, number int, options Options) (*ca.Authority, error) {
	describe := ca.Options{
		CommonName:   i.commonName(number, "root", options.RootOnly),
		Organization: options.Organization, OrganizationalUnit: options.OrganizationalUnit, Country: options.Country,
		Development: options.Development, Lifetime: options.RootLifetime, Clock: i.config.Clock,
	}
	if options.RootOnly {
		describe.NameConstraints = options.NameConstraints
	} else {
		describe.PathLength = 1
	}
	if options.RootKey == "" {
		root, err := ca.Create(describe)
		if err != nil {
			return nil, err
		}
		return root, writePair(folder, rootName, root.KeyPair(), options.RootPassphrase)
	}
	key, err := i.kmsKey(ctx, options.RootKey)
	if err != nil {
		return nil, err
	}
	root, err := ca.CreateWith(describe, key)
	if err != nil {
		return nil, err
	}
	return root, writePair(folder, rootName, root.KeyPair(), nil)
}

func (i *Issuer) makeIssuing(ctx context.Context, folder string, number int, root *ca.Authority, options Options) (register.Record, error) {
	request := ca.AuthorityRequest{
		CommonName:   i.commonName(number, "issuing", false),
		Organization: options.Organization, OrganizationalUnit: options.OrganizationalUnit, Country: options.Country,
		Lifetime: options.IssuingLifetime, NameConstraints: options.NameConstraints, CRLAddresses: i.settings.CRLAddresses,
	}
	if options.IssuingKey != "" {
		key, err := i.kmsKey(ctx, options.IssuingKey)
		if err != nil {
			return register.Record{}, err
		}
		request.PublicKey = key.Public()
	}
	pair, err := root.IssueAuthority(request)
	if err != nil {
		return register.Record{}, err
	}
	record := register.NewIssued(pair.Certificate, root.Certificate())
	record.Profile, record.RequestedBy = authorityProfile, options.RequestedBy
	return register.Record{Issued: record}, writePair(folder, issuingName, pair, options.IssuingPassphrase)
}

// authorityProfile is the profile of subordinate authorities in the register. No leaf can have it.
const authorityProfile = "authority"

// commonName keeps the authorities of a home apart: verifiers find an issuer by its name.
func (i *Issuer) commonName(number int, role string, rootOnly bool) string {
	name := i.settings.Name
	if !rootOnly {
		name += " " + role
	}
	if number > 1 {
		name += " " + strconv.Itoa(number)
	}
	return name
}

func (i *Issuer) kmsKey(ctx context.Context, text string) (crypto.Signer, error) {
	reference, err := material.Parse(text)
	if err != nil {
		return nil, err
	}
	if reference.Scheme != material.KMS || i.config.KMS == nil {
		return nil, fmt.Errorf("%s is no key that a new authority can have: use awskms:KEY, or none to have one made", reference)
	}
	return i.config.KMS(ctx, reference.Value)
}

// writePair writes a certificate, and its key encrypted if there is a passphrase. A key that cannot leave is not written.
func writePair(folder, name string, pair ca.KeyPair, passphrase []byte) error {
	if len(passphrase) > 0 && len(pair.PrivateKeyPEM) > 0 {
		encrypted, err := ca.EncryptPrivateKey(pair.PrivateKey, passphrase)
		if err != nil {
			return err
		}
		pair.PrivateKeyPEM = encrypted
	}
	_, err := ca.WriteKeyPair(folder, name, pair)
	return err
}

// writeKeyPlaces says where keys are that are not in the generation's folder.
func writeKeyPlaces(folder string, places keyPlaces) error {
	if places == (keyPlaces{}) {
		return nil
	}
	var text strings.Builder
	text.WriteString("# Where the private keys are that are not in this folder.\n")
	if places.Root != "" {
		text.WriteString("root: " + strconv.Quote(places.Root) + "\n")
	}
	if places.Issuing != "" {
		text.WriteString("issuing: " + strconv.Quote(places.Issuing) + "\n")
	}
	return atomicfile.Replace(filepath.Join(folder, keysFile), []byte(text.String()), 0o600)
}
