package issuer

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/register"
)

// The names of files in a generation's folder, and of its two authorities in keys.yaml.
const (
	rootName     = "root"
	issuingName  = "issuing"
	keysFile     = "keys.yaml"
	rootListFile = "root.crl"
)

// ErrOffline is wrapped by the error for a private key that is not in the home.
var ErrOffline = errors.New("its private key is not here")

// generation is one root of the home, and the authority below it that issues, if there is one.
type generation struct {
	number int
	folder string
	// root is nil for an intermediate that was adopted without its root.
	root *x509.Certificate
	// issuing is the chain from the authority that issues up to below the root; empty where the root itself issues.
	issuing []*x509.Certificate
	keys    keyPlaces
}

// keyPlaces are references to private keys: file: within the generation's folder or elsewhere, or awskms:.
type keyPlaces struct {
	Root    string `yaml:"root,omitempty"`
	Issuing string `yaml:"issuing,omitempty"`
}

// loadGeneration reads the certificates of a generation. Keys are read when they are needed.
func loadGeneration(folder string, number int) (*generation, error) {
	loaded := &generation{number: number, folder: folder}
	root, err := readCertificates(folder, rootName)
	if err != nil {
		return nil, err
	}
	if len(root) > 1 {
		return nil, fmt.Errorf("%s holds %d certificates, and one is wanted", ca.FilesIn(folder, rootName).Certificate, len(root))
	}
	if len(root) == 1 {
		loaded.root = root[0]
	}
	if loaded.issuing, err = readCertificates(folder, issuingName); err != nil {
		return nil, err
	}
	if loaded.root == nil && len(loaded.issuing) == 0 {
		return nil, fmt.Errorf("%s holds neither root.pem nor issuing.pem", folder)
	}
	if err := loaded.readKeyPlaces(); err != nil {
		return nil, err
	}
	return loaded, nil
}

// readCertificates returns none if there is no such file.
func readCertificates(folder, name string) ([]*x509.Certificate, error) {
	path := ca.FilesIn(folder, name).Certificate
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the authority's certificate: %w", err)
	}
	certificates, err := ca.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return certificates, nil
}

func (g *generation) readKeyPlaces() error {
	path := filepath.Join(g.folder, keysFile)
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read where the keys are: %w", err)
	}
	if err := yaml.Unmarshal(data, &g.keys); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if g.keys.Root == "" {
		g.keys.Root = defaultKey(rootName)
	}
	if g.keys.Issuing == "" {
		g.keys.Issuing = defaultKey(issuingName)
	}
	return nil
}

func defaultKey(name string) string { return "file:" + ca.FilesIn("", name).PrivateKey }

// rootIssues reports whether the root itself issues.
func (g *generation) rootIssues() bool { return len(g.issuing) == 0 }

// signer is the certificate of the authority that issues and signs lists.
func (g *generation) signer() *x509.Certificate {
	if g.rootIssues() {
		return g.root
	}
	return g.issuing[0]
}

// anchor is what must be trusted: the root, or the adopted intermediate.
func (g *generation) anchor() *x509.Certificate {
	if g.root != nil {
		return g.root
	}
	return g.issuing[len(g.issuing)-1]
}

// chain is the signer's certificate and those above it.
func (g *generation) chain() []*x509.Certificate {
	chain := slices.Clone(g.issuing)
	if g.root != nil {
		chain = append(chain, g.root)
	}
	return chain
}

// authorities are all that sign lists here.
func (g *generation) authorities() []*x509.Certificate {
	if g.root == nil || g.rootIssues() {
		return []*x509.Certificate{g.signer()}
	}
	return []*x509.Certificate{g.signer(), g.root}
}

// findIssuer returns the authority of the generation that has issued a certificate, nil if none has.
func (g *generation) findIssuer(certificate *x509.Certificate) *x509.Certificate {
	for _, authority := range g.authorities() {
		if !certificate.Equal(authority) && certificate.CheckSignatureFrom(authority) == nil {
			return authority
		}
	}
	return nil
}

// loadAuthority brings an authority's certificates and key together. The key's passphrase is asked for where it has one.
func (i *Issuer) loadAuthority(ctx context.Context, g *generation, name string) (*ca.Authority, error) {
	chain, place := g.chain(), g.keys.Issuing
	if name == rootName || g.rootIssues() {
		chain, place = []*x509.Certificate{g.root}, g.keys.Root
	}
	signer, err := i.loadKey(ctx, g, place, chain[0])
	if err != nil {
		return nil, fmt.Errorf("the authority %q of generation %d cannot sign: %w", chain[0].Subject, g.number, err)
	}
	var encoded []byte
	for _, certificate := range chain {
		encoded = append(encoded, ca.EncodeCertificate(certificate)...)
	}
	authority, err := ca.LoadWith(encoded, signer, i.config.Clock)
	if err != nil {
		return nil, err
	}
	return authority.WithCRLAddresses(i.settings.CRLAddresses...)
}

func (i *Issuer) loadKey(ctx context.Context, g *generation, place string, of *x509.Certificate) (crypto.Signer, error) {
	reference, err := material.Parse(place)
	if err != nil {
		return nil, err
	}
	switch reference.Scheme {
	case material.KMS:
		if i.config.KMS == nil {
			return nil, fmt.Errorf("%s cannot be used here", reference)
		}
		return i.config.KMS(ctx, reference.Value)
	case material.File:
		return i.readKey(ctx, reference.In(g.folder).Value, of)
	default:
		return nil, fmt.Errorf("%s is no place of an authority's private key: use file:PATH or awskms:KEY", reference)
	}
}

// readKey reads a key from a file that nobody else may read.
func (i *Issuer) readKey(ctx context.Context, path string, of *x509.Certificate) (crypto.Signer, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is not there; put it back for as long as it is needed", ErrOffline, path)
	}
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody on this machine may use %s: take that away with `chmod o= %s`", path, path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	key, err := ca.ParsePrivateKey(data)
	if !errors.Is(err, ca.ErrEncrypted) {
		return key, err
	}
	if i.config.Passphrase == nil {
		return nil, fmt.Errorf("%s: %w, and nobody is here to ask for its passphrase", path, err)
	}
	passphrase, err := i.config.Passphrase(ctx, fmt.Sprintf("Passphrase of the private key of %q (%s)", commonName(of), path))
	if err != nil {
		return nil, fmt.Errorf("ask for the passphrase of %s: %w", path, err)
	}
	defer clear(passphrase)
	key, err = ca.DecryptPrivateKey(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func commonName(certificate *x509.Certificate) string {
	if certificate.Subject.CommonName != "" {
		return certificate.Subject.CommonName
	}
	return certificate.Subject.String()
}

// loadGenerations reads all numbered folders of a folder, the oldest first.
func loadGenerations(folder string) ([]*generation, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var loaded []*generation
	for _, entry := range entries {
		number, err := strconv.Atoi(entry.Name())
		if err != nil || number < 1 || !entry.IsDir() || strings.HasPrefix(entry.Name(), "+") {
			continue
		}
		generation, err := loadGeneration(filepath.Join(folder, entry.Name()), number)
		if err != nil {
			return nil, fmt.Errorf("generation %d: %w", number, err)
		}
		loaded = append(loaded, generation)
	}
	slices.SortFunc(loaded, func(a, b *generation) int { return a.number - b.number })
	return loaded, nil
}

// issuedBy is how the register names what an authority has issued.
func issuedBy(authority *x509.Certificate) string { return register.Digest(authority.Raw) }
