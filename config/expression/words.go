package expression

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"

	"github.com/sallyport-project/sallyport/config/document"
)

// Error is what is wrong with the text of an expression.
type Error struct {
	// Line and Column are where in the text, counting from 1; zero where it is the whole.
	Line, Column int
	// Message says what is wrong and what to do.
	Message string
}

// Error is the message with its place.
func (e *Error) Error() string {
	switch e.Line {
	case 0:
		return e.Message
	case 1:
		return fmt.Sprintf("at character %d: %s", e.Column, e.Message)
	}
	return fmt.Sprintf("at character %d of line %d: %s", e.Column, e.Line, e.Message)
}

// explain makes one error of what CEL found: of the first, because those after it often follow from it. Parsed is nil
// where the text could not even be parsed.
func explain(issues *cel.Issues, parsed *cel.Ast) *Error {
	first := issues.Errors()[0]
	e := &Error{Line: first.Location.Line(), Column: max(first.Location.Column()+1, 1), Message: first.Message}
	if e.Line <= 0 {
		e.Line, e.Column = 0, 0
	}
	for _, known := range rewrites {
		if match := known.pattern.FindStringSubmatch(first.Message); match != nil {
			e.Message = known.write(match, find(parsed, first.ExprID))
			break
		}
	}
	return e
}

// rewrites say in words of ours what CEL says of the most common mistakes. At is the part of the expression that is wrong, or
// nil.
var rewrites = []struct {
	pattern *regexp.Regexp
	write   func(match []string, at ast.Expr) string
}{
	{regexp.MustCompile(`^undefined field '([^']*)'$`), func(match []string, at ast.Expr) string {
		if at == nil || at.Kind() != ast.SelectKind {
			return fmt.Sprintf("there is no %#q here", match[1])
		}
		of := strings.Join(chainOf(at.AsSelect().Operand()), ".")
		return fmt.Sprintf("%#q has no %#q, but %s%s", of, match[1], strings.Join(fields[of], ", "), document.DidYouMean(match[1], fields[of]))
	}},
	{regexp.MustCompile(`^undeclared reference to '([^']*)'`), func(match []string, at ast.Expr) string {
		if at != nil && at.Kind() == ast.CallKind {
			return fmt.Sprintf("there is no function %#q", match[1])
		}
		name, _, _ := strings.Cut(match[1], ".")
		return fmt.Sprintf("there is no %#q; an expression is over %s%s", name, strings.Join(roots, ", "), document.DidYouMean(name, roots))
	}},
	{regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '(.*)'$`), func(match []string, _ ast.Expr) string {
		return fmt.Sprintf("%#q does not go with %s", operator(match[1]), match[2])
	}},
	{regexp.MustCompile(`^Syntax error: (?:mismatched|extraneous) input '<EOF>'`), func([]string, ast.Expr) string {
		return "the expression ends too early"
	}},
	{regexp.MustCompile(`^Syntax error: (.*?)(?: expecting .*)?$`), func(match []string, _ ast.Expr) string {
		return "this is no expression: " + match[1]
	}},
	{regexp.MustCompile(`^invalid matches argument$`), func([]string, ast.Expr) string {
		return "this is no regular expression (RE2)"
	}},
}

// operator is an operator as it is written: CEL calls `==` `_==_`.
func operator(function string) string {
	if function == operators.In || function == operators.OldIn {
		return "in"
	}
	if name := strings.ReplaceAll(function, "_", ""); !strings.ContainsFunc(name, isLetter) {
		return name
	}
	return function
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

// find returns the part of an expression that has the id, or nil.
func find(parsed *cel.Ast, id int64) ast.Expr {
	if parsed == nil {
		return nil
	}
	var found ast.Expr
	ast.PreOrderVisit(parsed.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.ID() == id {
			found = e
		}
	}))
	return found
}

// typeNames are CEL's types in words.
var typeNames = map[string]string{
	"bool": "a truth value", "string": "a text", "int": "a number", "uint": "a number", "double": "a number", "timestamp": "a time",
	"google.protobuf.Timestamp": "a time", "google.protobuf.Duration": "a length of time", "duration": "a length of time", "bytes": "bytes",
}

// a names a type, with its article.
func a(t *types.Type) string {
	switch {
	case typeNames[t.TypeName()] != "":
		return typeNames[t.TypeName()]
	case t.Kind() == types.ListKind:
		return "a list"
	case t.Kind() == types.MapKind:
		return "a map"
	case t.Kind() == types.StructKind:
		return "the whole `" + strings.TrimPrefix(t.TypeName(), typeName("")) + "`"
	}
	return "something whose type is only known when it is evaluated"
}

// howToText says how something that is no text becomes one.
func howToText(t *types.Type) string {
	switch t.Kind() {
	case types.ListKind:
		return "join it, as `consumer.roles.join(',')`"
	case types.StructKind:
		name := strings.TrimPrefix(t.TypeName(), typeName(""))
		return "name one of its fields: " + strings.Join(slices.Clone(fields[name]), ", ")
	case types.MapKind:
		return "name one of its entries"
	}
	return "make it one with `string(…)`"
}
