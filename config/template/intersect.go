package template

import "strings"

// Intersect returns the template that matches exactly the paths that both match, and false where there are none. Where both
// have a variable, the name is that of a.
func Intersect(a, b *Template) (*Template, bool) {
	var met []Segment
	for i := 0; ; i++ {
		aEnds, bEnds := i == len(a.segments), i == len(b.segments)
		if aEnds || bEnds {
			return assemble(met), aEnds && bEnds
		}
		first, second := a.segments[i], b.segments[i]
		switch {
		case first.Kind == Rest && second.Kind == Rest:
			return assemble(append(met, first)), true
		case first.Kind == Rest:
			return assemble(append(met, b.segments[i:]...)), first.meets(second)
		case second.Kind == Rest:
			return assemble(append(met, a.segments[i:]...)), second.meets(first)
		case !first.meets(second):
			return nil, false
		case second.Kind == Literal:
			met = append(met, second)
		default:
			met = append(met, first)
		}
	}
}

// Within returns the template that matches exactly those paths of t that are the prefix or lie below it, by whole segments,
// and false where there are none. All tells that t matches every such path; there is no template then. The prefix has literals
// alone, and no trailing slash unless it is `/`.
func Within(t, prefix *Template) (within *Template, all, found bool) {
	if prefix.source == "/" {
		return t, false, true
	}
	var met []Segment
	for i, literal := range prefix.segments {
		switch {
		case i == len(t.segments) || !t.segments[i].meets(literal):
			return nil, false, false
		case t.segments[i].Kind == Rest:
			return nil, true, true
		}
		met = append(met, literal)
	}
	return assemble(append(met, t.segments[len(prefix.segments):]...)), false, true
}

// assemble makes a template of segments of others. Of two variables that are named alike, the second gets another name.
func assemble(segments []Segment) *Template {
	t := &Template{segments: make([]Segment, 0, len(segments))}
	taken := map[string]bool{}
	var source strings.Builder
	for _, s := range segments {
		for s.Kind != Literal && taken[s.Text] {
			s.Text += "_"
		}
		t.segments = append(t.segments, s)
		source.WriteByte('/')
		switch s.Kind {
		case Literal:
			source.WriteString(s.Text)
			continue
		case Variable:
			source.WriteString("{" + s.Text + "}")
		case Rest:
			source.WriteString("{" + s.Text + "=**}")
		}
		taken[s.Text] = true
	}
	t.source = source.String()
	return t
}
