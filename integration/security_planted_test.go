package integration

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// planted is a secret that is looked for.
type planted struct {
	name   string
	pieces [][]byte
	// lives are the files, below the run's folder, in which it may be.
	lives []string
}

// plant has a text looked for, as it is, in hexadecimal and in base64.
func (s *secretive) plant(name string, secret []byte, lives ...string) {
	pieces := [][]byte{secret, []byte(hex.EncodeToString(secret)), []byte(strings.ToUpper(hex.EncodeToString(secret)))}
	for shift := range 3 { // wherever it stands in what is encoded
		for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			encoded := encoding.EncodeToString(slices.Concat(make([]byte, shift), secret))
			pieces = append(pieces, []byte(encoded[(shift*8+5)/6:len(encoded)-1]))
		}
	}
	s.secrets = append(s.secrets, planted{name, pieces, lives})
}

// plantKey has a private key looked for, also as PEM has it.
func (s *secretive) plantKey(name string, key crypto.Signer, lives ...string) {
	s.t.Helper()
	scalar, err := key.(*ecdsa.PrivateKey).Bytes()
	if err != nil {
		s.t.Fatal(err)
	}
	s.plant(name, scalar, lives...)
	encoded, err := ca.EncodePrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	last := &s.secrets[len(s.secrets)-1]
	for _, piece := range canaries(s.t, string(encoded)) {
		last.pieces = append(last.pieces, []byte(piece))
	}
}

// plantFile has the private key of a file looked for.
func (s *secretive) plantFile(path, passphrase string) {
	s.t.Helper()
	content := []byte(s.read(path))
	key, err := ca.ParsePrivateKey(content)
	if passphrase != "" {
		key, err = ca.DecryptPrivateKey(content, []byte(passphrase))
	}
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
	if passphrase != "" {
		s.plantKey(path, key)
	} else {
		s.plantKey(path, key, path)
	}
}

func (s *secretive) secret(name string) string {
	text := rand.Text()
	s.write(s.path("secret", name), text+"\n")
	s.plant(name, []byte(text), "secret/"+name)
	return text
}

// search looks for the secrets in what was said, and in the files: a secret is in no other file than its own, and a file
// that others may read holds none.
func (s *secretive) search() {
	s.t.Helper()
	for place, text := range s.saying {
		s.told[place] = text()
	}
	for place, text := range s.told {
		for _, secret := range s.secrets {
			if secret.in([]byte(text)) {
				s.t.Errorf("%s: %s stands there", place, secret.name)
			}
		}
	}
	found := map[string]bool{}
	err := filepath.WalkDir(s.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(s.folder, path) // it is below
		for _, secret := range s.secrets {
			if !secret.in(content) {
				continue
			}
			found[secret.name] = true
			if !slices.Contains(secret.lives, name) || info.Mode().Perm()&0o077 != 0 {
				s.t.Errorf("the file %s, of mode %v, holds %s", name, info.Mode(), secret.name)
			}
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, secret := range s.secrets {
		if len(secret.lives) > 0 && !found[secret.name] {
			s.t.Errorf("%s was not found where it is, so that the search is of no use", secret.name)
		}
	}
}

func (p planted) in(content []byte) bool {
	return slices.ContainsFunc(p.pieces, func(piece []byte) bool { return bytes.Contains(content, piece) })
}
