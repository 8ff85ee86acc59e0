package expression

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// compiled is an expression that has passed every check. It is immutable and safe for concurrent use.
type compiled struct {
	source  string
	ast     *cel.Ast
	program cel.Program
	uses    uses
	// partial evaluates with facts that are not known; made when it is first asked for, which no request does.
	partial func() (cel.Program, error)
}

// String is the expression as it was written.
func (c *compiled) String() string { return c.source }

// Depends are the facts that the expression reads, each once and in the order of the text: `consumer.attributes.prisons`,
// `path.prison_id`, `request`.
func (c *compiled) Depends() []string { return c.uses.facts }

// Captures are the names that it reads under `path`, as far as the text names them.
func (c *compiled) Captures() []string { return c.uses.under(NamePath) }

// Attributes are the names that it reads under `consumer.attributes`, as far as the text names them.
func (c *compiled) Attributes() []string { return c.uses.under(NameConsumer, "attributes") }

// ReadsCaller tells whether it reads what the caller sent: `path`, or a part of `request`, of its `certificate` or its `token`.
func (c *compiled) ReadsCaller() bool {
	return c.uses.reads(NamePath) || c.uses.reads(NameRequest) || c.uses.reads(NameCertificate) || c.uses.reads(NameToken)
}

// ReadsPath tells whether it reads `path` at all.
func (c *compiled) ReadsPath() bool { return c.uses.reads(NamePath) }

// Condition is an expression that is true or false.
type Condition struct{ compiled }

// Text is an expression that is a text.
type Text struct {
	compiled
	plain Plain
}

// Plain is a fact that is so often a whole expression that nobody need evaluate it.
type Plain string

// The plain facts.
const (
	ConsumerName         Plain = "consumer.name"
	CertificateSubjectDN Plain = "certificate.subject_dn"
	CertificateSerial    Plain = "certificate.serial"
	CertificateNotAfter  Plain = "certificate.not_after"
	TokenSubject         Plain = "token.subject"
	Subject              Plain = "subject"
)

// CompileCondition compiles an expression that is true or false. The error is an *Error.
func CompileCondition(source string) (*Condition, error) {
	c, err := compile(source)
	if err != nil {
		return nil, err
	}
	if !c.ast.OutputType().IsExactType(cel.BoolType) {
		return nil, &Error{Message: "is no condition: it is " + a(c.ast.OutputType()) + ", and must be true or false"}
	}
	return &Condition{*c}, nil
}

// CompileText compiles an expression that is a text; a time is one as RFC 3339 writes it, in UTC. The error is an *Error.
func CompileText(source string) (*Text, error) {
	c, err := compile(source)
	if err != nil {
		return nil, err
	}
	if of := c.ast.OutputType(); !of.IsExactType(cel.StringType) && !of.IsExactType(cel.TimestampType) {
		return nil, &Error{Message: "is no text: it is " + a(of) + "; " + howToText(of)}
	}
	return &Text{*c, plainOf(c.ast)}, nil
}

// Holds tells whether the condition is true of a request. The error says for people why it cannot be told; the result is
// false then.
func (c *Condition) Holds(f *Facts) (bool, error) {
	value, err := c.evaluate(f)
	if err != nil {
		return false, err
	}
	holds, ok := value.(types.Bool)
	if !ok {
		return false, errors.New("it came out as something that is neither true nor false")
	}
	return bool(holds), nil
}

// Plain is the expression if it is one of the plain facts and nothing else, and empty otherwise.
func (t *Text) Plain() Plain { return t.plain }

// Value is the text for a request. The error says for people why there is none.
func (t *Text) Value(f *Facts) (string, error) {
	value, err := t.evaluate(f)
	if err != nil {
		return "", err
	}
	switch v := value.(type) {
	case types.String:
		return string(v), nil
	case types.Timestamp:
		return FormatTime(v.Time), nil
	}
	return "", errors.New("it came out as something that is no text")
}

// FormatTime writes a time as a text, as RFC 3339 does, in UTC and in whole seconds.
func FormatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func compile(source string) (*compiled, error) {
	env, err := environment()
	if err != nil {
		return nil, &Error{Message: "cannot be checked: " + err.Error()}
	}
	parsed, issues := env.Parse(source)
	if len(issues.Errors()) > 0 {
		return nil, explain(issues, nil)
	}
	checked, issues := env.Check(parsed)
	if len(issues.Errors()) > 0 {
		return nil, explain(issues, parsed)
	}
	used := usesOf(checked)
	for _, of := range used.facts {
		if len(fields[of]) > 0 {
			return nil, &Error{Message: fmt.Sprintf("uses the whole %#q; name one of its fields: %s", of, strings.Join(fields[of], ", "))}
		}
	}
	if problem := checkCost(env, checked); problem != nil {
		return nil, problem
	}
	program, err := env.Program(checked, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &Error{Message: "cannot be compiled: " + err.Error()}
	}
	return &compiled{
		source: source, ast: checked, program: program, uses: used,
		partial: sync.OnceValues(func() (cel.Program, error) {
			return env.Program(checked, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptPartialEval, cel.OptTrackState))
		}),
	}, nil
}

// evaluate never panics and never takes longer than the limit of cost allows.
func (c *compiled) evaluate(f *Facts) (ref.Val, error) {
	value, _, err := c.program.Eval(f)
	switch {
	case err != nil:
		return nil, fault(err)
	case types.IsUnknownOrError(value):
		return nil, errors.New("it came out as nothing")
	}
	return value, nil
}

// maxFault is how much of a fault is told, in bytes: it may hold a part of the request.
const maxFault = 200

// fault is an error of an evaluation, in words of ours where it has a better one.
func fault(err error) error {
	message := err.Error()
	if message == "no such overload" { // of claims, whose types nobody knows before
		message = "a value is of another type than its place takes"
	}
	if len(message) > maxFault {
		message = strings.ToValidUTF8(message[:maxFault], "") + "..."
	}
	return fmt.Errorf("%s", message)
}
