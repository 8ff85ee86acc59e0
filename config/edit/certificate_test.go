package edit

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

const (
	fingerprint = "0123456789012345678901234567890123456789012345678901234567890123" // would be a number without quotes
	one         = "{truststore: partners, subject_common_name: one}"
	two         = "{truststore: partners, subject_common_name: two}"
	added       = `{truststore: partners, certificate_sha256: "` + fingerprint + `"}`
)

func TestACertificateMatchIsAddedAndRemovedInTheStyleOfItsList(t *testing.T) {
	match := &sallyportv1.CertificateMatch{Truststore: "partners", CertificateSha256: fingerprint}
	for _, c := range []struct{ name, before, after, removed string }{
		{"brackets on one line", "\n  certificates: [" + one + "] # all\n  roles: [reader]\n", "\n  certificates: [" + one + ", " + added + "] # all\n  roles: [reader]\n", ""},
		{"a trailing comma", " {certificates: [" + one + ",]}\n", " {certificates: [" + one + ", " + added + ",]}\n", ""},
		{"brackets over lines", "\n  certificates: [\n    " + one + ", # first\n    " + two + " # second\n  ]\n",
			"\n  certificates: [\n    " + one + ", # first\n    " + two + ", # second\n    " + added + "\n  ]\n",
			"\n  certificates: [\n    " + one + ", # first\n    " + two + ", # second\n  ]\n"},
		{"brackets over lines with a trailing comma", "\n  certificates: [\n    " + one + ",\n    " + two + ", # second\n  ]\n",
			"\n  certificates: [\n    " + one + ",\n    " + two + ", # second\n    " + added + ",\n  ]\n", ""},
		{"brackets that close behind the last", "\n  certificates: [\n    " + one + ",\n    " + two + "]\n", "\n  certificates: [\n    " + one + ",\n    " + two + ",\n    " + added + "]\n", ""},
		{"dashes", "\n  certificates:\n  - " + one + " # first\n  # Below.\n  roles: [reader]\n", "\n  certificates:\n  - " + one + " # first\n  - " + added + "\n  # Below.\n  roles: [reader]\n", ""},
		{"dashes that stand in, without a last line end", "\n  certificates:\n    -   " + one, "\n  certificates:\n    -   " + one + "\n    - " + added, ""},
		{"blocks behind dashes", "\n  certificates:\n  - truststore: partners\n    subject_common_name: one # x\n\n  roles: [reader]\n",
			"\n  certificates:\n  - truststore: partners\n    subject_common_name: one # x\n  - truststore: partners\n    certificate_sha256: \"" + fingerprint + "\"\n\n  roles: [reader]\n", ""},
	} {
		for name, change := range map[string]func(string) string{"LF": func(s string) string { return s }, "CRLF": crlf} {
			t.Run(c.name+", "+name, func(t *testing.T) {
				dir := directory(t, "consumers.yaml", change(doc("mapps", c.before)))
				plan, err := AddCertificateMatch(dir, "mapps", match)
				apply(t, plan, err)
				expectFiles(t, dir, "consumers.yaml", change(doc("mapps", c.after)))
				if plan, err = AddCertificateMatch(dir, "mapps", match); err != nil || !plan.Empty() {
					t.Errorf("adding what is there is not nothing: %v", err)
				}
				plan, err = RemoveCertificateMatch(dir, "mapps", match)
				apply(t, plan, err)
				if c.removed == "" {
					c.removed = c.before
				}
				expectFiles(t, dir, "consumers.yaml", change(doc("mapps", c.removed)))
			})
		}
	}
}

func TestAConsumerWithoutCertificatesGetsAList(t *testing.T) {
	for before, after := range map[string]string{
		"\n  roles: [reader]\n": "\n  roles: [reader]\n  certificates: [" + one + "]\n",
		" {}\n":                 " {certificates: [" + one + "]}\n",
		"\n  certificates: [ ] # none\n  roles: []\n": "\n  certificates: [" + one + " ] # none\n  roles: []\n",
	} {
		dir := directory(t, "consumers.yaml", doc("mapps", before))
		plan, err := AddCertificateMatch(dir, "mapps", commonName("one"))
		apply(t, plan, err)
		expectFiles(t, dir, "consumers.yaml", doc("mapps", after))
	}
}

func TestTheFirstOfSeveralMatchesIsRemovedWithTheCommentBehindIt(t *testing.T) {
	for before, after := range map[string]string{
		"\n  certificates: [" + one + ", " + two + "]\n":                                        "\n  certificates: [" + two + "]\n",
		"\n  certificates: [\n    " + one + ", # first\n    " + two + ", # second\n  ]\n":       "\n  certificates: [\n    " + two + ", # second\n  ]\n",
		"\n  certificates: [" + one + ",\n    " + two + "]\n":                                   "\n  certificates: [\n    " + two + "]\n",
		"\n  certificates:\n  # Which.\n  - " + one + " # first\n  - " + two + "\n":             "\n  certificates:\n  # Which.\n  - " + two + "\n",
		"\n  certificates:\n  - truststore: partners\n    subject_common_name: one\n  - " + two: "\n  certificates:\n  - " + two,
	} {
		dir := directory(t, "consumers.yaml", doc("mapps", before))
		plan, err := RemoveCertificateMatch(dir, "mapps", commonName("one"))
		apply(t, plan, err)
		if got := readFile(t, dir, "consumers.yaml"); strings.ReplaceAll(got, "certificates: [ \n", "certificates: [\n") != doc("mapps", after) {
			t.Errorf("without the match it is\n%s", got)
		}
		expectConsumer(t, dir, &sallyportv1.Consumer{ApiVersion: "sallyport/v1", Kind: "Consumer", Metadata: &sallyportv1.Metadata{Name: "mapps"},
			Spec: &sallyportv1.ConsumerSpec{Certificates: []*sallyportv1.CertificateMatch{commonName("two")}}})
	}
}

func TestWhatWouldBreakTheConfigurationIsRefused(t *testing.T) {
	content := doc("mapps", "\n  certificates: ["+one+"]\n---\n") + doc("nsp", "\n  certificates: ["+two+"]\n")
	dir := directory(t, "consumers.yaml", content)
	for _, c := range []struct {
		name string
		edit func() (*Plan, error)
		says []string
	}{
		{"a certificate of another's", func() (*Plan, error) { return AddCertificateMatch(dir, "nsp", commonName("one")) },
			[]string{"no longer be valid", "the same certificates are claimed"}},
		{"a truststore that is not there", func() (*Plan, error) {
			return AddCertificateMatch(dir, "nsp", &sallyportv1.CertificateMatch{Truststore: "partner", SubjectCommonName: "x"})
		}, []string{"no longer be valid", `there is no Truststore "partner"`}},
		{"a match without a criterion", func() (*Plan, error) {
			return AddCertificateMatch(dir, "nsp", &sallyportv1.CertificateMatch{Truststore: "partners"})
		}, []string{"no longer be valid", "give at least one of"}},
		{"the only match", func() (*Plan, error) { return RemoveCertificateMatch(dir, "mapps", commonName("one")) },
			[]string{"consumers.yaml:5:17", "only certificate match"}},
		{"a match that it has not", func() (*Plan, error) { return RemoveCertificateMatch(dir, "mapps", commonName("x")) },
			[]string{"consumers.yaml:1:1", "no such certificate match"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := c.edit()
			expectError(t, err, c.says...)
			expectFiles(t, dir, "consumers.yaml", content)
		})
	}
}

func TestAnEditThatIsNoSuspensionWantsAValidConfiguration(t *testing.T) {
	dir := directory(t, "a.yaml", doc("mapps", " {certificates: ["+one+", "+two+"]}\n"), "b.yaml", "kind: [")
	for name, edit := range map[string]func() (*Plan, error){
		"add":          func() (*Plan, error) { return AddConsumer(dir, newConsumer("nsp"), "") },
		"remove":       func() (*Plan, error) { return RemoveConsumer(dir, "mapps") },
		"add match":    func() (*Plan, error) { return AddCertificateMatch(dir, "mapps", commonName("x")) },
		"remove match": func() (*Plan, error) { return RemoveCertificateMatch(dir, "mapps", commonName("one")) },
	} {
		t.Run(name, func(t *testing.T) {
			_, err := edit()
			expectError(t, err, "not valid; mend it first", "b.yaml:1")
		})
	}
}

func newConsumer(name string) *sallyportv1.Consumer {
	return &sallyportv1.Consumer{ApiVersion: "sallyport/v1", Kind: "Consumer", Metadata: &sallyportv1.Metadata{Name: name},
		Spec: &sallyportv1.ConsumerSpec{Certificates: []*sallyportv1.CertificateMatch{commonName(name)}, Roles: []string{"reader"}}}
}

func TestANewConsumerIsNotChangedByBeingAdded(t *testing.T) {
	dir, consumer := directory(t), newConsumer("mapps")
	consumer.ApiVersion, consumer.Kind = "", ""
	before := proto.Clone(consumer)
	if _, err := AddConsumer(dir, consumer, ""); err != nil || !proto.Equal(before, consumer) {
		t.Errorf("the Consumer is now %v: %v", consumer, err)
	}
}
