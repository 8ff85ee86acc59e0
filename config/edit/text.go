package edit

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// text is a file with the nodes of its documents.
type text struct {
	data []byte
	// lines are the offsets at which lines begin, as the YAML parser counts lines.
	lines []int
	// roots of the documents, without those that hold nothing. Where the file is broken, those before that place.
	roots []*yaml.Node
	// newline is how the file ends its lines.
	newline string
}

const byteOrderMark = "\ufeff"

func newText(data []byte) *text {
	t := &text{data: data, newline: "\n"}
	start := 0
	if bytes.HasPrefix(data, []byte(byteOrderMark)) {
		start = len(byteOrderMark) // the parser does not count it
	}
	t.lines = []int{start}
	for i := start; i < len(data); {
		size := breakAt(data, i)
		if size == 0 {
			i++
			continue
		}
		if len(t.lines) == 1 && size == 2 && data[i] == '\r' {
			t.newline = "\r\n"
		}
		i += size
		t.lines = append(t.lines, i)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var node yaml.Node
		if err := decoder.Decode(&node); err != nil { // the end, or a mistake that reading the configuration reports
			return t
		}
		if root := node.Content[0]; root.Kind != yaml.ScalarNode || root.Tag != "!!null" {
			t.roots = append(t.roots, root)
		}
	}
}

// breakAt is the length of the line break that stands there, in bytes, or 0. The parser takes those of YAML 1.1.
func breakAt(data []byte, i int) int {
	rest := data[i:]
	switch {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		return 2
	case len(rest) > 0 && (rest[0] == '\n' || rest[0] == '\r'):
		return 1
	case bytes.HasPrefix(rest, []byte("\u0085")):
		return 2
	case bytes.HasPrefix(rest, []byte("\u2028")), bytes.HasPrefix(rest, []byte("\u2029")):
		return 3
	}
	return 0
}

// offset is where a node begins: at its anchor or tag, if it has one.
func (t *text) offset(node *yaml.Node) int { return t.at(node.Line, node.Column) }

// at is the offset of a line and column, which count from 1; columns are characters.
func (t *text) at(line, column int) int {
	at := t.lines[line-1]
	for range column - 1 {
		_, size := utf8.DecodeRune(t.data[at:])
		at += size
	}
	return at
}

// root is the document that begins at a place, or nil.
func (t *text) root(line, column int) *yaml.Node {
	for _, root := range t.roots {
		if root.Line == line && root.Column == column {
			return root
		}
	}
	return nil
}

// lineStart is where the line of an offset begins.
func (t *text) lineStart(at int) int {
	start := t.lines[0]
	for _, line := range t.lines {
		if line > at {
			break
		}
		start = line
	}
	return start
}

// lineEnd is where the line of an offset ends, before its line break.
func (t *text) lineEnd(at int) int {
	for at < len(t.data) && breakAt(t.data, at) == 0 {
		at++
	}
	return at
}

// nextLine is where the line after that of an offset begins, or the end of the text.
func (t *text) nextLine(at int) int {
	end := t.lineEnd(at)
	return end + breakAt(t.data, end)
}

// skipSpaces passes over blanks within a line.
func (t *text) skipSpaces(at int) int {
	for at < len(t.data) && (t.data[at] == ' ' || t.data[at] == '\t') {
		at++
	}
	return at
}

// skipBlank passes over blanks, line breaks and comments.
func (t *text) skipBlank(at int) int {
	for at < len(t.data) {
		switch size := breakAt(t.data, at); {
		case size > 0:
			at += size
		case t.data[at] == ' ' || t.data[at] == '\t':
			at++
		case t.data[at] == '#':
			at = t.lineEnd(at)
		default:
			return at
		}
	}
	return at
}

// blank tells whether nothing but blanks stands between two offsets.
func (t *text) blank(from, to int) bool { return t.skipSpaces(from) >= to }

// has tells whether a text stands at an offset.
func (t *text) has(at int, word string) bool { return bytes.HasPrefix(t.data[at:], []byte(word)) }

// commented tells whether a comment stands behind what lies between two offsets, or on the line above, if it begins one. The
// parser's own idea of whose a comment is depends on how lines end.
func (t *text) commented(from, to int) bool {
	after := t.skipSpaces(to)
	if t.has(after, ",") {
		after = t.skipSpaces(after + 1)
	}
	if t.has(after, "#") {
		return true
	}
	line := t.lineStart(from)
	return t.blank(line, from) && line > t.lines[0] && t.has(t.skipSpaces(t.lineStart(line-1)), "#")
}

// errUnreadable is an end that was not found: how the node is written was not understood.
var errUnreadable = errors.New("is written in a way that is not edited automatically: change it by hand")

// end is where a node ends, exclusive. A block ends with its last line, before the line break and the line's comment. indent
// is that of the block collection around the node, in characters.
func (t *text) end(node *yaml.Node, indent int) (int, error) {
	at := t.afterProperties(node)
	switch {
	case node.Kind == yaml.AliasNode:
		return at + len("*") + len(node.Value), nil
	case node.Kind == yaml.ScalarNode:
		return t.scalarEnd(node, at, indent)
	case node.Style&yaml.FlowStyle != 0:
		return t.flowEnd(node, at)
	case len(node.Content) == 0:
		return 0, errUnreadable // a block collection has something in it
	case node.Kind == yaml.MappingNode:
		return t.entryEnd(node, len(node.Content)-2)
	}
	return t.end(node.Content[len(node.Content)-1], node.Column-1)
}

// entryEnd is where the value of a mapping's key ends, given the index of the key.
func (t *text) entryEnd(mapping *yaml.Node, key int) (int, error) {
	indent := mapping.Content[0].Column - 1
	if value := mapping.Content[key+1]; !absent(value) || value.Anchor != "" || value.Style&yaml.TaggedStyle != 0 {
		return t.end(value, indent)
	}
	// Nothing is written: the parser places it at what comes next.
	end, err := t.end(mapping.Content[key], indent)
	if colon := t.skipSpaces(end); err == nil && t.has(colon, ":") {
		return colon + 1, nil
	}
	return end, err
}

// absent tells whether a node stands for nothing having been written.
func absent(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.Value == "" && node.Style&^yaml.TaggedStyle == 0
}

// afterProperties is where a node's content begins, after its anchor and tag.
func (t *text) afterProperties(node *yaml.Node) int {
	at := t.offset(node)
	for node.Kind != yaml.AliasNode && at < len(t.data) && (t.data[at] == '&' || t.data[at] == '!') {
		for at < len(t.data) && t.data[at] != ' ' && t.data[at] != '\t' && breakAt(t.data, at) == 0 {
			at++
		}
		at = t.skipBlank(at)
	}
	return at
}

// flowEnd is where a collection in brackets ends, which begins at an offset.
func (t *text) flowEnd(node *yaml.Node, at int) (int, error) {
	closing := "]"
	if node.Kind == yaml.MappingNode {
		closing = "}"
	}
	end := at + 1
	if last := len(node.Content) - 1; last >= 0 {
		var err error
		if node.Kind == yaml.MappingNode {
			end, err = t.entryEnd(node, last-1)
		} else {
			end, err = t.end(node.Content[last], 0)
		}
		if err != nil {
			return 0, err
		}
	}
	end = t.skipBlank(end)
	if t.has(end, ",") {
		end = t.skipBlank(end + 1)
	}
	if !t.has(end, closing) {
		return 0, errUnreadable
	}
	return end + 1, nil
}

func (t *text) scalarEnd(node *yaml.Node, at, indent int) (int, error) {
	switch {
	case node.Style&yaml.DoubleQuotedStyle != 0:
		return t.quotedEnd(at, '"')
	case node.Style&yaml.SingleQuotedStyle != 0:
		return t.quotedEnd(at, '\'')
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return t.blockScalarEnd(at, indent), nil
	}
	return t.plainEnd(node.Value, at)
}

// quotedEnd is where a scalar in quotes ends. A quote within is escaped by a backslash, or by doubling it.
func (t *text) quotedEnd(at int, quote byte) (int, error) {
	for i := at + 1; i < len(t.data); i++ {
		switch {
		case quote == '"' && t.data[i] == '\\':
			i++
		case t.data[i] != quote:
		case quote == '\'' && t.has(i, "''"):
			i++
		default:
			return i + 1, nil
		}
	}
	return 0, errUnreadable
}

// plainEnd is where a scalar without quotes ends: it reads as the value, each line break as a space, and each empty line as
// a line break (YAML 1.2, 6.5).
func (t *text) plainEnd(value string, at int) (int, error) {
	for value != "" {
		if at >= len(t.data) {
			return 0, errUnreadable
		}
		after, breaks := t.fold(at)
		var want string
		switch {
		case breaks == 1:
			want = " "
		case breaks > 1:
			want = string(bytes.Repeat([]byte("\n"), breaks-1))
		default:
			_, size := utf8.DecodeRune(t.data[at:])
			after, want = at+size, string(t.data[at:at+size])
		}
		if len(value) < len(want) || value[:len(want)] != want {
			return 0, errUnreadable
		}
		at, value = after, value[len(want):]
	}
	return at, nil
}

// fold passes over blanks with line breaks among them, and counts the breaks; none where no break follows.
func (t *text) fold(at int) (after, breaks int) {
	for {
		at = t.skipSpaces(at)
		if at >= len(t.data) {
			return at, breaks
		}
		size := breakAt(t.data, at)
		if size == 0 {
			return at, breaks
		}
		at += size
		breaks++
	}
}

// blockScalarEnd is where a literal or folded scalar ends (YAML 1.2, 8.1): before the first line that is indented no more
// than what is around it. Empty lines at the end belong to it where it keeps them.
func (t *text) blockScalarEnd(at, indent int) int {
	header := t.data[at:t.lineEnd(at)]
	if comment := bytes.IndexByte(header, '#'); comment >= 0 {
		header = header[:comment]
	}
	keep := bytes.ContainsRune(header, '+')
	end := t.lineEnd(at)
	for line := t.nextLine(at); line < len(t.data); line = t.nextLine(line) {
		first := line
		for t.has(first, " ") {
			first++
		}
		empty := first == t.lineEnd(line)
		if !empty && first-line <= indent {
			break
		}
		if !empty || keep {
			end = t.lineEnd(line)
		}
	}
	return end
}

// splice is a piece of the text to be replaced.
type splice struct {
	from, to int
	with     string
}

// splicedWith returns the text with pieces replaced, which are given in their order and do not overlap.
func (t *text) splicedWith(splices ...splice) []byte {
	var out bytes.Buffer
	at := 0
	for _, s := range splices {
		out.Write(t.data[at:s.from])
		out.WriteString(s.with)
		at = s.to
	}
	out.Write(t.data[at:])
	return out.Bytes()
}
