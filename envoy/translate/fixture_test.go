package translate_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// load builds the Model of a directory.
func load(t *testing.T, directory string) *config.Model {
	t.Helper()
	model, problems, err := config.Load(directory)
	if err != nil {
		t.Fatal(err)
	}
	if model == nil {
		t.Fatal(problems)
	}
	return model
}

// build builds the Model of one file's content.
func build(t *testing.T, content string) *config.Model {
	t.Helper()
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "configuration.yaml"), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return load(t, directory)
}

// everything is material for all that a model refers to. Nothing reads the bytes.
func everything(model *config.Model) *inventory.Snapshot {
	snapshot := &inventory.Snapshot{
		Generation: 1, Truststores: map[string]*inventory.Truststore{}, Certificates: map[string]*inventory.KeyPair{},
	}
	for _, truststore := range model.Truststores() {
		snapshot.Truststores[truststore.Name] = &inventory.Truststore{
			Name: truststore.Name, PEM: []byte("anchors of " + truststore.Name + "\n"),
		}
	}
	for _, certificate := range model.Certificates() {
		snapshot.Certificates[certificate.Name] = &inventory.KeyPair{
			Name:           certificate.Name,
			CertificatePEM: []byte("certificate of " + certificate.Name + "\n"),
			PrivateKeyPEM:  []byte("private key of " + certificate.Name + "\n"),
		}
	}
	return snapshot
}
