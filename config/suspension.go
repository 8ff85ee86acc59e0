package config

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Suspensions are the names, sorted, of the Consumers that the documents suspend. It looks at each document by itself:
// a suspension counts although other documents are broken, so that a mistake elsewhere never keeps a partner in.
func Suspensions(documents []*document.Document) []string {
	var names []string
	for _, d := range documents {
		if consumer, ok := d.Message.(*sallyportv1.Consumer); ok && consumer.GetSpec().GetSuspended() {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// WithSuspended returns the Model with those of the named Consumers suspended that it has; the Model itself where none of
// them is active. It is the Model that would have been built had the suspensions stood in its documents, and so it has the
// revision of that: what is kept under the earlier revision is not mistaken for it. Nothing but suspensions differs.
func (m *Model) WithSuspended(names []string) *Model {
	documents := slices.Clone(m.documents)
	changed := false
	for i, d := range documents {
		consumer, ok := d.Message.(*sallyportv1.Consumer)
		if !ok || consumer.GetSpec().GetSuspended() || !slices.Contains(names, d.Name) {
			continue
		}
		suspended := proto.CloneOf(consumer)
		suspended.Spec.Suspended = true
		documents[i], changed = d.WithMessage(suspended), true
	}
	if !changed {
		return m
	}
	model, problems := Build(documents, true)
	if model == nil { // a suspension makes nothing invalid
		panic("config: " + problems.Error())
	}
	return model
}
