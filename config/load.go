package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-project/sallyport/config/document"
)

// maxDepth bounds how deep folders are read, so that a link to a folder around it ends.
const maxDepth = 16

// File is a configuration file as it was read.
type File struct {
	// Path is relative to the directory, joined to the directory as it was given; origins show it.
	Path string
	Data []byte
	// Err is why it could not be read.
	Err error
}

// Load reads every .yaml and .yml file below a directory and builds the Model. Problems are sorted; the Model is nil
// exactly when there is an error among them. The error is for a directory that cannot be read at all, or holds nothing.
func Load(directory string) (*Model, document.Problems, error) {
	files, err := ReadFiles(directory)
	if err != nil {
		return nil, nil, err
	}
	documents, complete, problems := Decode(files)
	if nothing := CheckNotEmpty(directory, documents, problems); len(nothing) > 0 {
		return nil, nil, nothing
	}
	model, found := Build(documents, complete)
	problems = append(problems, found...)
	problems.Sort()
	if len(problems.Errors()) > 0 {
		model = nil
	}
	return model, problems, nil
}

// ReadFiles reads the configuration files below a directory.
func ReadFiles(directory string) ([]File, error) {
	paths, _, err := Files(directory)
	if err != nil {
		return nil, err
	}
	files := make([]File, len(paths))
	for i, path := range paths {
		files[i].Path = path
		files[i].Data, files[i].Err = readFile(path)
	}
	return files, nil
}

// readFile reads a file, or as much of it as shows that it is too large.
func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return io.ReadAll(io.LimitReader(file, document.MaxSize+1))
}

// Decode decodes files. It says whether all of them could be read to their end.
func Decode(files []File) (documents []*document.Document, complete bool, problems document.Problems) {
	complete = true
	for _, file := range files {
		if file.Err != nil {
			complete = false
			problems = append(problems, document.Problem{Origin: Origin{File: file.Path}, Message: "cannot be read: " + file.Err.Error()})
			continue
		}
		found, whole, wrong := document.Decode(file.Path, file.Data)
		documents = append(documents, found...)
		problems = append(problems, wrong...)
		complete = complete && whole
	}
	return documents, complete, problems
}

// CheckNotEmpty reports a directory in which nothing was found: neither a resource nor a mistake. That is an error, although
// Build makes a Model of it, because a folder that was emptied by accident, or not mounted, must not take everything down.
func CheckNotEmpty(directory string, documents []*document.Document, problems document.Problems) document.Problems {
	if len(documents) > 0 || len(problems) > 0 {
		return nil
	}
	return document.Problems{{Origin: Origin{File: directory}, Message: "no .yaml or .yml file with a resource in it"}}
}

// Files lists the configuration files below a directory, and the folders that hold them or could, both sorted and the
// directory itself among the folders. Links are followed. Names that begin with a dot are passed over, which covers a
// Kubernetes mount's ..data and most editors' temporary files.
func Files(directory string) (files, folders []string, err error) {
	info, err := os.Stat(directory)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if !info.IsDir() {
		return nil, nil, fmt.Errorf("%s is a file; give the directory that holds the configuration", directory)
	}
	var l listing
	if err := l.below(directory, 0); err != nil {
		return nil, nil, err
	}
	return l.files, l.folders, nil
}

// listing is what was found below a directory.
type listing struct {
	files, folders []string
}

func (l *listing) below(directory string, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("%s: more than %d folders deep; is there a link to a folder around it?", directory, maxDepth)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return fmt.Errorf("cannot read the configuration: %w", err)
	}
	l.folders = append(l.folders, directory)
	for _, entry := range entries {
		path := filepath.Join(directory, entry.Name())
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		info, err := os.Stat(path) // follows links
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue // a dangling link, or gone in the meantime
		case err != nil:
			return fmt.Errorf("cannot read the configuration: %w", err)
		case info.IsDir():
			if err := l.below(path, depth+1); err != nil {
				return err
			}
		case info.Mode().IsRegular() && isConfiguration(entry.Name()):
			l.files = append(l.files, path)
		}
	}
	return nil
}

// isConfiguration tells whether a file belongs to the configuration by its name.
func isConfiguration(name string) bool {
	extension := filepath.Ext(name)
	return extension == ".yaml" || extension == ".yml"
}
