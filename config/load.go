package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/sallyport-project/sallyport/config/document"
)

// maxDepth bounds how deep folders are read, so that a link to a folder around it ends.
const maxDepth = 16

// Load reads every .yaml and .yml file below a directory and builds the Model. Problems are sorted; the Model is nil
// exactly when there is an error among them. Origins name files by their path relative to the directory, joined to the
// directory as it was given. The error is for a directory that cannot be read at all.
func Load(directory string) (*Model, document.Problems, error) {
	documents, complete, problems, err := Read(directory)
	if err != nil {
		return nil, nil, err
	}
	if len(documents) == 0 && len(problems) == 0 {
		return nil, nil, fmt.Errorf("%s: no .yaml or .yml file with a resource in it", directory)
	}
	model, found := Build(documents, complete)
	problems = append(problems, found...)
	problems.Sort()
	if len(problems.Errors()) > 0 {
		model = nil
	}
	return model, problems, nil
}

// Read decodes every file below a directory. It says whether all of them could be read to their end.
func Read(directory string) (documents []*document.Document, complete bool, problems document.Problems, err error) {
	files, err := Files(directory)
	if err != nil {
		return nil, false, nil, err
	}
	complete = true
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			complete = false
			problems = append(problems, document.Problem{Origin: Origin{File: file}, Message: fmt.Sprintf("cannot be read: %v", errors.Unwrap(err))})
			continue
		}
		found, whole, wrong := document.Decode(file, data)
		documents = append(documents, found...)
		problems = append(problems, wrong...)
		complete = complete && whole
	}
	return documents, complete, problems, nil
}

// Files lists the configuration files below a directory, sorted. Names that begin with a dot are passed over, which
// covers a Kubernetes mount's ..data and most editors' temporary files.
func Files(directory string) ([]string, error) {
	info, err := os.Stat(directory)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is a file; give the directory that holds the configuration", directory)
	}
	return filesBelow(directory, 0)
}

func filesBelow(directory string, depth int) ([]string, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("%s: more than %d folders deep; is there a link to a folder around it?", directory, maxDepth)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	var files []string
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
			return nil, fmt.Errorf("cannot read the configuration: %w", err)
		case info.IsDir():
			below, err := filesBelow(path, depth+1)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		case info.Mode().IsRegular() && isConfiguration(entry.Name()):
			files = append(files, path)
		}
	}
	return files, nil
}

// isConfiguration tells whether a file belongs to the configuration by its name.
func isConfiguration(name string) bool {
	extension := filepath.Ext(name)
	return extension == ".yaml" || extension == ".yml"
}
