package question

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/document"
	"github.com/sallyport-project/sallyport/envoy/routing"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// hop is a request as it comes to the first gateway, without its caller.
func (a *Answers) hop(q *adminv1.Inquiry) (estate.Hop, error) {
	host, path, ok := config.SplitURL(q.GetUrl())
	if !ok || !strings.HasPrefix(q.GetUrl(), "http://") && !strings.HasPrefix(q.GetUrl(), "https://") {
		return estate.Hop{}, mistake("expected a URL such as https://api.example.org/v1/status, found %q", q.GetUrl())
	}
	if strings.Trim(q.GetMethod(), "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || q.GetMethod() == "" {
		return estate.Hop{}, mistake("expected a method in capitals, such as GET, found %q", q.GetMethod())
	}
	h := estate.Hop{Request: routing.Request{Method: q.GetMethod(), Host: host, Path: path, Headers: http.Header{}}}
	for _, header := range q.GetHeaders() {
		name := strings.ToLower(header.GetName())
		if name == "host" {
			h.Request.Host = header.GetValue()
			continue
		}
		h.Request.Headers[name] = append(h.Request.Headers[name], header.GetValue())
	}
	serverName := config.HostName(host)
	var err error
	if h.Listener, err = a.listener(q, serverName); err != nil {
		return estate.Hop{}, err
	}
	if !h.Listener.Plaintext() {
		h.Request.SNI = serverName
	}
	return h, nil
}

// listener is the one that a request arrives at. Where no gateway is named, it is that of the only gateway which serves the
// host.
func (a *Answers) listener(q *adminv1.Inquiry, serverName string) (*config.Listener, error) {
	model := a.config.Model
	if name := q.GetVia(); name != "" {
		g := model.Gateway(name)
		if g == nil {
			names := namesOf(model.Gateways(), func(g *config.Gateway) string { return g.Name })
			return nil, mistake("there is no Gateway %q%s", name, document.DidYouMean(name, names))
		}
		if l := estate.ListenerFor(g, q.GetUrl(), serverName, estate.AsConfigured); l != nil {
			return l, nil
		}
		return nil, mistake("the Gateway %q has no listener for %s", name, q.GetUrl())
	}
	var serving []*config.Listener
	hosts := map[string]bool{}
	for _, g := range model.Gateways() {
		if l := estate.ListenerFor(g, q.GetUrl(), serverName, estate.AsConfigured); l != nil && l.Serves(serverName) {
			serving = append(serving, l)
		}
		for _, l := range g.Listeners {
			for _, e := range l.Entries {
				for _, host := range e.Hostnames {
					hosts[host] = true
				}
			}
		}
	}
	switch len(serving) {
	case 0:
		return nil, mistake("no gateway serves %s%s", q.GetUrl(), document.DidYouMean(serverName, slices.Sorted(maps.Keys(hosts))))
	case 1:
		return serving[0], nil
	}
	names := namesOf(serving, func(l *config.Listener) string { return l.Gateway.Name })
	return nil, mistake("several gateways serve %s: choose one of %s", q.GetUrl(), strings.Join(names, ", "))
}

func namesOf[T any](of []T, name func(T) string) []string {
	names := make([]string, len(of))
	for i, one := range of {
		names[i] = name(one)
	}
	return names
}

// consumer is the Consumer of that name.
func (a *Answers) consumer(name string) (*config.Consumer, error) {
	if c := a.config.Model.Consumer(name); c != nil {
		return c, nil
	}
	names := namesOf(a.config.Model.Consumers(), func(c *config.Consumer) string { return c.Name })
	return nil, mistake("there is no Consumer %q%s", name, document.DidYouMean(name, names))
}

// words is a request on one line.
func words(q *adminv1.Inquiry) string { return q.GetMethod() + " " + q.GetUrl() }
