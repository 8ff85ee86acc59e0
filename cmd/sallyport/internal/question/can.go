package question

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// Can tells what a consumer may do, or somebody with a token. A condition that looks at the path is left open, and at the time unless
// the moment was chosen. The error is a Mistake where the question is to blame.
func (a *Answers) Can(ctx context.Context, q *adminv1.CanRequest) (*adminv1.CanResponse, error) {
	token, err := a.presumed(q.GetAsToken())
	if err != nil {
		return nil, err
	}
	at := a.moment(q.GetAt())
	gateways, err := a.estates(ctx, at)
	if err != nil {
		return nil, err
	}
	answer := &adminv1.CanResponse{Revision: a.config.Model.Revision(), At: timestamppb.New(at.Time)}
	guises, err := a.introduceTo(answer, q.GetConsumer(), token, gateways, at)
	if err != nil {
		return nil, err
	}
	asked := can{gateway: gateways.first, guises: guises, method: q.GetMethod(), host: config.HostName(q.GetHost())}
	for _, g := range a.config.Model.Gateways() {
		for _, l := range g.Listeners {
			for _, e := range l.Entries {
				asked.entry(e)
			}
		}
	}
	answer.Notes = append(answer.Notes, asked.refusals...)
	if answer.Grants, err = merge(asked.grants, func(g *adminv1.Grant) *[]string { return &g.Hosts }); err != nil {
		return nil, err
	}
	answer.Grants, err = merge(answer.Grants, func(g *adminv1.Grant) *[]string { return &g.Listeners })
	return answer, err
}

// introduceTo describes the caller, and returns the guises in which it may come.
func (a *Answers) introduceTo(answer *adminv1.CanResponse, consumer string, token *bearer.Token, by *estates, at moment) ([]estate.Credentials, error) {
	if consumer == "" && token != nil {
		answer.Caller, answer.Origin = "somebody with "+tokenWords(token), token.Provider.Origin.String()
		answer.Notes = []string{presumedToken(token)}
		return []estate.Credentials{hypothetical(nil, token, at, !at.chosen)}, nil
	}
	c, err := a.consumer(consumer)
	if err != nil {
		return nil, err
	}
	answer.Consumer, answer.Caller, answer.Origin = c.Name, "the Consumer "+c.Name, c.Origin.String()
	answer.Notes = a.presumptions(c, bearing{presumed: token})
	if token != nil {
		answer.Caller += " with " + tokenWords(token)
		answer.Notes = append(answer.Notes, presumedToken(token))
	}
	for _, bound := range bounds(c) {
		answer.Notes = append(answer.Notes, "the consumer is admitted "+bound)
	}
	all, notes := a.guises(c, bearing{presumed: token}, by, at, !at.chosen)
	answer.Notes = append(answer.Notes, notes...)
	return all, nil
}

// can is one question on its way through the rules.
type can struct {
	gateway      *estate.Estate
	guises       []estate.Credentials
	method, host string

	grants []*adminv1.Grant
	// refusals say why the consumer may do nothing, each once.
	refusals []string
}

// entry looks at what can be reached by a TLS entry.
func (c *can) entry(e *config.Entry) {
	if c.host != "" && e.Listener.EntryFor(c.host) != e {
		return
	}
	for _, host := range e.VirtualHosts {
		if c.host != "" && hostFor(e, c.host) != host {
			continue
		}
		for i, rule := range host.Rules {
			if c.method != "" && !takes(rule.Match.Methods, c.method) {
				continue
			}
			for _, guise := range c.guises {
				c.rule(host, i, e, guise)
			}
		}
	}
}

// rule adds what a rule grants the consumer in one guise.
func (c *can) rule(host *config.VirtualHost, index int, e *config.Entry, guise estate.Credentials) {
	rule := host.Rules[index]
	told, refused := c.gateway.Handshake(e, guise)
	if refused != "" {
		return
	}
	reaches, refusal := c.gateway.Reach(request.Context{
		Gateway: e.Listener.Gateway.Name, Listener: e.Listener.Name, Entry: e.Name,
		Route: rule.Route.Name, Rule: rule.Name, Policy: rule.Policy.Name, PolicyVersion: rule.Policy.Version,
	}, *told.Hypothesis)
	if refusal != nil && refusal.Consumer != "" && !slices.Contains(c.refusals, refusal.Detail) {
		c.refusals = append(c.refusals, refusal.Detail)
	}
	for _, reach := range reaches {
		match, found := meet(rule.Match, reach)
		if !found || covered(host.Rules[:index], match) || c.method != "" && !takes(match.GetMethods(), c.method) {
			continue
		}
		if c.method != "" {
			match.Methods = []string{c.method}
		}
		c.grants = append(c.grants, &adminv1.Grant{
			Gateway: e.Listener.Gateway.Name, Listeners: []string{e.Listener.Name}, Hosts: []string{host.Hostname},
			Match: match, Except: except(host.Rules[:index], match), Headers: headers(rule.Match.Headers),
			Route: rule.Route.Name, Rule: rule.Name, RuleAt: rule.Origin.String(), Policy: rule.Policy.Name,
			Upstreams: namesOf(rule.Upstreams, func(u config.WeightedUpstream) string { return u.Upstream.Name }),
			Reason:    string(reach.Reason), Detail: reach.Detail, Origin: reach.Origin.String(), Conditions: conditions(reach.Conditions),
		})
	}
}

// merge makes one of grants that differ in one list alone, which is given by how it is taken out and put in.
func merge(grants []*adminv1.Grant, list func(*adminv1.Grant) *[]string) ([]*adminv1.Grant, error) {
	var merged []*adminv1.Grant
	known := map[string]*adminv1.Grant{}
	for _, grant := range grants {
		bare := proto.CloneOf(grant)
		*list(bare) = nil
		key, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
		if err != nil {
			return nil, err
		}
		there := known[string(key)]
		if there == nil {
			known[string(key)] = grant
			merged = append(merged, grant)
			continue
		}
		for _, item := range *list(grant) {
			if !slices.Contains(*list(there), item) {
				*list(there) = append(*list(there), item)
			}
		}
	}
	return merged, nil
}

// bounds are those of a consumer's validity, as sentences.
func bounds(c *config.Consumer) []string {
	var all []string
	if !c.ValidFrom.IsZero() {
		all = append(all, "from "+stamp(c.ValidFrom))
	}
	if !c.ValidUntil.IsZero() {
		all = append(all, "until "+stamp(c.ValidUntil))
	}
	return all
}

// hostFor is the virtual host of an entry that takes a host: the one of that name, or else the longest wildcard; nil if none does.
func hostFor(e *config.Entry, host string) *config.VirtualHost {
	taking := slices.DeleteFunc(slices.Clone(e.VirtualHosts), func(v *config.VirtualHost) bool {
		suffix, wildcard := strings.CutPrefix(v.Hostname, "*")
		below := wildcard && strings.HasSuffix(host, suffix) && len(host) > len(suffix)
		return v.Hostname != host && !below
	})
	if len(taking) == 0 {
		return nil
	}
	return slices.MaxFunc(taking, func(a, b *config.VirtualHost) int {
		if exact := a.Hostname == host; exact != (b.Hostname == host) {
			if exact {
				return 1
			}
			return -1
		}
		return cmp.Compare(len(a.Hostname), len(b.Hostname))
	})
}

// headers are a rule's demands on headers, as sentences.
func headers(of []config.HeaderMatch) []string {
	return namesOf(of, func(h config.HeaderMatch) string {
		if h.Present {
			return h.Name + " is present"
		}
		return h.Name + " is " + h.Value
	})
}

func conditions(of []policy.Condition) []*adminv1.Condition {
	var all []*adminv1.Condition
	for _, c := range of {
		all = append(all, &adminv1.Condition{Text: c.Text, Origin: c.Origin.String()})
	}
	return all
}
