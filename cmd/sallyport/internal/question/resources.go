package question

import (
	"slices"

	"github.com/sallyport-project/sallyport/config"
)

// resources finds the resource that a place in the configuration belongs to.
type resources struct {
	byFile map[string][]resource // by place
}

type resource struct {
	at   config.Origin
	name string // with its kind
}

func newResources(model *config.Model) *resources {
	r := &resources{byFile: map[string][]resource{}}
	for _, d := range model.Documents() {
		r.byFile[d.Origin.File] = append(r.byFile[d.Origin.File], resource{d.Origin, d.Kind + " " + d.Name})
	}
	for _, in := range r.byFile {
		slices.SortFunc(in, func(a, b resource) int { return a.at.Compare(b.at) })
	}
	return r
}

// of is the kind and name of the last resource that begins at a place or before it; empty for no place.
func (r *resources) of(at config.Origin) string {
	in := r.byFile[at.File]
	i, found := slices.BinarySearchFunc(in, at, func(one resource, at config.Origin) int { return one.at.Compare(at) })
	switch {
	case found:
		return in[i].name
	case i == 0:
		return ""
	}
	return in[i-1].name
}
