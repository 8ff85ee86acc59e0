package translate

import (
	"fmt"
	"maps"

	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// settings tell the authorization service where a route or weighted cluster stands. They are the only way in which it
// learns that, and a caller cannot write them.
func settings(check *extauthzv3.CheckSettings) map[string]*anypb.Any {
	return map[string]*anypb.Any{AuthorizationFilter: pack(&extauthzv3.ExtAuthzPerRoute{
		Override: &extauthzv3.ExtAuthzPerRoute_CheckSettings{CheckSettings: check},
	})}
}

// MaxTokenRequest is how much of a request to a token endpoint Envoy is asked to keep, in bytes. It keeps as much as a connection's
// buffer holds, and answers 413 to more.
const MaxTokenRequest = 4 << 10

// ruleSettings are the settings of the filters on a rule's route.
func ruleSettings(e *config.Entry, rule *config.Rule) map[string]*anypb.Any {
	checked := check(rule, ruleContext(e, rule))
	if rule.Answer == checkcontext.AnswerToken {
		checked.WithRequestBody = &extauthzv3.BufferSettings{MaxRequestBytes: MaxTokenRequest}
	}
	all := settings(checked)
	if sendsTokens(rule) {
		all[WithholdingFilterName] = WithholdingSettings()
	}
	return all
}

// check is how a decision on a rule is asked for. Where it may have to ask a Provider over a network, it has the time for that: a
// gateway's own timeout is made for decisions that wait for nothing.
func check(rule *config.Rule, context map[string]string) *extauthzv3.CheckSettings {
	checked := &extauthzv3.CheckSettings{ContextExtensions: context}
	if rule.Fetches() {
		checked.ServiceOverride = &extauthzv3.CheckSettings_GrpcService{GrpcService: authorizationService(rule.Route.Gateway.FetchTimeout)}
	}
	return checked
}

// entryContext is what every route of an entry says.
func entryContext(e *config.Entry) map[string]string {
	return map[string]string{
		checkcontext.Gateway:  e.Listener.Gateway.Name,
		checkcontext.Listener: e.Listener.Name,
		checkcontext.Entry:    e.Name,
	}
}

// outcomeContext is what a route says that leads nowhere.
func outcomeContext(e *config.Entry, outcome string) map[string]string {
	context := entryContext(e)
	context[checkcontext.Outcome] = outcome
	return context
}

// ruleContext is what the route of a rule says: what is answered, or which upstream is asked, and in which version. That is the chosen
// weighted cluster's to say where there are several, and Envoy merges the two.
func ruleContext(e *config.Entry, rule *config.Rule) map[string]string {
	context := entryContext(e)
	context[checkcontext.Route] = rule.Route.Name
	context[checkcontext.Rule] = rule.Name
	context[checkcontext.Policy] = rule.Policy.Name
	context[checkcontext.PolicyHash] = rule.Policy.Version
	if rule.Answer != "" {
		context[checkcontext.Answer] = rule.Answer
	}
	if rule.Issuer != nil {
		context[checkcontext.Provider] = rule.Issuer.Name
	}
	if len(rule.Upstreams) == 1 {
		maps.Copy(context, upstreamContext(rule.Upstreams[0].Upstream))
	}
	return context
}

// upstreamContext is what leads to one upstream.
func upstreamContext(u *config.Upstream) map[string]string {
	return map[string]string{checkcontext.Upstream: u.Name, checkcontext.UpstreamHash: u.Version}
}

// Context reads what a route tells the authorization service, with what the weighted cluster adds if one is given, as
// Envoy merges them. The error is for settings that are missing, or of another form than this package makes.
func Context(route *routev3.Route, chosen *routev3.WeightedCluster_ClusterWeight) (map[string]string, error) {
	context, err := contextOf(route.GetTypedPerFilterConfig())
	if err != nil || chosen == nil {
		return context, err
	}
	more, err := contextOf(chosen.GetTypedPerFilterConfig())
	maps.Copy(context, more)
	return context, err
}

func contextOf(configured map[string]*anypb.Any) (map[string]string, error) {
	packed := configured[AuthorizationFilter]
	if packed == nil {
		return nil, fmt.Errorf("there are no settings of %s", AuthorizationFilter)
	}
	perRoute := &extauthzv3.ExtAuthzPerRoute{}
	if err := packed.UnmarshalTo(perRoute); err != nil {
		return nil, fmt.Errorf("settings of %s: %w", AuthorizationFilter, err)
	}
	if perRoute.GetCheckSettings() == nil {
		return nil, fmt.Errorf("the settings of %s are no check settings", AuthorizationFilter)
	}
	context := map[string]string{}
	maps.Copy(context, perRoute.GetCheckSettings().GetContextExtensions())
	return context, nil
}
