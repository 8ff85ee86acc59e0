// Package terminal makes text of unknown origin fit to be printed for people.
package terminal

import (
	"strings"
	"unicode"
)

// Safe is the text on one line, with each character that is none to be printed replaced: a terminal obeys some of them.
func Safe(text string) string { return strings.Map(safe, text) }

func safe(c rune) rune {
	if !unicode.IsPrint(c) {
		return unicode.ReplacementChar
	}
	return c
}
