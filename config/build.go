package config

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Build resolves the references between documents and checks everything that concerns more than one of them. It returns
// all problems, sorted by file and line. The Model is nil when one of them is an error, when a document is broken, and when
// the documents are not complete: Complete tells whether every file was read to its end.
//
// Nothing is said of references to documents that are broken, or of unknown names at all where documents may be missing:
// one mistake is reported once. For the same reason there are warnings only where all is whole.
func Build(documents []*document.Document, complete bool) (*Model, document.Problems) {
	b := &builder{
		model: &Model{
			authorities: map[string]*Authority{}, truststores: map[string]*Truststore{}, certificates: map[string]*Certificate{},
			providers: map[string]*Provider{}, gateways: map[string]*Gateway{}, roles: map[string]*Role{}, consumers: map[string]*Consumer{},
			policies: map[string]*Policy{}, upstreams: map[string]*Upstream{}, routes: map[string]*Route{}, tests: map[string]*Test{},
		},
		documents:  map[string]map[string]*document.Document{},
		unresolved: map[*document.Document]bool{},
		complete:   complete,
	}
	for _, d := range documents {
		b.register(d)
	}
	b.build()
	whole := complete && !slices.ContainsFunc(documents, (*document.Document).Broken) && len(b.problems.Errors()) == 0
	if whole {
		b.warn()
	}
	b.problems.Sort()
	if !whole {
		return nil, b.problems
	}
	b.model.documents, b.model.revision = documents, revision(documents)
	return b.model, b.problems
}

// builder holds what Build has found so far. Resources are built in the order of their references, so that a reference
// is always to something built.
type builder struct {
	model *Model
	// documents by kind and name, the broken ones included.
	documents map[string]map[string]*document.Document
	// unresolved are documents with a reference that leads nowhere: what they seem to lack may be there.
	unresolved map[*document.Document]bool
	// complete tells whether every document is known by kind and name.
	complete bool
	problems document.Problems
}

func (b *builder) build() {
	each(b, "Authority", b.authority)
	each(b, "Truststore", b.truststore)
	each(b, "Certificate", b.certificate)
	each(b, "Provider", b.provider)
	b.providersDistinct()
	each(b, "Upstream", b.upstream)
	b.audiencesDistinct()
	each(b, "Gateway", b.gateway)
	b.listenersDistinct()
	// Routes and Roles refer to policies, and policies to Roles and Consumers: names first, contents after.
	each(b, "Role", b.declareRole)
	each(b, "Consumer", b.consumer)
	b.consumersDistinct()
	b.tokensDistinct()
	each(b, "Provider", b.grants)
	each(b, "Policy", b.policy)
	each(b, "Route", b.route)
	each(b, "Role", b.permissions)
	each(b, "Test", b.test)
	b.virtualHosts()
	b.exchanges()
	b.presenters()
	b.model.forwardable = forwardable(b.model.policies)
}

// register notes a document under its kind and name.
func (b *builder) register(d *document.Document) {
	if d.Kind == "" || d.Name == "" {
		b.complete = b.complete && !d.Broken()
		return
	}
	named := b.documents[d.Kind]
	if named == nil {
		named = map[string]*document.Document{}
		b.documents[d.Kind] = named
	}
	if first := named[d.Name]; first != nil {
		b.fail(d, "metadata.name", "the %s %q stands at %s already", d.Kind, d.Name, first.Origin)
		return
	}
	named[d.Name] = d
}

// each calls build with every document of a kind that is whole, by name.
func each[M proto.Message](b *builder, kind string, build func(*document.Document, M)) {
	for _, name := range slices.Sorted(maps.Keys(b.documents[kind])) {
		d := b.documents[kind][name]
		if message, ok := d.Message.(M); ok && !d.Broken() {
			build(d, message)
		}
	}
}

func (b *builder) fail(d *document.Document, path, format string, args ...any) {
	b.problems = append(b.problems, d.Problem(path, format, args...))
}

func (b *builder) warnAt(origin Origin, format string, args ...any) {
	b.problems = append(b.problems, document.Problem{Severity: document.Warning, Origin: origin, Message: fmt.Sprintf(format, args...)})
}

// anyBroken tells whether some document of a kind is broken, so that what seems to be missing may stand there.
func (b *builder) anyBroken(kind string) bool {
	for _, d := range b.documents[kind] {
		if d.Broken() {
			return true
		}
	}
	return false
}

// lookup resolves a reference by name. Where nothing of that name was built it reports so, unless the document is there
// and broken (that has been reported), and returns false.
func lookup[T any](b *builder, built map[string]T, d *document.Document, path, kind, name string) (T, bool) {
	if found, ok := built[name]; ok {
		return found, true
	}
	b.unresolved[d] = true
	var none T
	if _, declared := b.documents[kind][name]; !declared && b.complete {
		names := slices.Sorted(maps.Keys(b.documents[kind]))
		b.fail(d, path, "there is no %s %q%s", kind, name, document.DidYouMean(name, names))
	}
	return none, false
}

// lookupAll resolves a list of references; those that cannot be resolved are left out.
func lookupAll[T any](b *builder, built map[string]T, d *document.Document, path, kind string, names []string) []T {
	var all []T
	for i, name := range names {
		if found, ok := lookup(b, built, d, fmt.Sprintf("%s[%d]", path, i), kind, name); ok {
			all = append(all, found)
		}
	}
	return all
}

func header(d *document.Document, metadata *sallyportv1.Metadata) Header {
	return Header{Name: metadata.GetName(), Labels: metadata.GetLabels(), Origin: d.Origin}
}

// origin is where a field of a document is written.
func origin(d *document.Document, path string) Origin {
	at, _ := d.At(path)
	return at
}

// revision hashes the content of all documents in an order that is theirs.
func revision(documents []*document.Document) string {
	ordered := slices.Clone(documents)
	slices.SortFunc(ordered, func(a, b *document.Document) int {
		return cmp.Or(strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	hash := sha256.New()
	for _, d := range ordered {
		content := contentHash(d.Message)
		hash.Write(content[:])
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// contentHash is a hash of a message's content, the same on every run of the same program.
func contentHash(message proto.Message) [sha256.Size]byte {
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(message)
	if err != nil { // only for invalid UTF-8, which YAML cannot hold
		panic("config: " + err.Error())
	}
	return sha256.Sum256(append([]byte(message.ProtoReflect().Descriptor().FullName()+"\x00"), content...))
}

// sorted returns the values of a map by key.
func sorted[T any](m map[string]T) []T {
	values := make([]T, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		values = append(values, m[name])
	}
	return values
}
