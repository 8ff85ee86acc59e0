package edit

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// layout writes Consumers in one of the many ways that YAML has for it.
type layout struct {
	*rand.Rand
	comments int
}

func (l *layout) one(of ...string) string { return of[l.IntN(len(of))] }

// comment is a comment behind a line, or nothing. No two are the same.
func (l *layout) comment() string {
	if l.IntN(3) > 0 {
		return ""
	}
	l.comments++
	return fmt.Sprintf(" # c%d, {it's}.", l.comments)
}

// lines are whole lines of comment, or an empty one, or nothing.
func (l *layout) lines(indent string) string {
	switch l.IntN(8) {
	case 0:
		return "\n"
	case 1:
		l.comments++
		return fmt.Sprintf("%s# c%d: [\n", indent, l.comments)
	}
	return ""
}

func (l *layout) scalar(text string) string {
	return l.one(text, `"`+text+`"`, `'`+text+`'`)
}

// flow writes a collection in brackets, on one line or on several.
func (l *layout) flow(opening, closing, indent string, items []string) string {
	if l.IntN(2) == 0 || len(items) == 0 {
		return opening + l.one("", " ") + strings.Join(items, l.one(", ", ",", " , ")) + l.one("", " ") + closing
	}
	var out strings.Builder
	out.WriteString(opening + l.comment() + "\n")
	for i, item := range items {
		end := ","
		if i == len(items)-1 {
			end = l.one("", ",")
		}
		out.WriteString(indent + "  " + item + end + l.comment() + "\n")
	}
	return out.String() + indent + closing
}

func (l *layout) matches(indent string, names []string) string {
	if l.IntN(2) == 0 {
		var items []string
		for _, name := range names {
			items = append(items, "{truststore: partners, subject_common_name: "+l.scalar(name)+"}")
		}
		return " " + l.flow("[", "]", indent, items) + l.comment() + "\n"
	}
	out, dash := l.comment()+"\n", indent+l.one("", "  ")
	for _, name := range names {
		out += l.lines(dash) + dash + "- "
		if l.IntN(2) == 0 {
			out += "{truststore: partners, subject_common_name: " + name + "}" + l.comment() + "\n"
		} else {
			out += "truststore: partners" + l.comment() + "\n" + dash + "  subject_common_name: " + l.scalar(name) + l.comment() + "\n"
		}
	}
	return out
}

// consumer writes a Consumer with common names.
func (l *layout) consumer(name string, names []string) string {
	head := []string{"api_version: " + l.scalar("sallyport/v1"), "kind: Consumer", "metadata: {name: " + l.scalar(name) + "}"}
	if l.IntN(6) == 0 {
		var items []string
		for _, n := range names {
			items = append(items, "{truststore: partners, subject_common_name: "+n+"}")
		}
		spec := "spec: {certificates: " + l.flow("[", "]", "  ", items) + l.one("", ", contact: a@b", ", suspended: false") + "}"
		return l.flow("{", "}", "", append(head, spec)) + l.comment() + "\n"
	}
	indent := strings.Repeat(" ", 1+l.IntN(4))
	entries := []string{"certificates:" + l.matches(indent, names)}
	for _, entry := range []string{"roles: [reader]", "roles:\n" + indent + "- reader", "contact: >-\n" + indent + "  é\n\n" + indent + "  x", "contact: a\n" + indent + "  b"} {
		if l.IntN(4) == 0 && !slices.ContainsFunc(entries, func(e string) bool { return e[:4] == entry[:4] }) {
			comment := l.comment()
			if strings.Contains(entry, ">-") {
				comment = ""
			}
			entries = append(entries, entry+comment+"\n")
		}
	}
	if l.IntN(3) == 0 {
		entries = append(entries, "suspended: false"+l.comment()+"\n")
	}
	l.Shuffle(len(entries), func(i, j int) { entries[i], entries[j] = entries[j], entries[i] })
	out := l.lines("") + strings.Join(head, l.comment()+"\n") + l.comment() + "\nspec:" + l.comment() + "\n"
	for _, entry := range entries {
		out += l.lines(indent) + indent + entry
	}
	return out + l.lines("")
}

func TestEditsOfAnyLayoutMeanWhatWasAskedForAndKeepEveryComment(t *testing.T) {
	for seed := range uint64(60) {
		l := &layout{Rand: rand.New(rand.NewPCG(seed, 4))}
		var documents []string
		for i := range 1 + l.IntN(3) {
			name := fmt.Sprintf("p%d", i)
			documents = append(documents, l.consumer(name, []string{name + "-a", name + "-b", name + "-c"}[:1+l.IntN(3)]))
		}
		content := l.one("", "---\n") + strings.Join(documents, "---"+l.comment()+"\n")
		if l.IntN(4) == 0 {
			content = strings.TrimSuffix(content, "\n")
		}
		if l.IntN(3) == 0 {
			content = crlf(content)
		}
		dir := directory(t, "consumers.yaml", content)
		want := consumerIn(t, dir, "p0")
		for range 3 {
			editOnce(t, l, dir, want)
		}
		if t.Failed() {
			t.Fatalf("with the seed %d, of\n%s", seed, content)
		}
	}
}

// editOnce edits the Consumer p0 in one way, and wants to read back what it should be.
func editOnce(t *testing.T, l *layout, dir string, want *sallyportv1.Consumer) {
	t.Helper()
	before := readFile(t, dir, "consumers.yaml")
	var plan *Plan
	var err error
	removes := false
	switch matches := want.Spec.Certificates; l.IntN(4) {
	case 0:
		want.Spec.Suspended = !want.Spec.Suspended
		plan, err = SetSuspended(dir, "p0", want.Spec.Suspended)
	case 1:
		added := commonName(fmt.Sprintf("p0-%d", l.Uint32()))
		want.Spec.Certificates = append(want.Spec.Certificates, added)
		plan, err = AddCertificateMatch(dir, "p0", added)
	case 2:
		if len(matches) == 1 {
			return
		}
		removes = true
		at := l.IntN(len(matches))
		removed := matches[at]
		want.Spec.Certificates = slices.Delete(slices.Clone(matches), at, at+1)
		plan, err = RemoveCertificateMatch(dir, "p0", removed)
	case 3:
		added := newConsumer(fmt.Sprintf("n%d", l.Uint32()))
		plan, err = AddConsumer(dir, added, "")
		defer func() { expectConsumer(t, dir, added) }()
	}
	if err != nil {
		t.Error(err)
		return
	}
	apply(t, plan, nil)
	expectConsumer(t, dir, want)
	after := readFile(t, dir, "consumers.yaml")
	for comment := range strings.SplitSeq(before, "# c") {
		number, _, _ := strings.Cut(strings.ReplaceAll(comment, ":", ","), ",")
		if isNumber := number != "" && strings.Trim(number, "0123456789") == ""; isNumber && !removes && !strings.Contains(after, "# c"+number) {
			t.Errorf("the comment c%s is lost in\n%s", number, plan.Diff())
		}
	}
	if strings.Contains(before, "\r\n") && strings.Count(after, "\n") != strings.Count(after, "\r\n") {
		t.Errorf("the ends of lines are mixed in\n%q", after)
	}
}

// FuzzSuspend holds that whatever is in a file, a suspension is refused or is exactly that: nothing panics, and no byte of the
// file is lost save a `false`.
func FuzzSuspend(f *testing.F) {
	for seed := range uint64(20) {
		l := &layout{Rand: rand.New(rand.NewPCG(seed, 5))}
		f.Add([]byte(l.consumer("p0", []string{"a", "b"}) + "---\n" + l.consumer("p1", []string{"c"})))
	}
	f.Add([]byte(doc("mapps", "\n  contact: |+\n    a\n\n")))
	f.Add([]byte(doc("mapps", "\n  contact: |+\n "))) // a line within would end what the file leaves open
	f.Add([]byte(doc("mapps", " &s {roles: &r [reader,],}\n")))
	f.Add([]byte(doc("mapps", "\n  ? contact\n  : a\u2028\n")))
	f.Fuzz(func(t *testing.T, data []byte) {
		documents, _, _ := document.Decode("consumers.yaml", data)
		if len(documents) == 0 || len(documents) > 3 {
			return
		}
		dir := directory(t, "consumers.yaml", string(data))
		for _, d := range documents {
			consumer, whole := d.Message.(*sallyportv1.Consumer)
			if !whole || consumer.GetSpec().GetSuspended() {
				continue
			}
			plan, err := SetSuspended(dir, d.Name, true)
			if err != nil {
				continue
			}
			if !subsequence(strings.ReplaceAll(string(data), "false", ""), string(plan.change.new)) {
				t.Errorf("something is lost:\n%s", plan.Diff())
			}
			apply(t, plan, nil)
			want := proto.CloneOf(consumer)
			want.Spec.Suspended = true
			found := read(filesOf(t, dir)).consumers(d.Name)
			if len(found) != 1 || !proto.Equal(found[0].Message, want) {
				t.Errorf("it reads %v", found)
			}
			write(t, filepath.Join(dir, "consumers.yaml"), string(data))
		}
	})
}

// subsequence tells whether a text remains when some characters of another are struck out.
func subsequence(part, whole string) bool {
	for i := range len(part) {
		at := strings.IndexByte(whole, part[i])
		if at < 0 {
			return false
		}
		whole = whole[at+1:]
	}
	return true
}
