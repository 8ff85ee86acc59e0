package document

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Origin is a place in a configuration file. Line and Column count from 1; zero means unknown.
type Origin struct {
	File   string
	Line   int
	Column int
}

// String is the origin as compilers write it: file:line:column.
func (o Origin) String() string {
	if o.Line == 0 {
		return o.File
	}
	return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
}

// IsZero tells whether nothing is known of the origin.
func (o Origin) IsZero() bool { return o == Origin{} }

// Compare orders origins by file, line and column.
func (o Origin) Compare(other Origin) int {
	return cmp.Or(strings.Compare(o.File, other.File), cmp.Compare(o.Line, other.Line), cmp.Compare(o.Column, other.Column))
}

// Severity is how much a problem matters.
type Severity int

// The severities.
const (
	// Error keeps the configuration from being used.
	Error Severity = iota
	// Warning marks what is legal and can hardly be meant.
	Warning
)

// String is `error` or `warning`.
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Problem is one thing wrong with a configuration, told to a person: where it is, which field, and what was expected.
type Problem struct {
	Severity Severity
	Origin   Origin
	// Field is the path of the field as it is written in YAML; empty for a whole document.
	Field   string
	Message string
}

// Error is the problem on one line.
func (p Problem) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: ", p.Origin, p.Severity)
	if p.Field != "" {
		fmt.Fprintf(&b, "%s: ", p.Field)
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is a list of problems. It is an error, which reads as one line for each.
type Problems []Problem

// Error is one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// Sort orders the problems by file, line and column.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Origin.Compare(b.Origin) })
}

// Errors are those problems that keep the configuration from being used.
func (ps Problems) Errors() Problems { return ps.withSeverity(Error) }

// Warnings are those problems that do not.
func (ps Problems) Warnings() Problems { return ps.withSeverity(Warning) }

func (ps Problems) withSeverity(s Severity) Problems {
	var of Problems
	for _, p := range ps {
		if p.Severity == s {
			of = append(of, p)
		}
	}
	return of
}
