package filewatch

import (
	"os"
	"path/filepath"
	"strings"
)

// maxSymlinks is how many symbolic links a path may lead through, as in the kernel (path_resolution(7)).
const maxSymlinks = 40

// places says where to look for a change: folders, by their real path, and the names in each that matter.
type places map[string]map[string]struct{}

func (p places) add(folder, name string) {
	if p[folder] == nil {
		p[folder] = make(map[string]struct{})
	}
	p[folder][name] = struct{}{}
}

// everything stands for all names in a folder.
const everything = "*"

// addFolder notes each point at which a path could come to lead elsewhere, and everything in the folder that it leads to.
func (p places) addFolder(path string) {
	p.addPath(path)
	folder, err := filepath.EvalSymlinks(path)
	if err != nil {
		return // it is not there yet
	}
	if info, err := os.Stat(folder); err == nil && info.IsDir() {
		p.add(folder, everything)
	}
}

// matter tells whether a change of a name in a folder is one to report.
func (p places) matter(folder, name string) bool {
	names := p[folder]
	_, named := names[name]
	_, all := names[everything]
	return named || all
}

// addPath walks a path as the kernel would, and notes each point at which it could come to lead elsewhere: every symbolic
// link on the way, the file itself, and, where something is missing, the deepest folder that exists.
//
// For a Kubernetes volume's /mnt/ca.pem → ..data/ca.pem, ..data → ..2030_01_02, that is "ca.pem" and "..data" in /mnt, and
// "ca.pem" in /mnt/..2030_01_02.
func (p places) addPath(path string) {
	current := string(filepath.Separator)
	rest := segments(path)
	for links := 0; len(rest) > 0; {
		name := rest[0]
		rest = rest[1:]
		if name == ".." {
			current = filepath.Dir(current)
			continue
		}
		next := filepath.Join(current, name)
		info, err := os.Lstat(next)
		switch {
		case err != nil:
			p.add(current, name)
			return
		case info.Mode()&os.ModeSymlink != 0:
			p.add(current, name)
			target, err := os.Readlink(next)
			links++
			if err != nil || links > maxSymlinks {
				return
			}
			if filepath.IsAbs(target) {
				current = string(filepath.Separator)
			}
			rest = append(segments(target), rest...)
		case len(rest) == 0 || !info.IsDir():
			p.add(current, name)
			return
		default:
			current = next
		}
	}
}

// segments splits a path without resolving "..", which after a symbolic link means the parent of where it leads.
func segments(path string) []string {
	var parts []string
	for part := range strings.SplitSeq(path, string(filepath.Separator)) {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}
