package routing

import "strings"

// canonicalise is Envoy's normalize_path, which is that of Chromium's URLs:
//
//   - `.` and `..` segments are resolved, also where their dots are escaped; `..` at the top stays at the top;
//   - a backslash is a slash;
//   - escapes of unreserved characters (RFC 3986, section 2.3) are decoded; other escapes stay as written, in either case;
//   - characters that must not stand in a path are escaped;
//   - a percent sign that begins no escape stays, unless what is decoded behind it would make one: `%%34%31` would become
//     `%41`, and the percent sign is escaped;
//   - %00 is refused.
//
// The path begins with a slash and is visible ASCII without query.
func canonicalise(path string) (string, bool) {
	c := canonical{input: path, stray: -1}
	for c.next < len(path) {
		if !c.step() {
			return "", false
		}
	}
	return string(c.output), true
}

// canonical is one run of canonicalise.
type canonical struct {
	input  string
	next   int
	output []byte
	// stray is the place in the output of the last percent sign that begins no escape, or -1.
	stray int
}

// step takes the next character, escape or dot segment from the input.
func (c *canonical) step() bool {
	if width := dot(c.input, c.next); width > 0 {
		c.dots(width)
		return true
	}
	switch at := c.input[c.next]; {
	case at == '\\':
		c.output = append(c.output, '/')
	case at == '%':
		return c.escaped()
	case mustEscape(at):
		const digits = "0123456789ABCDEF"
		c.output = append(c.output, '%', digits[at>>4], digits[at&15])
	default:
		c.output = append(c.output, at)
	}
	c.next++
	return true
}

// dots takes a dot, plain or escaped, and the dot segment that it may begin.
func (c *canonical) dots(width int) {
	after := c.next + width
	if len(c.output) == 0 || c.output[len(c.output)-1] != '/' {
		c.output = append(c.output, '.')
		c.next = after
		return
	}
	if end, ends := segmentEnd(c.input, after); ends {
		c.next = end // `.`: the slash before it is there already
		return
	}
	if second := dot(c.input, after); second > 0 {
		if end, ends := segmentEnd(c.input, after+second); ends {
			c.up()
			c.next = end
			return
		}
	}
	c.output = append(c.output, '.')
	c.next = after
}

// segmentEnd tells whether a segment ends at a place, and where the next one begins.
func segmentEnd(input string, at int) (next int, ends bool) {
	switch {
	case at == len(input):
		return at, true
	case input[at] == '/' || input[at] == '\\':
		return at + 1, true
	}
	return at, false
}

// up takes the last segment off the output, which ends with a slash and does so afterwards.
func (c *canonical) up() {
	if len(c.output) > 1 {
		c.output = c.output[:strings.LastIndexByte(string(c.output[:len(c.output)-1]), '/')+1]
	}
	if c.stray >= len(c.output) {
		c.stray = -1
	}
}

// escaped takes a percent sign with the escape that it may begin.
func (c *canonical) escaped() bool {
	value, valid := escape(c.input, c.next)
	switch {
	case !valid:
		c.stray = len(c.output)
		c.output = append(c.output, '%')
		c.next++
	case value == 0:
		return false
	case unreserved(value):
		c.output = append(c.output, value)
		c.next += 3
		c.denest()
	default:
		c.output = append(c.output, c.input[c.next:c.next+3]...)
		c.next += 3
	}
	return true
}

// denest looks whether the character that was just decoded makes an escape with a stray percent sign, now or with the
// next character of the input, and escapes that percent sign if so.
func (c *canonical) denest() {
	decoded := len(c.output) - 1
	if c.stray < 0 || decoded-c.stray > 2 {
		return
	}
	behind := string(c.output[c.stray+1:])
	if decoded-c.stray == 1 {
		if c.next == len(c.input) {
			return
		}
		behind += c.input[c.next : c.next+1]
	}
	if _, ok := escape("%"+behind, 0); ok {
		kept := append([]byte(nil), c.output[c.stray+1:]...)
		c.output = append(append(c.output[:c.stray], "%25"...), kept...)
		c.stray = -1
	}
}

// dot is the width of a dot at a place, plain or escaped; 0 where there is none.
func dot(input string, at int) int {
	if at < len(input) && input[at] == '.' {
		return 1
	}
	if value, ok := escape(input, at); ok && value == '.' {
		return 3
	}
	return 0
}

// escape decodes the escape that begins at a place (RFC 3986, section 2.1).
func escape(input string, at int) (byte, bool) {
	if at+2 >= len(input) || input[at] != '%' {
		return 0, false
	}
	high, okHigh := hexadecimal(input[at+1])
	low, okLow := hexadecimal(input[at+2])
	return high<<4 | low, okHigh && okLow
}

func hexadecimal(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// unreserved characters are decoded (RFC 3986, section 2.3). The dot is among them and never comes here.
func unreserved(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-' || c == '_' || c == '~'
}

// mustEscape characters must not stand in a path as they are.
func mustEscape(c byte) bool {
	return strings.IndexByte("\"<>^`{|}", c) >= 0
}
