// Package template compiles path templates such as /v1/persons/{id}/alerts.
//
// It owns their grammar, their order of precedence, and the two forms in which they are matched: a Set, which the
// authorization service walks, and a regular expression, which Envoy runs. Both accept the same paths. It never
// normalises or decodes a path: it is given one that Envoy has normalised, in which %2F is part of a segment.
//
// Grammar: a template starts with a slash; between slashes stand literals of RFC 3986 characters without escapes, `{name}`
// for exactly one segment of at least one character, and, as the last, `{name=**}` for one or more characters of any
// kind, slashes included. A trailing slash counts: /a and /a/ are two paths.
package template

import (
	"fmt"
	"regexp"
	"strings"
)

// Kind is what a segment matches. A greater kind is more specific.
type Kind int

// The kinds, from the least specific to the most.
const (
	// Rest matches one or more characters of any kind.
	Rest Kind = iota
	// Variable matches one segment.
	Variable
	// Literal matches itself.
	Literal
)

// Segment is what stands between two slashes.
type Segment struct {
	Kind Kind
	// Text is the literal, or the variable's name.
	Text string
}

// Template is a compiled path template. It is immutable.
type Template struct {
	source   string
	segments []Segment
}

var (
	literalSegment = regexp.MustCompile(`^[A-Za-z0-9._~!$&'()*+,=:@-]*$`)
	variableName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)
)

// Parse compiles a template. The error says which part is wrong and what is accepted.
func Parse(source string) (*Template, error) {
	if !strings.HasPrefix(source, "/") {
		return nil, fmt.Errorf("a path starts with a slash, %q does not", source)
	}
	parts := strings.Split(source[1:], "/")
	t := &Template{source: source, segments: make([]Segment, 0, len(parts))}
	seen := map[string]bool{}
	for i, part := range parts {
		last := i == len(parts)-1
		segment, err := parseSegment(part, last)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", source, err)
		}
		if segment.Kind != Literal {
			if seen[segment.Text] {
				return nil, fmt.Errorf("%q: the name %q stands twice", source, segment.Text)
			}
			seen[segment.Text] = true
		}
		t.segments = append(t.segments, segment)
	}
	return t, nil
}

// ParseLiteral checks a path that has no variables, such as an exact match or a prefix, by the rules for literals.
func ParseLiteral(path string) (*Template, error) {
	t, err := Parse(path)
	if err != nil {
		return nil, err
	}
	for _, s := range t.segments {
		if s.Kind != Literal {
			return nil, fmt.Errorf("%q: a variable stands in a path that has none; did you mean `template`?", path)
		}
	}
	return t, nil
}

func parseSegment(part string, last bool) (Segment, error) {
	if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") {
		name, pattern, rest := strings.Cut(part[1:len(part)-1], "=")
		if !variableName.MatchString(name) {
			return Segment{}, fmt.Errorf("%q is no name for a variable: letters, digits, underscores and hyphens", name)
		}
		switch {
		case !rest:
			return Segment{Kind: Variable, Text: name}, nil
		case pattern != "**":
			return Segment{}, fmt.Errorf("{%s=%s}: the only pattern is **", name, pattern)
		case !last:
			return Segment{}, fmt.Errorf("{%s=**} takes the rest and must be the last", name)
		}
		return Segment{Kind: Rest, Text: name}, nil
	}
	switch {
	case strings.ContainsAny(part, "{}"):
		return Segment{}, fmt.Errorf("%q mixes text and a variable: a variable is a whole segment", part)
	case part == "" && !last:
		return Segment{}, fmt.Errorf("an empty segment (//) never arrives: proxies merge slashes")
	case part == "." || part == "..":
		return Segment{}, fmt.Errorf("a segment %q never arrives: proxies resolve it", part)
	case strings.Contains(part, "%"):
		return Segment{}, fmt.Errorf("%q is escaped: write the characters themselves, or a variable", part)
	case !literalSegment.MatchString(part):
		return Segment{}, fmt.Errorf("%q has a character that no path segment has", part)
	}
	return Segment{Kind: Literal, Text: part}, nil
}

// String is the template as it was written.
func (t *Template) String() string { return t.source }

// Segments are the template's segments. The slice must not be changed.
func (t *Template) Segments() []Segment { return t.segments }

// Regex is an anchored regular expression in RE2 syntax that matches the same paths as the template.
func (t *Template) Regex() string {
	var b strings.Builder
	b.WriteByte('^')
	for _, s := range t.segments {
		b.WriteByte('/')
		switch s.Kind {
		case Literal:
			b.WriteString(regexp.QuoteMeta(s.Text))
		case Variable:
			b.WriteString("[^/]+")
		case Rest:
			b.WriteString(".+")
		}
	}
	b.WriteByte('$')
	return b.String()
}

// Shape is the template with its names taken out; two templates of one shape match the same paths.
func (t *Template) Shape() string {
	var b strings.Builder
	for _, s := range t.segments {
		b.WriteByte('/')
		switch s.Kind {
		case Literal:
			b.WriteString(s.Text)
		case Variable:
			b.WriteString("{}")
		case Rest:
			b.WriteString("{=**}")
		}
	}
	return b.String()
}

// Match tells whether the path, which Envoy has normalised, matches. It allocates nothing.
func (t *Template) Match(path string) bool {
	for i, s := range t.segments {
		if !strings.HasPrefix(path, "/") {
			return false
		}
		path = path[1:]
		if s.Kind == Rest {
			return path != ""
		}
		segment, rest := cut(path)
		if s.Kind == Variable && segment == "" || s.Kind == Literal && segment != s.Text {
			return false
		}
		path = rest
		if i == len(t.segments)-1 {
			return path == ""
		}
	}
	return false
}

// cut splits a path, whose leading slash is gone, before its next slash.
func cut(path string) (segment, rest string) {
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// Overlap tells whether some path matches both templates. With prefix, what lies below the second matches it as well.
func Overlap(a, b *Template, prefix bool) bool {
	if prefix && b.source == "/" {
		return true
	}
	for i := 0; ; i++ {
		aEnds, bEnds := i == len(a.segments), i == len(b.segments)
		switch {
		case bEnds:
			return aEnds || prefix
		case aEnds || !a.segments[i].meets(b.segments[i]):
			return false
		case a.segments[i].Kind == Rest || b.segments[i].Kind == Rest:
			return true
		}
	}
}

// meets tells whether both match the beginning of some rest of a path. The empty literal of a trailing slash is the only
// thing that a variable and a rest do not match.
func (s Segment) meets(other Segment) bool {
	switch {
	case s.Kind == Literal && other.Kind == Literal:
		return s.Text == other.Text
	case s.Kind == Literal:
		return s.Text != ""
	case other.Kind == Literal:
		return other.Text != ""
	}
	return true
}
