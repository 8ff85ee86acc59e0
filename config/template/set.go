package template

// Set finds, of many templates, those that match a path. Its cost grows with the length of the path and not with the
// number of templates: it is a trie by segment. T is what is stored with each template.
//
// The zero Set is empty. Add must not be called once the Set is shared.
type Set[T any] struct {
	root node[T]
}

type node[T any] struct {
	literals map[string]*node[T]
	variable *node[T]
	// end holds what matches a path that ends here, rest what matches whatever follows.
	end, rest []T
}

// Add stores a value under a template.
func (s *Set[T]) Add(t *Template, value T) {
	n := &s.root
	for _, segment := range t.segments {
		switch segment.Kind {
		case Rest:
			n.rest = append(n.rest, value)
			return
		case Variable:
			if n.variable == nil {
				n.variable = &node[T]{}
			}
			n = n.variable
		case Literal:
			if n.literals == nil {
				n.literals = map[string]*node[T]{}
			}
			next := n.literals[segment.Text]
			if next == nil {
				next = &node[T]{}
				n.literals[segment.Text] = next
			}
			n = next
		}
	}
	n.end = append(n.end, value)
}

// Visit calls yield with every value whose template matches the path, the most specific templates first, until yield
// returns false. It tells whether yield never did.
func (s *Set[T]) Visit(path string, yield func(T) bool) bool {
	return s.root.visit(path, yield)
}

func (n *node[T]) visit(path string, yield func(T) bool) bool {
	if path == "" {
		return each(n.end, yield)
	}
	if path[0] != '/' {
		return true
	}
	segment, rest := cut(path[1:])
	if next := n.literals[segment]; next != nil && !next.visit(rest, yield) {
		return false
	}
	if n.variable != nil && segment != "" && !n.variable.visit(rest, yield) {
		return false
	}
	if len(path) > 1 {
		return each(n.rest, yield)
	}
	return true
}

func each[T any](values []T, yield func(T) bool) bool {
	for _, v := range values {
		if !yield(v) {
			return false
		}
	}
	return true
}
