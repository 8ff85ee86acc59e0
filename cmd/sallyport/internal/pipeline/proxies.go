package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/lint"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
	"github.com/sallyport-project/sallyport/xds/cache"
)

// Proxies is the Publisher of a control plane: it translates, holds what came of it against the lint, and hands it to the
// cache.
type Proxies struct {
	Cache  *cache.Cache
	Logger hclog.Logger

	mu sync.Mutex
	// groups that have a snapshot, and what was left out of each.
	groups map[string][]string
}

// Publish translates the model for every group. A group whose resources do not pass the lint keeps what it has: that is a
// mistake of this program, and no request may pass because of it. The others are published.
func (p *Proxies) Publish(model *config.Model, material *inventory.Snapshot) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.groups == nil {
		p.groups = map[string][]string{}
	}
	groups := translate.Groups(model)
	for group := range p.groups {
		if !slices.Contains(groups, group) {
			groups = append(groups, group) // it has nothing any more
		}
	}
	var failed error
	for _, group := range groups {
		resources := translate.Group(model, material, group)
		if findings := lint.Check(resources); len(findings) > 0 {
			p.Logger.Error("the group keeps what it has: its new resources do not pass the lint, which is a mistake of this program", "group", group, "findings", findings)
			failed = errors.Join(failed, fmt.Errorf("the group %s: %v", group, findings[0]))
			continue
		}
		snapshot, err := snapshotOf(model, resources)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("the group %s: %w", group, err))
			continue
		}
		p.Cache.SetSnapshot(group, snapshot)
		p.report(group, resources.Problems)
	}
	return failed
}

// report logs what had to be left out, when that has changed.
func (p *Proxies) report(group string, problems []translate.Problem) {
	lines := make([]string, len(problems))
	for i, problem := range problems {
		lines[i] = problem.Error()
	}
	for _, line := range lines {
		if !slices.Contains(p.groups[group], line) {
			p.Logger.Warn("left out for want of material", "group", group, "problem", line)
		}
	}
	p.groups[group] = lines
}

// snapshotOf puts a group's resources into a snapshot, the route configurations labelled with the policies and upstreams in them.
func snapshotOf(model *config.Model, r *translate.Resources) (*cache.Snapshot, error) {
	labels := map[string][]string{}
	for _, g := range model.Gateways() {
		if g.Group != r.Group {
			continue
		}
		for _, l := range g.Listeners {
			for _, e := range l.Entries {
				labels[translate.RoutesName(e)] = labelsOf(e)
			}
		}
	}
	resources := map[string]map[string]cache.Resource{}
	add(resources, resource.ListenerType, r.Listeners, nil)
	add(resources, resource.RouteType, r.Routes, labels)
	add(resources, resource.ClusterType, r.Clusters, nil)
	add(resources, resource.EndpointType, r.Endpoints, nil)
	add(resources, resource.SecretType, r.Secrets, nil)
	return cache.NewSnapshot(resources)
}

func add[M proto.Message](resources map[string]map[string]cache.Resource, typeURL string, named map[string]M, labels map[string][]string) {
	resources[typeURL] = make(map[string]cache.Resource, len(named))
	for name, message := range named {
		resources[typeURL][name] = cache.Resource{Message: message, Labels: labels[name]}
	}
}

// labelsOf are the labels of an entry's route configuration: each policy and upstream in it, with its version.
func labelsOf(e *config.Entry) []string {
	var labels []string
	for _, host := range e.VirtualHosts {
		for _, rule := range host.Rules {
			labels = append(labels, label(rule.Policy.Name, rule.Policy.Version))
			for _, u := range rule.Upstreams {
				labels = append(labels, upstreamLabel(u.Upstream.Name, u.Upstream.Version))
			}
		}
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

func label(policy, version string) string { return policy + "@" + version }

// upstreamLabel has a slash, which the name of no policy has.
func upstreamLabel(name, version string) string { return label("upstream/"+name, version) }

// UpstreamInUse tells the authorization service whether a proxy may still be running routes that lead to this version of an upstream.
func UpstreamInUse(c *cache.Cache) func(upstream, version string) bool {
	return func(upstream, version string) bool { return c.InUse(upstreamLabel(upstream, version)) }
}

// InUse tells the authorization service whether a proxy may still be running routes with this version of a policy.
func InUse(c *cache.Cache) func(policy, version string) bool {
	return func(policy, version string) bool { return c.InUse(label(policy, version)) }
}
