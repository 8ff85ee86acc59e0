package idp

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// Where metadata lies (OpenID Connect Discovery 1.0, section 4; RFC 8414, section 3).
const (
	openIDConfiguration = "/.well-known/openid-configuration"
	authorizationServer = "/.well-known/oauth-authorization-server"
)

// Metadata is what a provider says of itself, as far as it is used here. It is not changed once it is returned.
type Metadata struct {
	Issuer                string    `json:"issuer"`
	KeySetURI             string    `json:"jwks_uri"`
	TokenEndpoint         string    `json:"token_endpoint"`
	IntrospectionEndpoint string    `json:"introspection_endpoint"`
	MTLS                  Endpoints `json:"mtls_endpoint_aliases"`
}

// Endpoints are those for clients that present a certificate (RFC 8705, section 5). Empty ones are as for everybody.
type Endpoints struct {
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
}

// Discover asks for the metadata. The document must name exactly the issuer that is configured (RFC 8414, section 3.3), and
// its endpoints must be https, or http where the configuration lets that pass. The error is an *Error.
func (p *Provider) Discover(ctx context.Context) (*Metadata, error) {
	metadata, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	return metadata, nil
}

func (p *Provider) discover(ctx context.Context) (*Metadata, *Error) {
	places, fault := p.metadataPlaces()
	if fault != nil {
		return nil, fault
	}
	for i, place := range places {
		doing := "discover the provider at " + shown(place)
		got, fault := p.get(ctx, doing, place, "")
		switch {
		case fault != nil:
			return nil, fault
		case got.status == http.StatusNotFound && i < len(places)-1:
			continue
		case got.status != http.StatusOK:
			return nil, failure(doing, refusal(got.status, got.header, nil))
		}
		metadata, fault := p.readMetadata(got.body)
		if fault != nil {
			return nil, failure(doing, fault)
		}
		p.discovered.Store(metadata)
		return metadata, nil
	}
	return nil, misconfigured("there is no place to discover the provider at")
}

func (p *Provider) metadataPlaces() ([]string, *Error) {
	if p.config.Discovery != "" {
		return []string{p.config.Discovery}, nil
	}
	issuer, err := p.config.issuerAddress()
	if err != nil {
		return nil, misconfigured("nothing can be discovered by the issuer: %w; configure the provider's addresses", err)
	}
	path := strings.TrimSuffix(issuer.EscapedPath(), "/")
	base := issuer.Scheme + "://" + issuer.Host
	return []string{base + path + openIDConfiguration, base + authorizationServer + path}, nil
}

func (p *Provider) readMetadata(body []byte) (*Metadata, *Error) {
	var metadata Metadata
	if json.Unmarshal(body, &metadata) != nil {
		return nil, badAnswer("the answer is no provider's metadata (RFC 8414)")
	}
	if metadata.Issuer != p.config.Issuer {
		return nil, badAnswer("the metadata is of another issuer than %q, which must be the same to the last letter (RFC 8414, section 3.3)", p.config.Issuer)
	}
	for _, one := range []struct{ name, address string }{
		{"jwks_uri", metadata.KeySetURI},
		{"token_endpoint", metadata.TokenEndpoint},
		{"introspection_endpoint", metadata.IntrospectionEndpoint},
		{"token_endpoint among the mtls_endpoint_aliases", metadata.MTLS.TokenEndpoint},
		{"introspection_endpoint among the mtls_endpoint_aliases", metadata.MTLS.IntrospectionEndpoint},
	} {
		if one.address == "" {
			continue
		}
		if _, err := p.config.address(one.address); err != nil {
			return nil, badAnswer("the metadata's %s cannot be used: %v", one.name, err)
		}
	}
	return &metadata, nil
}

// endpoint is one that secrets are sent to.
type endpoint struct {
	address string
	// found is the metadata that named it, or nil.
	found *Metadata
}

// tokenEndpoint returns where tokens are asked for.
func (p *Provider) tokenEndpoint(ctx context.Context) (endpoint, *Error) {
	return p.endpoint(ctx, "token_endpoint", p.config.TokenEndpoint, func(m *Metadata) (string, string) {
		return m.TokenEndpoint, m.MTLS.TokenEndpoint
	})
}

// introspectionEndpoint returns where it is asked about tokens.
func (p *Provider) introspectionEndpoint(ctx context.Context) (endpoint, *Error) {
	return p.endpoint(ctx, "introspection_endpoint", p.config.IntrospectionEndpoint, func(m *Metadata) (string, string) {
		return m.IntrospectionEndpoint, m.MTLS.IntrospectionEndpoint
	})
}

// endpoint returns what is configured, or what the metadata says. Metadata may choose a path, and no other host: whoever
// can change that document must not be able to collect our secrets.
func (p *Provider) endpoint(ctx context.Context, name, configured string, of func(*Metadata) (plain, mutual string)) (endpoint, *Error) {
	if configured != "" {
		return endpoint{address: configured}, nil
	}
	metadata, fault := p.remembered(ctx)
	if fault != nil {
		return endpoint{}, fault
	}
	address, mutual := of(metadata)
	if p.config.Client.Method == TLSClientAuth && mutual != "" {
		address = mutual
	}
	if address == "" {
		return endpoint{}, misconfigured("the metadata of %s names no %s: configure it", p.config.Issuer, name)
	}
	parsed, err := p.config.address(address)
	if err != nil {
		return endpoint{}, misconfigured("the %s of %s cannot be used: %w", name, p.config.Issuer, err)
	}
	if !p.trusted[origin(parsed)] {
		return endpoint{}, misconfigured("the metadata of %s names a %s on another host, %q, to which no secret is sent: configure %s if it is the right one", p.config.Issuer, name, origin(parsed), name)
	}
	return endpoint{address: address, found: metadata}, nil
}

// remembered returns the metadata that was discovered last, or discovers it. Many callers cause one request.
func (p *Provider) remembered(ctx context.Context) (*Metadata, *Error) {
	if metadata := p.discovered.Load(); metadata != nil {
		return metadata, nil
	}
	select {
	case p.discovering <- struct{}{}:
		defer func() { <-p.discovering }()
	case <-ctx.Done():
		return nil, failure("wait for the provider's metadata", ctx.Err())
	}
	if metadata := p.discovered.Load(); metadata != nil {
		return metadata, nil
	}
	return p.discover(ctx)
}

// forget makes the next exchange discover anew, if an endpoint that was discovered does not answer as one.
func (p *Provider) forget(at endpoint, fault *Error) {
	if at.found != nil && (fault.Kind == Unreachable || fault.Kind == BadAnswer) {
		p.discovered.CompareAndSwap(at.found, nil)
	}
}
