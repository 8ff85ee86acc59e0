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
	add := func(kind string, h config.Header) {
		r.byFile[h.Origin.File] = append(r.byFile[h.Origin.File], resource{h.Origin, kind + " " + h.Name})
	}
	for _, x := range model.Truststores() {
		add("Truststore", x.Header)
	}
	for _, x := range model.Gateways() {
		add("Gateway", x.Header)
	}
	for _, x := range model.Roles() {
		add("Role", x.Header)
	}
	for _, x := range model.Consumers() {
		add("Consumer", x.Header)
	}
	for _, x := range model.Policies() {
		add("Policy", x.Header)
	}
	for _, x := range model.Upstreams() {
		add("Upstream", x.Header)
	}
	for _, x := range model.Routes() {
		add("Route", x.Header)
	}
	for _, x := range model.Tests() {
		add("Test", x.Header)
	}
	for _, x := range model.Authorities() {
		add("Authority", x.Header)
	}
	for _, x := range model.Certificates() {
		add("Certificate", x.Header)
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
