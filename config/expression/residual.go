package expression

import (
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// Outcome is what a condition comes to where not every fact is known.
type Outcome int

// The outcomes. The zero Outcome lets nobody in.
const (
	// Fails: it is false, whatever the unknown facts are.
	Fails Outcome = iota
	// Errs: it cannot be evaluated, whatever they are.
	Errs
	// Depends: it depends on them.
	Depends
	// Holds: it is true, whatever they are.
	Holds
)

// Residual evaluates the condition with facts of which some are not known: those named, such as `path`, `path.prison_id`,
// `request.time` or `certificate`, with all that is in them. The text is what is left of the condition where it Depends,
// with every known fact in its place, and what is wrong where it Errs.
func (c *Condition) Residual(known *Facts, unknown ...string) (Outcome, string) {
	program, err := c.partial()
	if err != nil {
		return Errs, err.Error()
	}
	patterns := make([]*cel.AttributePatternType, len(unknown))
	for i, name := range unknown {
		parts := strings.Split(name, ".")
		patterns[i] = cel.AttributePattern(parts[0])
		for _, part := range parts[1:] {
			patterns[i] = patterns[i].QualString(part)
		}
	}
	vars, err := cel.PartialVars(known, patterns...)
	if err != nil {
		return Errs, err.Error()
	}
	value, details, err := program.Eval(vars)
	switch {
	case err != nil:
		return Errs, fault(err).Error()
	case types.IsUnknown(value):
		return Depends, c.rest(details)
	case value == types.True:
		return Holds, ""
	}
	return Fails, ""
}

// rest writes what is left of the condition; where it cannot, the condition as it is.
func (c *Condition) rest(details *cel.EvalDetails) string {
	whole := c.ast.NativeRep()
	pruned := interpreter.PruneAst(whole.Expr(), whole.SourceInfo().MacroCalls(), details.State())
	text, err := cel.ExprToString(pruned.Expr(), pruned.SourceInfo())
	if err != nil {
		return c.source
	}
	return text
}
