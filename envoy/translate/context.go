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
func settings(context map[string]string) map[string]*anypb.Any {
	return map[string]*anypb.Any{AuthorizationFilter: pack(&extauthzv3.ExtAuthzPerRoute{
		Override: &extauthzv3.ExtAuthzPerRoute_CheckSettings{CheckSettings: &extauthzv3.CheckSettings{ContextExtensions: context}},
	})}
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

// ruleContext is what the route of a rule says: what is answered, or which upstream is asked. The upstream is the chosen weighted cluster's to say where there are
// several, and Envoy merges the two.
func ruleContext(e *config.Entry, rule *config.Rule) map[string]string {
	context := entryContext(e)
	context[checkcontext.Route] = rule.Route.Name
	context[checkcontext.Rule] = rule.Name
	context[checkcontext.Policy] = rule.Policy.Name
	context[checkcontext.PolicyHash] = rule.Policy.Version
	if rule.WhoAmI {
		context[checkcontext.Answer] = checkcontext.AnswerWhoAmI
	}
	if len(rule.Upstreams) == 1 {
		context[checkcontext.Upstream] = rule.Upstreams[0].Upstream.Name
	}
	return context
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
