package config

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/config/template"
)

// Compare orders matches by precedence, the one that is tried first being less: the more specific path, then one that
// names methods before one that does not, then more headers (Gateway API, HTTPRouteRule.matches). Where all of that is
// equal the order is by the text of the match, and so never by the order of files.
//
// Paths are compared segment by segment from the left. A literal is more specific than a variable, that than the rest of
// a template, and that than the end of a prefix; so exact matches come before templates of their length, and longer
// prefixes before shorter ones.
func (m Match) Compare(other Match) int {
	return cmp.Or(
		m.comparePath(other),
		compareMethods(m.Methods, other.Methods),
		cmp.Compare(len(other.Headers), len(m.Headers)),
		slices.CompareFunc(m.Headers, other.Headers, compareHeaders),
	)
}

// Ambiguous tells whether the two differ in their methods at most, and some request is taken by both: nobody can have
// meant that. That one names methods and the other does not is no ambiguity.
func (m Match) Ambiguous(other Match) bool {
	if m.comparePath(other) != 0 || slices.CompareFunc(m.Headers, other.Headers, compareHeaders) != 0 {
		return false
	}
	if len(m.Methods) == 0 || len(other.Methods) == 0 {
		return len(m.Methods) == len(other.Methods)
	}
	return slices.ContainsFunc(m.Methods, func(method string) bool { return slices.Contains(other.Methods, method) })
}

func (m Match) comparePath(other Match) int {
	return cmp.Or(
		slices.Compare(other.specificity(), m.specificity()),
		strings.Compare(m.Template.Shape(), other.Template.Shape()),
	)
}

func compareMethods(a, b []string) int {
	if len(a) == 0 || len(b) == 0 {
		return cmp.Compare(len(b), len(a))
	}
	return cmp.Or(cmp.Compare(len(a), len(b)), slices.Compare(a, b))
}

func compareHeaders(a, b HeaderMatch) int {
	present := func(h HeaderMatch) int {
		if h.Present {
			return 1
		}
		return 0
	}
	return cmp.Or(strings.Compare(a.Name, b.Name), cmp.Compare(present(a), present(b)), strings.Compare(a.Value, b.Value))
}

// Ranks of what can stand at one position of a path, least specific first.
const (
	rankPrefixEnd = iota
	rankRest
	rankVariable
	rankLiteral
	rankEnd
)

// specificity is the rank of each segment, and then of the end.
func (m Match) specificity() []int {
	var ranks []int
	if m.Kind == MatchPrefix && m.Path == "/" {
		return []int{rankPrefixEnd}
	}
	for _, s := range m.Template.Segments() {
		switch s.Kind {
		case template.Literal:
			ranks = append(ranks, rankLiteral)
		case template.Variable:
			ranks = append(ranks, rankVariable)
		case template.Rest:
			return append(ranks, rankRest)
		}
	}
	if m.Kind == MatchPrefix {
		return append(ranks, rankPrefixEnd)
	}
	return append(ranks, rankEnd)
}

// MatchesPath tells whether the match takes a path that Envoy has normalised, without its query.
func (m Match) MatchesPath(path string) bool {
	if m.Kind == MatchPrefix {
		rest, ok := strings.CutPrefix(path, m.Path)
		return ok && (rest == "" || m.Path == "/" || rest[0] == '/')
	}
	return m.Template.Match(path)
}
