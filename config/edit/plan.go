package edit

import (
	"bytes"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Plan is an edit that was proven and not yet made: the configuration with it means what was asked for, and nothing else
// than before. It concerns one file at most. Only the operations of this package make one.
type Plan struct {
	directory string
	// files as they were read, all of the directory.
	files    []config.File
	change   *change
	warnings document.Problems
}

// change is what becomes of one file.
type change struct {
	path     string
	old, new []byte
	// created and removed are files that were not there, and will not be.
	created, removed bool
}

// Empty tells whether there is nothing to do, because the configuration says already what was asked for.
func (p *Plan) Empty() bool { return p.change == nil }

// File is the path of the file that is changed, made or removed; empty where there is nothing to do. It begins with the
// directory as it was given.
func (p *Plan) File() string {
	if p.Empty() {
		return ""
	}
	return p.change.path
}

// Warnings are what the configuration with the edit is warned of, and was not before.
func (p *Plan) Warnings() document.Problems { return p.warnings }

// Diff is the edit as a unified diff, as `patch -p0` takes it; empty where there is nothing to do. It holds text of the
// configuration as it stands in the file, which is not made fit for a terminal.
func (p *Plan) Diff() string {
	if p.Empty() {
		return ""
	}
	before, after := p.change.path, p.change.path
	if p.change.created {
		before = "/dev/null"
	}
	if p.change.removed {
		after = "/dev/null"
	}
	text := string(diff.Diff(before, p.change.old, after, p.change.new))
	_, text, _ = strings.Cut(text, "\n") // the line that repeats the command
	return text
}

// plan proves a change of one file, and makes a Plan of it. The Consumer of that name will be as wanted; nil for gone.
func (r *reading) plan(directory, name string, c *change, wanted *sallyportv1.Consumer) (*Plan, error) {
	p := &Plan{directory: directory, files: r.files}
	if c == nil || bytes.Equal(c.old, c.new) && !c.created && !c.removed {
		return p, nil
	}
	after := read(r.with(c))
	if err := prove(r, after, name, wanted); err != nil {
		return nil, err
	}
	p.change, p.warnings = c, newProblems(r.problems.Warnings(), after.problems.Warnings())
	return p, nil
}

// with are the files of the directory with a change made.
func (r *reading) with(c *change) []config.File {
	files := slices.DeleteFunc(slices.Clone(r.files), func(f config.File) bool { return f.Path == c.path })
	if c.removed {
		return files
	}
	files = append(files, config.File{Path: c.path, Data: c.new})
	slices.SortStableFunc(files, func(a, b config.File) int { return order(r.files, a.Path, b.Path) })
	return files
}

// order keeps files in the order in which they were read; a new one comes last. The order means nothing to a configuration.
func order(files []config.File, a, b string) int {
	position := func(path string) int {
		i := slices.IndexFunc(files, func(f config.File) bool { return f.Path == path })
		if i < 0 {
			return len(files)
		}
		return i
	}
	return position(a) - position(b)
}
