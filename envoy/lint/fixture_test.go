package lint_test

import (
	"strings"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extauthzv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	hcmv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// generate translates a configuration with material for all of it.
func generate(t *testing.T, directory, group string) *translate.Resources {
	t.Helper()
	model, problems, err := config.Load(directory)
	if err != nil || model == nil {
		t.Fatal(err, problems)
	}
	material := &inventory.Snapshot{Truststores: map[string]*inventory.Truststore{}, Certificates: map[string]*inventory.KeyPair{}}
	for _, truststore := range model.Truststores() {
		material.Truststores[truststore.Name] = &inventory.Truststore{PEM: []byte("anchors\n")}
	}
	for _, certificate := range model.Certificates() {
		material.Certificates[certificate.Name] = &inventory.KeyPair{CertificatePEM: []byte("chain\n"), PrivateKeyPEM: []byte("key\n")}
	}
	return translate.Group(model, material, group)
}

// good is resources without a finding. Among them are a wildcard entry, a weighted route, and a plaintext listener.
func good(t *testing.T) *translate.Resources {
	t.Helper()
	return generate(t, "../translate/testdata/forms", "all")
}

// The places in the good resources that tests change.
const (
	publicListener = "forms/public"
	plainListener  = "forms/plain"
	publicRoutes   = "forms/public/*.example.org"
	strictRoutes   = "forms/public/*.internal.example.org"
	rulesHost      = "www.example.org"
)

// repack changes a packed message.
func repack[M proto.Message](packed *anypb.Any, into M, change func(M)) {
	if err := packed.UnmarshalTo(into); err != nil {
		panic(err)
	}
	change(into)
	if err := packed.MarshalFrom(into); err != nil {
		panic(err)
	}
}

func chain(r *translate.Resources) *listenerv3.FilterChain {
	return r.Listeners[publicListener].GetFilterChains()[0]
}

func manager(change func(*hcmv3.HttpConnectionManager)) func(*translate.Resources) {
	return func(r *translate.Resources) {
		repack(chain(r).GetFilters()[0].GetTypedConfig(), &hcmv3.HttpConnectionManager{}, change)
	}
}

func authorization(change func(*extauthzv3.ExtAuthz)) func(*translate.Resources) {
	return manager(func(m *hcmv3.HttpConnectionManager) {
		repack(m.GetHttpFilters()[1].GetTypedConfig(), &extauthzv3.ExtAuthz{}, change)
	})
}

func host(r *translate.Resources, routes, name string) *routev3.VirtualHost {
	for _, h := range r.Routes[routes].GetVirtualHosts() {
		if h.GetName() == name {
			return h
		}
	}
	panic("there is no virtual host " + name)
}

// route changes a route of the rules' host by its name.
func route(name string, change func(*routev3.Route)) func(*translate.Resources) {
	return func(r *translate.Resources) {
		for _, candidate := range host(r, publicRoutes, rulesHost).GetRoutes() {
			if candidate.GetName() == name {
				change(candidate)
				return
			}
		}
		panic("there is no route " + name)
	}
}

func settings(change func(*extauthzv3.ExtAuthzPerRoute)) func(*routev3.Route) {
	return func(r *routev3.Route) {
		repack(r.GetTypedPerFilterConfig()[translate.AuthorizationFilter], &extauthzv3.ExtAuthzPerRoute{}, change)
	}
}

func context(change func(map[string]string)) func(*routev3.Route) {
	return settings(func(s *extauthzv3.ExtAuthzPerRoute) { change(s.GetCheckSettings().GetContextExtensions()) })
}

func contains(texts []string, part string) bool {
	for _, text := range texts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
