package expression

import (
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// uses are the facts that an expression reads, in dotted form.
type uses struct{ facts []string }

// reads tells whether something under a name is read, or the whole.
func (u uses) reads(name string) bool {
	return slices.ContainsFunc(u.facts, func(fact string) bool { return fact == name || strings.HasPrefix(fact, name+".") })
}

// under lists what is read directly under a fact.
func (u uses) under(fact ...string) []string {
	var names []string
	prefix := strings.Join(fact, ".") + "."
	for _, one := range u.facts {
		if name, ok := strings.CutPrefix(one, prefix); ok && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func usesOf(checked *cel.Ast) uses {
	var u uses
	u.visit(checked.NativeRep().Expr())
	return u
}

// visit notes the longest chains of names, `consumer.attributes.prisons`, from the outside in.
func (u *uses) visit(e ast.Expr) {
	if chain := chainOf(e); chain != nil {
		if fact := strings.Join(chain, "."); slices.Contains(roots, chain[0]) && !slices.Contains(u.facts, fact) {
			u.facts = append(u.facts, fact)
		}
		return
	}
	for _, child := range children(e) {
		u.visit(child)
	}
}

// chainOf returns the names of an expression that is nothing but a name and names of what is in it, as `a.b` or `a['b']`; nil
// for any other.
func chainOf(e ast.Expr) []string {
	switch e.Kind() {
	case ast.IdentKind:
		return []string{e.AsIdent()}
	case ast.SelectKind:
		if chain := chainOf(e.AsSelect().Operand()); chain != nil {
			return append(chain, e.AsSelect().FieldName())
		}
	case ast.CallKind:
		call := e.AsCall()
		if call.FunctionName() != operators.Index || call.Args()[1].Kind() != ast.LiteralKind {
			return nil
		}
		key, isText := call.Args()[1].AsLiteral().(types.String)
		if chain := chainOf(call.Args()[0]); chain != nil && isText {
			return append(chain, string(key))
		}
	}
	return nil
}

// children are the parts of an expression.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.CallKind:
		call := e.AsCall()
		if call.IsMemberFunction() {
			return append([]ast.Expr{call.Target()}, call.Args()...)
		}
		return call.Args()
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.MapKind:
		var parts []ast.Expr
		for _, entry := range e.AsMap().Entries() {
			parts = append(parts, entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
		return parts
	case ast.StructKind:
		var parts []ast.Expr
		for _, field := range e.AsStruct().Fields() {
			parts = append(parts, field.AsStructField().Value())
		}
		return parts
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}

// plainOf is the fact that an expression is, if it is one of the Plain ones and nothing else.
func plainOf(checked *cel.Ast) Plain {
	chain := chainOf(checked.NativeRep().Expr())
	if chain == nil || checked.NativeRep().Expr().Kind() == ast.SelectKind && checked.NativeRep().Expr().AsSelect().IsTestOnly() {
		return ""
	}
	switch fact := Plain(strings.Join(chain, ".")); fact {
	case ConsumerName, CertificateSubjectDN, CertificateSerial, CertificateNotAfter, TokenSubject, Subject:
		return fact
	}
	return ""
}
