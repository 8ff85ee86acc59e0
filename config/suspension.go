package config

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// Withdrawals are what documents take back that must count at once: suspended Consumers, and tokens that are revoked.
type Withdrawals struct {
	// Suspended are the names, sorted, of Consumers.
	Suspended []string
	// Revoked are the tokens by the name of their Provider.
	Revoked map[string][]*sallyportv1.RevokedToken
}

// WithdrawalsOf looks at each document by itself: what it takes back counts although other documents are broken, so that a mistake
// elsewhere never keeps anybody in.
func WithdrawalsOf(documents []*document.Document) Withdrawals {
	w := Withdrawals{Revoked: map[string][]*sallyportv1.RevokedToken{}}
	for _, d := range documents {
		switch m := d.Message.(type) {
		case *sallyportv1.Consumer:
			if m.GetSpec().GetSuspended() {
				w.Suspended = append(w.Suspended, d.Name)
			}
		case *sallyportv1.Provider:
			if tokens := m.GetSpec().GetRevoked(); len(tokens) > 0 {
				w.Revoked[d.Name] = append(w.Revoked[d.Name], tokens...)
			}
		}
	}
	slices.Sort(w.Suspended)
	w.Suspended = slices.Compact(w.Suspended)
	return w
}

// Names are what is taken back, in words: the Consumers, and the Providers of the tokens.
func (w Withdrawals) Names() []string {
	names := slices.Clone(w.Suspended)
	for _, provider := range slices.Sorted(maps.Keys(w.Revoked)) {
		names = append(names, "tokens of "+provider)
	}
	return names
}

// Without returns the Model with as much of the withdrawals as concerns it; the Model itself where all of that is in it already. It
// is the Model that would have been built had the withdrawals stood in its documents, and so it has the revision of that: what is
// kept under the earlier revision is not mistaken for it. Nothing else differs.
func (m *Model) Without(w Withdrawals) *Model {
	documents := slices.Clone(m.documents)
	changed := false
	for i, d := range documents {
		if message := w.apply(d); message != nil {
			documents[i], changed = d.WithMessage(message), true
		}
	}
	if !changed {
		return m
	}
	model, problems := Build(documents, true)
	if model == nil { // nothing of the kind makes a Model invalid, but a revoked token that is ill-written, and that is left out
		panic("config: " + problems.Error())
	}
	return model
}

// apply returns what becomes of a document; nil where it stays.
func (w Withdrawals) apply(d *document.Document) proto.Message {
	switch m := d.Message.(type) {
	case *sallyportv1.Consumer:
		if !m.GetSpec().GetSuspended() && slices.Contains(w.Suspended, d.Name) {
			suspended := proto.CloneOf(m)
			suspended.Spec.Suspended = true
			return suspended
		}
	case *sallyportv1.Provider:
		missing := slices.DeleteFunc(slices.Clone(w.Revoked[d.Name]), func(r *sallyportv1.RevokedToken) bool {
			return revokedTokenProblem(r) != "" || slices.ContainsFunc(m.GetSpec().GetRevoked(), func(known *sallyportv1.RevokedToken) bool { return proto.Equal(known, r) })
		})
		if len(missing) > 0 {
			revoked := proto.CloneOf(m)
			revoked.Spec.Revoked = append(revoked.Spec.Revoked, missing...)
			return revoked
		}
	}
	return nil
}
