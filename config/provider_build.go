package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/config/document"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// defaultAlgorithms are those that issuers sign by today. HMAC and `none` cannot be named at all (RFC 8725, section 3.2).
var defaultAlgorithms = []string{"RS256", "PS256", "ES256", "EdDSA"}

// defaultTypes are those of access tokens: RFC 9068's, and what issuers write that are older than it.
var defaultTypes = []string{"at+jwt", "jwt", ""}

func (b *builder) provider(d *document.Document, m *sallyportv1.Provider) {
	spec := m.GetSpec()
	p := &Provider{
		Header: header(d, m.GetMetadata()), Issuers: spec.GetIssuers(), Audiences: spec.GetAudiences(),
		Algorithms: spec.GetAlgorithms(), AcceptIDTokens: spec.GetAcceptIdTokens(),
		Leeway: durationOr(spec.GetLeeway(), DefaultLeeway), MaxStale: durationOr(spec.GetMaxStale(), DefaultMaxStale),
		Claims: providerClaims(spec.GetClaims()), Roles: setOf(spec.GetMayAssert().GetRoles()), Scopes: setOf(spec.GetMayAssert().GetScopes()),
		KeySetURI: spec.GetJwksUri(), KeySet: spec.GetKeySet(), InsecureHTTP: spec.GetInsecureHttp(), TokenEndpoint: spec.GetTokenEndpoint(),
		ResourceMetadata: spec.GetResourceMetadata(),
	}
	for _, name := range spec.GetRequiredClaims() {
		p.RequiredClaims = append(p.RequiredClaims, ClaimName(name))
	}
	for _, written := range spec.GetTypes() {
		p.Types = append(p.Types, strings.ToLower(written))
	}
	if len(p.Algorithms) == 0 {
		p.Algorithms = defaultAlgorithms
	}
	if len(p.Types) == 0 {
		p.Types = defaultTypes
	}
	if name := spec.GetTruststore(); name != "" {
		p.Truststore, _ = lookup(b, b.model.truststores, d, "spec.truststore", "Truststore", name)
	}
	p.Client = b.providerClient(d, spec.GetClient())
	if asked := spec.GetIntrospection(); asked != nil {
		p.Introspection = &Introspection{
			Endpoint: asked.GetEndpoint(), Cache: durationOr(asked.GetCache(), DefaultIntrospectionCache), WithoutAudience: asked.GetWithoutAudience(),
		}
	}
	p.Revoked = b.revokedTokens(d, spec.GetRevoked())
	b.addresses(d, spec)
	if spec.GetMint() != nil {
		b.mint(d, p, spec)
	} else {
		b.foreign(d, p, spec)
	}
	b.model.providers[d.Name] = p
}

// addresses wants https, unless http is let in by name.
func (b *builder) addresses(d *document.Document, spec *sallyportv1.ProviderSpec) {
	if spec.GetInsecureHttp() {
		return
	}
	check := func(path, address string) {
		if strings.HasPrefix(address, "http://") {
			b.fail(d, path, "is not https: whoever is on the way could make any token; where that is meant, as on loopback, say `insecure_http: true`")
		}
	}
	for i, issuer := range spec.GetIssuers() {
		check(fmt.Sprintf("spec.issuers[%d]", i), issuer)
	}
	check("spec.jwks_uri", spec.GetJwksUri())
	check("spec.token_endpoint", spec.GetTokenEndpoint())
	check("spec.introspection.endpoint", spec.GetIntrospection().GetEndpoint())
}

// foreign checks what only another's issuer has.
func (b *builder) foreign(d *document.Document, p *Provider, spec *sallyportv1.ProviderSpec) {
	if len(p.Audiences) == 0 {
		b.fail(d, "spec.audiences", "is missing: without an audience, a token that was made for anybody would be taken")
	}
	if p.KeySetURI != "" && p.KeySet != "" {
		b.fail(d, "spec.key_set", "stands beside `jwks_uri`: give one of the two")
	}
	if p.KeySet != "" {
		b.reference(d, "spec.key_set", p.KeySet, ofKeySet)
		if spec.GetMaxStale() != nil {
			b.fail(d, "spec.max_stale", "has no effect on a `key_set` of material, which is not fetched from the provider")
		}
	}
	if p.Introspection != nil && p.Client == nil {
		b.fail(d, "spec.introspection", "needs a `client`: a provider tells of tokens only whom it knows (RFC 7662, section 2.1)")
	}
}

// mint checks what only an issuer of our own has.
func (b *builder) mint(d *document.Document, p *Provider, spec *sallyportv1.ProviderSpec) {
	written := spec.GetMint()
	lifetime := DefaultPartnerLifetime
	if written.GetClass() == sallyportv1.TokenClass_TOKEN_CLASS_HOP {
		lifetime = DefaultHopLifetime
	}
	p.Mint = &Mint{
		Class: written.GetClass(), Keys: written.GetKeys(),
		Lifetime: durationOr(written.GetLifetime(), lifetime), RotateEvery: durationOr(written.GetRotateEvery(), DefaultKeyRotation),
	}
	p.Algorithms, p.Types = []string{"ES256", "ES384", "RS256", "EdDSA"}, []string{p.Mint.Type()}
	for i, key := range p.Mint.Keys {
		b.reference(d, fmt.Sprintf("spec.mint.keys[%d]", i), key, ofPrivateKey)
	}
	for _, other := range []struct {
		field string
		given bool
	}{
		{"audiences", len(spec.GetAudiences()) > 0}, {"algorithms", len(spec.GetAlgorithms()) > 0}, {"types", len(spec.GetTypes()) > 0},
		{"accept_id_tokens", spec.GetAcceptIdTokens()}, {"jwks_uri", spec.GetJwksUri() != ""}, {"key_set", spec.GetKeySet() != ""},
		{"claims", spec.GetClaims() != nil}, {"max_stale", spec.GetMaxStale() != nil}, {"truststore", spec.GetTruststore() != ""}, {"token_endpoint", spec.GetTokenEndpoint() != ""},
		{"introspection", spec.GetIntrospection() != nil}, {"client", spec.GetClient() != nil},
	} {
		if other.given {
			b.fail(d, "spec."+other.field, "has no place beside `mint`: the issuer is ourselves")
		}
	}
	if len(p.Mint.Keys) > 0 && written.GetRotateEvery() != nil {
		b.fail(d, "spec.mint.rotate_every", "is of keys that are generated, and `keys` are given")
	}
	if len(p.Issuers) > 1 {
		b.fail(d, "spec.issuers[1]", "an issuer of our own has one name")
	}
	if len(written.GetGrants()) > 0 && p.Mint.Class != sallyportv1.TokenClass_TOKEN_CLASS_PARTNER {
		b.fail(d, "spec.mint.grants", "belong to tokens of class `partner`: nobody asks for those of class `hop`")
	}
}

// grants gives an issuer of our own its grants, once consumers and roles are known.
func (b *builder) grants(d *document.Document, m *sallyportv1.Provider) {
	p := b.model.providers[d.Name]
	if p.Mint == nil {
		return
	}
	for i, g := range m.GetSpec().GetMint().GetGrants() {
		at := fmt.Sprintf("spec.mint.grants[%d]", i)
		if (g.GetConsumers() == nil) == (g.GetConsumerRoles() == nil) {
			b.fail(d, at, "give exactly one of `consumers` and `consumer_roles`")
		}
		for _, scope := range g.GetScopes() {
			p.Scopes[scope] = true // what we grant ourselves we believe
		}
		p.Mint.Grants = append(p.Mint.Grants, &TokenGrant{
			Origin: origin(d, at), Audiences: g.GetAudiences(), Scopes: g.GetScopes(),
			Consumers: lookupAll(b, b.model.consumers, d, at+".consumers.names", "Consumer", g.GetConsumers().GetNames()),
			Roles:     lookupAll(b, b.model.roles, d, at+".consumer_roles.names", "Role", g.GetConsumerRoles().GetNames()),
		})
	}
}

// reservedParameters are those of a request to a provider that carry a secret, or decide what is asked for.
var reservedParameters = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type", "scope", "audience", "resource", "assertion",
	"requested_token_use", "requested_token_type", "subject_token", "subject_token_type", "actor_token", "actor_token_type", "token", "token_type_hint",
}

// ReservedParameters are those of a request to a provider that the program sets itself, and no configuration.
func ReservedParameters() []string { return slices.Clone(reservedParameters) }

func (b *builder) parameters(d *document.Document, at string, parameters map[string]string) map[string]string {
	for name := range parameters {
		if slices.Contains(reservedParameters, name) {
			b.fail(d, fmt.Sprintf("%s[%q]", at, name), "is set by us: say it by the fields that there are")
		}
	}
	return parameters
}

func (b *builder) providerClient(d *document.Document, m *sallyportv1.ProviderClient) *ProviderClient {
	if m == nil {
		return nil
	}
	c := &ProviderClient{
		ID: m.GetId(), Authentication: m.GetAuthentication(), Secret: m.GetSecret(), PrivateKey: m.GetPrivateKey(), KeyID: m.GetKeyId(),
		Parameters: b.parameters(d, "spec.client.parameters", m.GetParameters()),
	}
	needed := map[sallyportv1.ClientAuthentication]string{
		sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC: "secret",
		sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST:  "secret",
		sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT:     "private_key",
		sallyportv1.ClientAuthentication_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH:     "certificate",
	}[c.Authentication]
	for _, field := range []struct{ name, value string }{{"secret", c.Secret}, {"private_key", c.PrivateKey}, {"certificate", m.GetCertificate()}} {
		switch {
		case field.name == needed && field.value == "":
			b.fail(d, "spec.client."+field.name, "is missing: the authentication of the client needs it")
		case field.name != needed && field.value != "":
			b.fail(d, "spec.client."+field.name, "is of no use to the authentication of the client, which needs `%s`", needed)
		}
	}
	if c.KeyID != "" && needed != "private_key" {
		b.fail(d, "spec.client.key_id", "is of no use to the authentication of the client, which signs nothing")
	}
	if c.Secret != "" {
		b.reference(d, "spec.client.secret", c.Secret, ofPrivateKey)
	}
	if c.PrivateKey != "" {
		b.reference(d, "spec.client.private_key", c.PrivateKey, ofPrivateKey)
	}
	if name := m.GetCertificate(); name != "" {
		c.Certificate, _ = lookup(b, b.model.certificates, d, "spec.client.certificate", "Certificate", name)
	}
	return c
}

func (b *builder) revokedTokens(d *document.Document, written []*sallyportv1.RevokedToken) []RevokedToken {
	revoked := make([]RevokedToken, 0, len(written))
	for i, r := range written {
		at := fmt.Sprintf("spec.revoked[%d]", i)
		if problem := revokedTokenProblem(r); problem != "" {
			b.fail(d, at, "%s", problem)
		}
		revoked = append(revoked, RevokedToken{
			ID: r.GetJti(), Session: r.GetSid(), Subject: r.GetSubject(), IssuedBefore: timeOf(r.GetIssuedBefore()), Origin: origin(d, at),
		})
	}
	return revoked
}

// revokedTokenProblem says what is wrong with an entry; empty for a good one.
func revokedTokenProblem(r *sallyportv1.RevokedToken) string {
	given := 0
	for _, criterion := range []string{r.GetJti(), r.GetSid(), r.GetSubject()} {
		if criterion != "" {
			given++
		}
	}
	switch {
	case given != 1:
		return "give exactly one of `jti`, `sid` and `subject`"
	case r.GetIssuedBefore() != nil && r.GetSubject() == "":
		return "`issued_before` goes with `subject`"
	}
	return ""
}

// providersDistinct wants each issuer of our own to be nobody else, in name and in keys: a token of one class must never be taken for
// one of another.
func (b *builder) providersDistinct() {
	issuers, keys := map[string]*Provider{}, map[string]*Provider{}
	for _, p := range b.model.Providers() {
		d := b.documents["Provider"][p.Name]
		for i, issuer := range p.Issuers {
			if other := issuers[issuer]; other != nil && (other.Mint != nil || p.Mint != nil) {
				b.fail(d, fmt.Sprintf("spec.issuers[%d]", i), "is an issuer of the Provider %q (%s) as well, and one of the two makes tokens of our own", other.Name, other.Origin)
			}
			issuers[issuer] = p
		}
		if p.Mint == nil {
			continue
		}
		for i, key := range p.Mint.Keys {
			if other := keys[key]; other != nil && other != p {
				b.fail(d, fmt.Sprintf("spec.mint.keys[%d]", i), "signs for the Provider %q (%s) as well: classes of tokens differ in their keys", other.Name, other.Origin)
			}
			keys[key] = p
		}
	}
}

func providerClaims(m *sallyportv1.ProviderClaims) ProviderClaims {
	or := func(written string, usual ...ClaimName) []ClaimName {
		if written != "" {
			return []ClaimName{ClaimName(written)}
		}
		return usual
	}
	return ProviderClaims{
		Subject: or(m.GetSubject(), "sub"), Roles: or(m.GetRoles(), "roles"),
		Scopes: or(m.GetScopes(), "scope", "scp"), ClientID: or(m.GetClientId(), "client_id", "azp"),
	}
}

func durationOr(written *durationpb.Duration, usual time.Duration) time.Duration {
	if written == nil {
		return usual
	}
	return written.AsDuration()
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}
