package tokens

import (
	"net/url"
	"strings"

	"github.com/sallyport-project/sallyport/authz/mint"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

// addressesOf are where the token endpoint and the key set of an issuer of our own are, by the rules that answer with them; empty
// where none does.
func addressesOf(model *config.Model, p *config.Provider) mint.Addresses {
	return mint.Addresses{
		TokenEndpoint: addressOf(model, p, checkcontext.AnswerToken),
		KeySet:        addressOf(model, p, checkcontext.AnswerKeySet),
	}
}

// addressOf is the address of the first rule, by Route and order, that gives this answer for the issuer and has one address.
func addressOf(model *config.Model, p *config.Provider, answer string) string {
	for _, route := range model.Routes() {
		for _, rule := range route.Rules {
			if rule.Answer != answer || rule.Issuer == nil || rule.Issuer.Name != p.Name || rule.Match.Kind != config.MatchExact {
				continue
			}
			if host := hostOf(route, p); host != "" {
				return host + rule.Match.Path
			}
		}
	}
	return ""
}

// hostOf is how callers reach a route: as the issuer itself is named, if that is one of the route's hostnames, because the name says
// by which scheme and port; or else the route's first hostname that is no wildcard.
func hostOf(route *config.Route, p *config.Provider) string {
	if issuer, err := url.Parse(p.Issuers[0]); err == nil {
		for _, name := range route.Hostnames {
			if name == issuer.Hostname() {
				return issuer.Scheme + "://" + issuer.Host
			}
		}
	}
	for _, name := range route.Hostnames {
		if !strings.HasPrefix(name, "*") {
			return "https://" + name
		}
	}
	return ""
}
