package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// state keeps over a restart what we made ourselves, and what must not be forgotten:
//
//	authorities/<name>/ca.pem, ca-key.pem    development authorities
//	truststores/<name>/ca.pem, ca-key.pem    those that substitute mode makes for a Truststore
//	certificates/<name>.json                 what was issued last, key included
//	signing/<name>.json                      keys that were generated for a Provider, see package signingkey
//	substitutes/signing/<name>.json          those of substitute mode
//	seen/<name>.json                         the highest numbers that were seen of a truststore's lists, registers and manifest
//	seen/<name>.lists.json                   lists of authorities that only callers show, and the gaps that dropped ones left
//
// Folders have mode 0700, keys 0600. Without a folder nothing is kept.
type state struct {
	folder string
}

// developmentKey tells development authorities apart.
type developmentKey struct {
	purpose developmentPurpose
	name    string
}

// developmentPurpose is also the folder's name.
type developmentPurpose string

const (
	ofAuthority    developmentPurpose = "authorities"
	ofTruststore   developmentPurpose = "truststores"
	ofCertificates developmentPurpose = "substitutes"
)

// commonName is what people see as the issuer.
func (k developmentKey) commonName() string {
	if k.purpose == ofTruststore {
		return "truststore-" + k.name
	}
	return k.name
}

// Resources are named so by the schema; a state folder must not be left by any other.
var resourceName = regexp.MustCompile(`^[a-z0-9][-a-z0-9]*$`)

// authorityFile is the name under which ca.WriteKeyPair keeps an authority within its folder.
const authorityFile = "ca"

// developmentAuthority returns the one that is kept, or makes and keeps one. It appears under its name complete or not at
// all; of two processes that make it at once, both return that of the first.
func (s state) developmentAuthority(key developmentKey, clock func() time.Time) (*ca.Authority, error) {
	if !resourceName.MatchString(key.name) {
		return nil, fmt.Errorf("%q cannot be the name of a development authority", key.name)
	}
	if s.folder == "" {
		return createDevelopment(key, clock)
	}
	parent := filepath.Join(s.folder, string(key.purpose))
	folder := filepath.Join(parent, key.name)
	kept, err := loadDevelopment(folder, clock)
	if !errors.Is(err, fs.ErrNotExist) {
		return kept, err
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("keep a development authority: %w", err)
	}
	fresh, err := createDevelopment(key, clock)
	if err != nil {
		return nil, err
	}
	if err := writeFolder(parent, folder, fresh.KeyPair()); err != nil {
		return nil, fmt.Errorf("keep a development authority: %w", err)
	}
	return loadDevelopment(folder, clock)
}

func createDevelopment(key developmentKey, clock func() time.Time) (*ca.Authority, error) {
	return ca.Create(ca.Options{CommonName: key.commonName(), Development: true, Clock: clock})
}

// loadDevelopment returns fs.ErrNotExist only if there is no such folder: what is incomplete is not ours to replace, so
// that error is not wrapped.
func loadDevelopment(folder string, clock func() time.Time) (*ca.Authority, error) {
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("find the development authority: %w", err)
	}
	files := ca.FilesIn(folder, authorityFile)
	authority, err := loadFiles(files, clock)
	if err != nil {
		return nil, fmt.Errorf("the development authority in %s cannot be used, remove the folder to have another made: %s", folder, err.Error())
	}
	return authority, nil
}

func loadFiles(files ca.Files, clock func() time.Time) (*ca.Authority, error) {
	certificatePEM, err := os.ReadFile(files.Certificate)
	if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(files.PrivateKey)
	if err != nil {
		return nil, err
	}
	authority, err := ca.Load(certificatePEM, keyPEM, clock)
	if err != nil {
		return nil, err
	}
	if !authority.IsDevelopment() {
		return nil, errors.New("it is not marked as a development authority")
	}
	return authority, nil
}

// writeFolder makes a folder with a key pair beside its place, and moves it there. One that is there already stays.
func writeFolder(parent, folder string, pair ca.KeyPair) error {
	making, err := os.MkdirTemp(parent, ".making-") // mode 0700
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(making) }() // there is nothing left of it if all went well
	if _, err := ca.WriteKeyPair(making, authorityFile, pair); err != nil {
		return err
	}
	if err := os.Rename(making, folder); err != nil {
		if _, statErr := os.Stat(folder); statErr == nil {
			return nil // another process was first
		}
		return err
	}
	return nil
}

// signingPath is where the generated keys of a Provider are kept; empty where nothing is.
func (s state) signingPath(name string, substitute bool) (string, error) {
	if !resourceName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a provider", name)
	}
	folder := "signing"
	if substitute {
		folder = filepath.Join(string(ofCertificates), folder)
	}
	if s.folder == "" {
		return "", nil
	}
	return filepath.Join(s.folder, folder, name+".json"), nil
}

func (s state) issuedPath(name string) (string, error) {
	if !resourceName.MatchString(name) {
		return "", fmt.Errorf("%q cannot be the name of a certificate", name)
	}
	return filepath.Join(s.folder, "certificates", name+".json"), nil
}

// loadIssued returns what saveIssued kept last.
func (s state) loadIssued(name string) (kept issuance, found bool, err error) {
	if s.folder == "" {
		return issuance{}, false, nil
	}
	path, err := s.issuedPath(name)
	if err != nil {
		return issuance{}, false, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return issuance{}, false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &kept)
	}
	if err != nil {
		return issuance{}, false, fmt.Errorf("read %s: %w", path, err)
	}
	return kept, true, nil
}

// saveIssued replaces what was kept for a certificate, as a whole.
func (s state) saveIssued(name string, issued issuance) error {
	if s.folder == "" {
		return nil
	}
	path, err := s.issuedPath(name)
	if err != nil {
		return err
	}
	data, err := json.Marshal(issued) //nolint:gosec // the key is what is kept here, in a file of mode 0600
	if err != nil {
		return fmt.Errorf("encode an issued certificate: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep an issued certificate: %w", err)
	}
	return atomicfile.Replace(path, data, 0o600)
}
