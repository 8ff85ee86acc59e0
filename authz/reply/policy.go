package reply

import (
	"maps"
	"slices"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"

	"github.com/sallyport-project/sallyport/config"
)

// Policy is what a policy says of replies, prepared. It is immutable.
type Policy struct {
	forward []config.ForwardHeader
	// remove are the headers to be removed, sorted. None of them is in forward: Envoy removes a header that is both set and
	// removed.
	remove []string
	// removeButToken is remove without `authorization`, for requests that go on with a token.
	removeButToken []string
	disclose       sallyportv1.Disclose
	hideAsNotFound bool
}

// undisclosed is for requests without a policy that we know.
var undisclosed = &Policy{disclose: sallyportv1.Disclose_DISCLOSE_NOTHING}

// Compile prepares a policy. Forwarded yields the names of all headers that any policy may set or let pass.
func Compile(p *config.Policy, forwarded func(yield func(string) bool)) *Policy {
	kept := make(map[string]bool)
	for _, header := range p.Forward {
		kept[header.Name] = true
	}
	for _, name := range p.Pass {
		kept[name] = true
	}
	remove := make(map[string]bool)
	for name := range forwarded {
		remove[name] = true
	}
	for name := range kept {
		delete(remove, name)
	}
	for _, name := range config.NeverForwarded() {
		remove[name] = true
	}
	delete(remove, authorization)
	others := slices.Sorted(maps.Keys(remove))
	remove[authorization] = true
	return &Policy{
		forward: slices.DeleteFunc(slices.Clone(p.Forward), func(h config.ForwardHeader) bool { return remove[h.Name] }),
		remove:  slices.Sorted(maps.Keys(remove)), removeButToken: others, disclose: p.Disclose, hideAsNotFound: p.HideAsNotFound,
	}
}
