package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// routeAnswer is what `route` prints for one listener.
type routeAnswer struct {
	Gateway  string   `json:"gateway"`
	Listener string   `json:"listener"`
	Entry    string   `json:"entry,omitempty"`
	Host     string   `json:"host,omitempty"`
	Path     string   `json:"path,omitempty"`
	Status   int      `json:"status,omitempty"`
	Outcome  string   `json:"outcome,omitempty"`
	Route    string   `json:"route,omitempty"`
	Rule     string   `json:"rule,omitempty"`
	RuleAt   string   `json:"rule_at,omitempty"`
	Policy   string   `json:"policy,omitempty"`
	PolicyAt string   `json:"policy_at,omitempty"`
	Upstream []string `json:"upstreams,omitempty"`
	// Answer is what the authorization service answers without an upstream, and Provider the issuer of ours whose answer it is.
	Answer   string `json:"answer,omitempty"`
	Provider string `json:"provider,omitempty"`
	// Headers of Envoy's own in any answer: what it says of CORS.
	Headers map[string]string `json:"headers,omitempty"`
}

// routeQuery is what `route` is asked.
type routeQuery struct {
	source, gateway, sni string
	headers              []string
}

func newRoute(s streams) *cobra.Command {
	var q routeQuery
	cmd := &cobra.Command{
		Use:   "route METHOD URL",
		Short: "Say which rule takes a request",
		Long: `Says, for each listener that a request could arrive at, which entry, rule, policy and upstream would take it,
and how its path reads once Envoy has normalised it. Envoy's choice is simulated over the configuration
that is generated for it; nobody is authorized.`,
		Example: `  sallyport route --source config GET https://api.example.org/v1/persons/1/../2
  sallyport route --source config --gateway edge --header x-version=2 POST https://api.example.org/v1/visits`,
		Args: exactly("METHOD", "URL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			answers, err := q.answer(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return write(cmd, s.out, answers, func(w io.Writer) error { return writeRoutes(w, answers) })
		},
	}
	cmd.Flags().StringVar(&q.source, "source", ".", "directory of the configuration")
	cmd.Flags().StringVar(&q.gateway, "gateway", "", "only this Gateway")
	cmd.Flags().StringVar(&q.sni, "sni", "", "server name in the TLS handshake (default: the URL's host)")
	cmd.Flags().StringArrayVar(&q.headers, "header", nil, "header NAME=VALUE; may be repeated")
	_ = cmd.MarkFlagDirname("source") // the flag exists
	addOutput(cmd, "text", "json", "yaml")
	return cmd
}

func (q routeQuery) answer(ctx context.Context, method, url string) ([]routeAnswer, error) {
	model, err := loadModel(q.source)
	if err != nil {
		return nil, err
	}
	host, path, ok := config.SplitURL(url)
	if !ok || !strings.HasPrefix(url, "http://") && !strings.HasPrefix(url, "https://") {
		return nil, usageError{fmt.Errorf("expected a URL such as https://api.example.org/v1/status, found %q", url)}
	}
	request := routing.Request{SNI: q.sni, Method: method, Host: host, Path: path, Headers: http.Header{}}
	if request.SNI == "" {
		request.SNI = config.HostName(host)
	}
	for _, header := range q.headers {
		name, value, found := strings.Cut(header, "=")
		if !found {
			return nil, usageError{fmt.Errorf("--header: expected NAME=VALUE, found %q", header)}
		}
		request.Headers[strings.ToLower(name)] = append(request.Headers[strings.ToLower(name)], value)
	}
	if q.gateway != "" && model.Gateway(q.gateway) == nil {
		return nil, usageError{fmt.Errorf("--gateway: there is no Gateway %q", q.gateway)}
	}
	return q.choose(ctx, model, request, strings.HasPrefix(url, "http://"))
}

// choose asks every listener that the request could arrive at. Material is substituted: a route does not depend on it.
func (q routeQuery) choose(ctx context.Context, model *config.Model, request routing.Request, plaintext bool) ([]routeAnswer, error) {
	keeper, err := inventory.New(inventory.Config{Substitute: true})
	if err != nil {
		return nil, err
	}
	material := keeper.Apply(ctx, pipeline.SpecsOf(model))
	var answers []routeAnswer
	for _, g := range model.Gateways() {
		if q.gateway != "" && g.Name != q.gateway {
			continue
		}
		resources := translate.Group(model, material, g.Group)
		for _, l := range g.Listeners {
			if generated := resources.Listeners[translate.ListenerName(l)]; generated != nil && l.Plaintext() == plaintext {
				compiled, err := routing.Compile(generated, resources.Routes)
				if err != nil {
					return nil, err
				}
				answers = append(answers, answerOf(model, l, compiled.Choose(request)))
			}
		}
	}
	if len(answers) == 0 {
		return nil, errors.New("no gateway has a listener for such a URL")
	}
	return answers, nil
}

// answerOf puts a choice into the configuration's words.
func answerOf(model *config.Model, l *config.Listener, chosen routing.Decision) routeAnswer {
	a := routeAnswer{
		Gateway: l.Gateway.Name, Listener: l.Name, Host: chosen.Host, Path: chosen.Path, Status: chosen.Status,
		Entry: chosen.Context[checkcontext.Entry], Outcome: chosen.Context[checkcontext.Outcome],
		Answer: chosen.Context[checkcontext.Answer], Provider: chosen.Context[checkcontext.Provider],
		Route: chosen.Context[checkcontext.Route], Rule: chosen.Context[checkcontext.Rule], Policy: chosen.Context[checkcontext.Policy],
	}
	if chosen.Closed {
		a.Outcome = "closed"
	}
	if policy := model.Policy(a.Policy); policy != nil {
		a.PolicyAt = policy.Origin.String()
	}
	if route := model.Route(a.Route); route != nil {
		for _, rule := range route.Rules {
			if rule.Name == a.Rule {
				a.RuleAt = rule.Origin.String()
			}
		}
	}
	for name, values := range chosen.AnswerHeaders {
		if a.Headers == nil {
			a.Headers = map[string]string{}
		}
		a.Headers[name] = strings.Join(values, ",")
	}
	for _, u := range chosen.Upstreams {
		a.Upstream = append(a.Upstream, u.Context[checkcontext.Upstream])
	}
	return a
}

// writeRoutes prints the answers for people.
func writeRoutes(w io.Writer, answers []routeAnswer) error {
	for i, a := range answers {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "at %s/%s", a.Gateway, a.Listener)
		if a.Entry != "" {
			fmt.Fprintf(w, ", entry %s", a.Entry)
		}
		fmt.Fprintln(w)
		switch {
		case a.Outcome == "closed":
			fmt.Fprintln(w, "  the connection is closed: no entry has this server name")
		case a.Status == http.StatusOK:
			fmt.Fprintln(w, "  Envoy answers the browser's preflight: 200, before anybody is asked")
		case a.Status != 0:
			fmt.Fprintf(w, "  Envoy answers %d before anybody is asked\n", a.Status)
		case a.Outcome == checkcontext.OutcomeMisdirected:
			fmt.Fprintf(w, "  421: the host %s belongs to another entry than the server name\n", a.Host)
		case a.Outcome != "":
			fmt.Fprintf(w, "  404: no rule takes %s\n", a.Path)
		default:
			fmt.Fprintf(w, "  path      %s\n  rule      %s/%s  (%s)\n  policy    %s  (%s)\n", a.Path, a.Route, a.Rule, a.RuleAt, a.Policy, a.PolicyAt)
			if a.Answer != "" {
				fmt.Fprintf(w, "  answer    %s, without an upstream\n", strings.TrimSuffix(a.Answer+" of "+a.Provider, " of "))
			} else {
				fmt.Fprintf(w, "  upstream  %s\n", strings.Join(a.Upstream, ", "))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
			fmt.Fprintf(w, "  %s: %s\n", name, a.Headers[name])
		}
	}
	return nil
}
