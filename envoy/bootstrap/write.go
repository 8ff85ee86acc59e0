package bootstrap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
)

// The files of a bootstrap. Envoy is started with BootstrapFile, which refers to the others.
const (
	BootstrapFile   = "bootstrap.json"
	CertificateFile = "certificate.sds.json"
	AuthoritiesFile = "authorities.sds.json"
)

// File is one file of a bootstrap.
type File struct {
	// Name is BootstrapFile, CertificateFile or AuthoritiesFile.
	Name string
	// Content is JSON over several lines, with a line end at its end.
	Content []byte
}

// JSON returns the files in the order in which they are to be written: what is referred to comes first. Equal Files
// give equal bytes, in every build.
func (f *Files) JSON() ([]File, error) {
	var files []File
	for _, source := range []struct {
		name    string
		content proto.Message
	}{
		{CertificateFile, f.Certificate},
		{AuthoritiesFile, f.Authorities},
		{BootstrapFile, f.Bootstrap},
	} {
		content, err := encode(source.content)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", source.name, err)
		}
		files = append(files, File{Name: source.name, Content: content})
	}
	return files, nil
}

// encode lays the JSON out itself, because protojson varies its white space from build to build on purpose.
func encode(content proto.Message) ([]byte, error) {
	dense, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(content)
	if err != nil {
		return nil, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, dense, "", "  "); err != nil {
		return nil, err
	}
	indented.WriteByte('\n')
	return indented.Bytes(), nil
}

// Write writes the files into a folder, which it makes (mode 0700) if it is missing. Each file has mode 0600 and
// appears by rename: an Envoy that watches the folder never reads half of one. It returns the path of the bootstrap.
func (f *Files) Write(directory string) (string, error) {
	files, err := f.JSON()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return "", fmt.Errorf("write a bootstrap: %w", err)
	}
	for _, file := range files {
		if err := atomicfile.Replace(filepath.Join(directory, file.Name), file.Content, 0o600); err != nil {
			return "", fmt.Errorf("write a bootstrap: %w", err)
		}
	}
	return filepath.Join(directory, BootstrapFile), nil
}
