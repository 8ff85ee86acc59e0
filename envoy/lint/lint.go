package lint

import (
	"fmt"
	"maps"
	"slices"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-project/sallyport/envoy/translate"
)

// Finding is a reason why resources must not ship.
type Finding struct {
	// Resource is the type and name of the resource, such as "listener edge/https".
	Resource string
	// Message says what is wrong, and where in the resource.
	Message string
}

// String is the finding in one line.
func (f Finding) String() string { return f.Resource + ": " + f.Message }

// Check looks at all resources of a group. The findings are in the order of listeners, routes, clusters, endpoints and
// secrets, each by name.
func Check(resources *translate.Resources) []Finding {
	l := &lint{resources: resources, uses: map[string][]use{}}
	// Listeners come first: they say which filter chain uses a route configuration.
	l.listeners()
	each(l, "route configuration", resources.Routes, l.routeConfiguration)
	each(l, "cluster", resources.Clusters, l.cluster)
	each(l, "endpoints", resources.Endpoints, nil)
	each(l, "secret", resources.Secrets, nil)
	return l.findings
}

// lint is one run of Check.
type lint struct {
	resources *translate.Resources
	// resource is the one that is looked at.
	resource string
	// uses of route configurations, by their names.
	uses     map[string][]use
	findings []Finding
}

func (l *lint) found(format string, args ...any) {
	l.findings = append(l.findings, Finding{Resource: l.resource, Message: fmt.Sprintf(format, args...)})
}

// each looks at the resources of one type, by name.
func each[M proto.Message](l *lint, kind string, resources map[string]M, look func(M)) {
	for _, name := range slices.Sorted(maps.Keys(resources)) {
		resource := resources[name]
		l.resource = kind + " " + name
		if own := nameOf(resource); own != name {
			l.found("calls itself %q", own)
		}
		l.valid(resource)
		if look != nil {
			look(resource)
		}
	}
}

// nameOf is the name that a resource has by itself; that of endpoints is their cluster's.
func nameOf(resource proto.Message) string {
	switch resource := resource.(type) {
	case interface{ GetName() string }:
		return resource.GetName()
	case interface{ GetClusterName() string }:
		return resource.GetClusterName()
	}
	return ""
}

// valid holds a message, and every message packed in it, against the rules of Envoy's schema.
func (l *lint) valid(message proto.Message) {
	if checked, ok := message.(interface{ ValidateAll() error }); ok {
		if err := checked.ValidateAll(); err != nil {
			l.found("is not valid by Envoy's schema: %v", err)
		}
	}
	l.packed(message.ProtoReflect())
}

// packed looks for packed messages anywhere in a message.
func (l *lint) packed(message protoreflect.Message) {
	if packed, ok := message.Interface().(*anypb.Any); ok {
		inner, err := packed.UnmarshalNew()
		if err != nil {
			l.found("holds a message that is not known: %v", err)
			return
		}
		l.valid(inner)
		return
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap() && field.MapValue().Message() != nil:
			value.Map().Range(func(_ protoreflect.MapKey, item protoreflect.Value) bool {
				l.packed(item.Message())
				return true
			})
		case field.IsList() && field.Message() != nil:
			for i := range value.List().Len() {
				l.packed(value.List().Get(i).Message())
			}
		case !field.IsMap() && !field.IsList() && field.Message() != nil:
			l.packed(value.Message())
		}
		return true
	})
}

// onlyFields finds fields that are set and not among the known ones: what is not understood is not accepted.
func (l *lint) onlyFields(where string, message proto.Message, known ...protoreflect.Name) {
	message.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if !slices.Contains(known, field.Name()) {
			l.found("%s: the field %s has no place here", where, field.Name())
		}
		return true
	})
}

// unpack reads a packed message, or finds that it is another one.
func unpack[M proto.Message](l *lint, where string, packed *anypb.Any, into M) bool {
	if packed == nil {
		l.found("%s: it has no configuration of its own", where)
		return false
	}
	if err := packed.UnmarshalTo(into); err != nil {
		l.found("%s: %v", where, err)
		return false
	}
	return true
}

// use is a filter chain that uses a route configuration.
type use struct {
	// gateway, listener and entry are what its routes must say of themselves.
	gateway, listener, entry string
	// owns tells whether a connection for the domain comes to this filter chain.
	owns func(domain string) bool
}

// routesOf are the routes of a virtual host with their names for findings.
func routesOf(host *routev3.VirtualHost) func(func(string, *routev3.Route) bool) {
	return func(yield func(string, *routev3.Route) bool) {
		for i, route := range host.GetRoutes() {
			if !yield(fmt.Sprintf("virtual host %s, route %d (%s)", host.GetName(), i, route.GetName()), route) {
				return
			}
		}
	}
}
