package edit

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// valueOf is the key and the value of a mapping's entry, and the key's index; nil where there is no such entry.
func valueOf(mapping *yaml.Node, name string) (key, value *yaml.Node, index int) {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil, nil, -1
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Kind == yaml.ScalarNode && mapping.Content[i].Value == name {
			return mapping.Content[i], mapping.Content[i+1], i
		}
	}
	return nil, nil, -1
}

// decorated tells whether a node has an anchor or a tag.
func decorated(node *yaml.Node) bool { return node.Anchor != "" || node.Style&yaml.TaggedStyle != 0 }

// addEntry adds an entry to the end of a mapping. The entry is one line.
func (t *text) addEntry(mapping *yaml.Node, entry string) ([]splice, error) {
	last := len(mapping.Content) - 2
	if mapping.Style&yaml.FlowStyle != 0 {
		if last < 0 {
			at := t.afterProperties(mapping) + 1
			return []splice{{at, at, entry}}, nil
		}
		end, err := t.entryEnd(mapping, last)
		if err != nil {
			return nil, err
		}
		return t.addToFlow(t.offset(mapping), t.offset(mapping.Content[last]), end, entry), nil
	}
	if last < 0 {
		return nil, errUnreadable
	}
	end, err := t.entryEnd(mapping, last)
	if err != nil {
		return nil, err
	}
	at := t.lineEnd(end)
	return []splice{{at, at, t.newline + strings.Repeat(" ", mapping.Content[0].Column-1) + entry}}, nil
}

// addToFlow adds an item after the last one of a collection in brackets: on a line of its own where the last one has one.
func (t *text) addToFlow(opening, lastStart, lastEnd int, item string) []splice {
	line := t.lineStart(lastStart)
	if line <= opening || !t.blank(line, lastStart) {
		return []splice{{lastEnd, lastEnd, ", " + item}}
	}
	item = t.newline + string(t.data[line:lastStart]) + item
	after := t.skipSpaces(lastEnd)
	comma := t.has(after, ",")
	if comma {
		after = t.skipSpaces(after + 1)
	}
	end := t.lineEnd(lastEnd)
	switch {
	case after < end && !t.has(after, "#"): // the bracket closes on this line
		return []splice{{lastEnd, lastEnd, "," + item}}
	case comma:
		return []splice{{end, end, item + ","}}
	}
	return []splice{{lastEnd, lastEnd, ","}, {end, end, item}}
}

// addItem adds an item to the end of a sequence that is not empty. render writes it, given whether in brackets; as a block
// it may have several lines.
func (t *text) addItem(sequence *yaml.Node, render func(flow bool) (string, error)) ([]splice, error) {
	last := sequence.Content[len(sequence.Content)-1]
	if sequence.Style&yaml.FlowStyle != 0 {
		end, err := t.end(last, 0)
		if err != nil {
			return nil, err
		}
		item, err := render(true)
		return t.addToFlow(t.offset(sequence), t.offset(last), end, item), err
	}
	dash, err := t.dash(last)
	if err != nil {
		return nil, err
	}
	line := t.lineStart(dash)
	end, err := t.end(last, dash-line)
	if err != nil {
		return nil, err
	}
	rendered, err := render(last.Style&yaml.FlowStyle != 0)
	if err != nil {
		return nil, err
	}
	indent := string(t.data[line:dash])
	var item strings.Builder
	for i, text := range strings.Split(rendered, "\n") {
		mark := "- "
		if i > 0 {
			mark = "  "
		}
		item.WriteString(t.newline + indent + mark + text)
	}
	at := t.lineEnd(end)
	return []splice{{at, at, item.String()}}, nil
}

// dash is where the dash of a block sequence's item stands; it must be the first on its line.
func (t *text) dash(item *yaml.Node) (int, error) {
	at := t.offset(item) - 1
	for at >= 0 && (t.data[at] == ' ' || t.data[at] == '\t') {
		at--
	}
	if at < 0 || t.data[at] != '-' || !t.blank(t.lineStart(at), at) {
		return 0, errUnreadable
	}
	return at, nil
}

// removeEntry removes a mapping's entry, given the index of its key. It is not the only one.
func (t *text) removeEntry(mapping *yaml.Node, index int) (splice, error) {
	start := t.offset(mapping.Content[index])
	end, err := t.entryEnd(mapping, index)
	if err != nil {
		return splice{}, err
	}
	if mapping.Style&yaml.FlowStyle == 0 {
		return t.removeLines(start, end)
	}
	f := flowItem{start: start, end: end}
	if index+2 < len(mapping.Content) {
		f.next = t.offset(mapping.Content[index+2])
	}
	if index > 0 {
		f.previous, err = t.entryEnd(mapping, index-2)
	}
	return t.removeFlow(f), err
}

// removeItem removes an item of a sequence. It is not the only one.
func (t *text) removeItem(sequence *yaml.Node, index int) (splice, error) {
	item := sequence.Content[index]
	if sequence.Style&yaml.FlowStyle == 0 {
		dash, err := t.dash(item)
		if err != nil {
			return splice{}, err
		}
		end, err := t.end(item, dash-t.lineStart(dash))
		if err != nil {
			return splice{}, err
		}
		return t.removeLines(dash, end)
	}
	end, err := t.end(item, 0)
	if err != nil {
		return splice{}, err
	}
	f := flowItem{start: t.offset(item), end: end}
	if index+1 < len(sequence.Content) {
		f.next = t.offset(sequence.Content[index+1])
	}
	if index > 0 {
		f.previous, err = t.end(sequence.Content[index-1], 0)
	}
	return t.removeFlow(f), err
}

// removeLines removes the whole lines from one offset to another, with the comment behind them. Nothing stands before them
// on the first line.
func (t *text) removeLines(start, end int) (splice, error) {
	from, to := t.lineStart(start), t.nextLine(end)
	if !t.blank(from, start) {
		return splice{}, errUnreadable
	}
	if t.lineEnd(end) == to && from > t.lines[0] { // the last line has no line break: it takes the one before it along
		from = t.lineEnd(t.lineStart(from - 1))
	}
	return splice{from: from, to: to}, nil
}

// flowItem is an item of a collection in brackets: its place, where the next one begins, and where the previous one ends;
// 0 where there is none.
type flowItem struct {
	start, end, next, previous int
}

// removeFlow removes an item and one comma. Lines that the item has for itself go as a whole.
func (t *text) removeFlow(f flowItem) splice {
	line, lineEnd := t.lineStart(f.start), t.lineEnd(f.end)
	after := t.skipSpaces(f.end)
	if t.has(after, ",") {
		after = t.skipSpaces(after + 1)
	}
	switch {
	case t.blank(line, f.start) && (after >= lineEnd || t.has(after, "#")):
		return splice{from: line, to: t.nextLine(f.end)}
	case f.next > 0 && f.next < lineEnd:
		return splice{from: f.start, to: f.next}
	case f.previous > 0 && len(bytes.Trim(t.data[f.previous:f.start], " \t\r\n,")) == 0:
		return splice{from: f.previous, to: f.end}
	}
	return splice{from: f.start, to: after} // a comma before it may stay: it is legal at the end
}
