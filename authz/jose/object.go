package jose

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth        = 16 // of objects and lists within one another
	maxNumberLength = 64 // of a number, in characters
)

// objectError is JSON that is refused. It quotes nothing of it.
type objectError struct {
	what string
	at   int // in bytes
}

func (e *objectError) Error() string { return fmt.Sprintf("%s, at byte %d", e.what, e.at) }

// readObject reads a text that is one JSON object and nothing else, as RFC 8259 has it, and refuses what other readers could
// read differently (RFC 7493): a member that is there twice, at any depth and however it is escaped; text that is not UTF-8,
// half of a surrogate pair, or U+0000; a number that does not fit. The values are string, int64 (a number without fraction and
// exponent), float64, bool, nil, []any and map[string]any.
func readObject(text string) (map[string]any, error) {
	if !utf8.ValidString(text) {
		return nil, &objectError{what: "it is not UTF-8"}
	}
	r := reader{text: text}
	r.space()
	if r.next() != '{' {
		return nil, r.refuse("it is not an object")
	}
	object, err := r.object(1)
	if err != nil {
		return nil, err
	}
	r.space()
	if r.at != len(text) {
		return nil, r.refuse("something follows the object")
	}
	return object, nil
}

// reader goes through a text once. Each of its functions starts at the first byte of what it reads and ends behind the last.
type reader struct {
	text string
	at   int
}

func (r *reader) refuse(what string) error { return &objectError{what: what, at: r.at} }

// next is the byte to be read; 0, which is nowhere allowed, at the end.
func (r *reader) next() byte {
	if r.at < len(r.text) {
		return r.text[r.at]
	}
	return 0
}

// take goes past a byte if it is the next one.
func (r *reader) take(c byte) bool {
	if r.next() != c {
		return false
	}
	r.at++
	return true
}

func (r *reader) space() {
	for {
		switch r.next() {
		case ' ', '\t', '\n', '\r':
			r.at++
		default:
			return
		}
	}
}

func (r *reader) value(depth int) (any, error) {
	switch c := r.next(); {
	case c == '"':
		return r.string()
	case c == '{':
		return r.object(depth)
	case c == '[':
		return r.list(depth)
	case c == '-' || isDigit(c):
		return r.number()
	}
	switch rest := r.text[r.at:]; {
	case strings.HasPrefix(rest, "true"):
		r.at += len("true")
		return true, nil
	case strings.HasPrefix(rest, "false"):
		r.at += len("false")
		return false, nil
	case strings.HasPrefix(rest, "null"):
		r.at += len("null")
		return nil, nil
	}
	return nil, r.refuse("a value is missing")
}

func (r *reader) object(depth int) (map[string]any, error) {
	if depth > maxDepth {
		return nil, r.refuse("it is nested too deeply")
	}
	r.at++
	object := make(map[string]any)
	for r.space(); !r.take('}'); r.space() {
		if len(object) > 0 {
			if !r.take(',') {
				return nil, r.refuse("a comma or the end of an object is missing")
			}
			r.space()
		}
		if r.next() != '"' {
			return nil, r.refuse("the name of a member is missing")
		}
		name, err := r.string()
		if err != nil {
			return nil, err
		}
		if _, twice := object[name]; twice {
			return nil, r.refuse("a member is there twice")
		}
		r.space()
		if !r.take(':') {
			return nil, r.refuse("a colon is missing")
		}
		r.space()
		if object[name], err = r.value(depth + 1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func (r *reader) list(depth int) ([]any, error) {
	if depth > maxDepth {
		return nil, r.refuse("it is nested too deeply")
	}
	r.at++
	list := []any{}
	for r.space(); !r.take(']'); r.space() {
		if len(list) > 0 {
			if !r.take(',') {
				return nil, r.refuse("a comma or the end of a list is missing")
			}
			r.space()
		}
		element, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		list = append(list, element)
	}
	return list, nil
}

// string reads a text. One without escapes, which most are, is taken as it stands.
func (r *reader) string() (string, error) {
	r.at++
	start := r.at
	for ; r.at < len(r.text); r.at++ {
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return r.text[start : r.at-1], nil
		case c == '\\':
			return r.escaped(r.text[start:r.at])
		case c < ' ':
			return "", r.refuse("a text has a control character")
		}
	}
	return "", r.refuse("a text does not end")
}

// escaped reads the rest of a text from its first backslash on.
func (r *reader) escaped(before string) (string, error) {
	var b strings.Builder
	b.WriteString(before)
	for r.at < len(r.text) {
		c := r.text[r.at]
		r.at++
		switch {
		case c == '"':
			return b.String(), nil
		case c == '\\':
			unescaped, err := r.escape()
			if err != nil {
				return "", err
			}
			b.WriteRune(unescaped)
		case c < ' ':
			return "", r.refuse("a text has a control character")
		default:
			b.WriteByte(c)
		}
	}
	return "", r.refuse("a text does not end")
}

// escape reads what follows a backslash.
func (r *reader) escape() (rune, error) {
	c := r.next()
	r.at++
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return r.unicode()
	}
	return 0, r.refuse("a text has an escape that JSON does not know")
}

// unicode reads what follows \u: a character, or a surrogate and, escaped too, the other half of its pair.
func (r *reader) unicode() (rune, error) {
	first, err := r.hex()
	if err != nil {
		return 0, err
	}
	if first == 0 {
		return 0, r.refuse("a text has the character U+0000")
	}
	if !utf16.IsSurrogate(first) {
		return first, nil
	}
	if r.take('\\') && r.take('u') {
		second, err := r.hex()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(first, second); pair != utf8.RuneError {
			return pair, nil
		}
	}
	return 0, r.refuse("a text has half of a surrogate pair")
}

func (r *reader) hex() (rune, error) {
	if len(r.text)-r.at >= 4 {
		if code, err := strconv.ParseUint(r.text[r.at:r.at+4], 16, 16); err == nil {
			r.at += 4
			return rune(code), nil
		}
	}
	return 0, r.refuse("a text has an escape that JSON does not know")
}

// number reads a number by the grammar of RFC 8259 section 6.
func (r *reader) number() (any, error) {
	start := r.at
	r.take('-')
	if !r.take('0') && !r.digits() {
		return nil, r.refuse("a number has no digits")
	}
	whole := true
	if r.take('.') {
		whole = false
		if !r.digits() {
			return nil, r.refuse("a number has no digits after its point")
		}
	}
	if r.take('e') || r.take('E') {
		whole = false
		if !r.take('-') {
			r.take('+')
		}
		if !r.digits() {
			return nil, r.refuse("a number has no digits in its exponent")
		}
	}
	literal := r.text[start:r.at]
	if len(literal) > maxNumberLength {
		return nil, r.refuse("a number is too long")
	}
	if whole {
		n, err := strconv.ParseInt(literal, 10, 64)
		if err != nil {
			return nil, r.refuse("a number is too large")
		}
		return n, nil
	}
	n, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsInf(n, 0) {
		return nil, r.refuse("a number is too large")
	}
	return n, nil
}

// digits goes past digits, and says whether there were any.
func (r *reader) digits() bool {
	start := r.at
	for isDigit(r.next()) {
		r.at++
	}
	return r.at > start
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
