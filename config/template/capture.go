package template

import "strings"

// Capture calls yield with the name of each variable, in order, and with the part of the path that it stands for, still
// escaped. It tells whether the path, which Envoy has normalised, matches the template at all; where it does not, yield is
// never called.
func (t *Template) Capture(path string, yield func(name, value string)) bool {
	if !t.Match(path) {
		return false
	}
	for _, s := range t.segments {
		path = strings.TrimPrefix(path, "/")
		if s.Kind == Rest {
			yield(s.Text, path)
			return true
		}
		segment, rest := cut(path)
		if s.Kind == Variable {
			yield(s.Text, segment)
		}
		path = rest
	}
	return true
}
