package identity

import (
	"regexp/syntax"
	"strings"

	"github.com/sallyport-project/sallyport/config"
)

// specimenOf makes up a name that a pattern matches, and tells whether it has found one.
func specimenOf(pattern config.Pattern) (string, bool) {
	parsed, err := syntax.Parse(pattern.Text, syntax.Perl)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	write(&b, parsed.Simplify())
	return b.String(), pattern.Matches(b.String()) // what looks around itself (\b) may have come out wrong
}

// write writes what an expression matches, the shortest way but with something where nothing would do.
func write(b *strings.Builder, r *syntax.Regexp) {
	switch r.Op {
	case syntax.OpLiteral:
		b.WriteString(string(r.Rune))
	case syntax.OpCharClass:
		b.WriteRune(letterOf(r.Rune))
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpCapture, syntax.OpStar, syntax.OpPlus, syntax.OpQuest:
		write(b, r.Sub[0])
	case syntax.OpRepeat:
		for range max(r.Min, 1) {
			write(b, r.Sub[0])
		}
	case syntax.OpConcat:
		for _, sub := range r.Sub {
			write(b, sub)
		}
	case syntax.OpAlternate:
		write(b, r.Sub[0])
	}
}

// letterOf is a visible character of a class, which is pairs of bounds; its first one where none is.
func letterOf(class []rune) rune {
	for i := 0; i+1 < len(class); i += 2 {
		if low, high := max(class[i], '!'), min(class[i+1], '~'); low <= high {
			return high
		}
	}
	if len(class) == 0 {
		return 'x'
	}
	return class[0]
}
