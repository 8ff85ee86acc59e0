package devissuer

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// realm is the issuer of one Provider: what the library asks to answer its requests. It does not change; an edited
// configuration makes another.
type realm struct {
	op.UnimplementedServer
	issuer  Issuer
	key     *signingKey
	clock   func() time.Time
	server  *Server
	handler http.Handler
}

// endpoints are the paths below the issuer's URL.
var endpoints = op.Endpoints{
	Authorization: op.NewEndpoint("authorize"),
	Token:         op.NewEndpoint("token"),
	Introspection: op.NewEndpoint("introspect"),
	Userinfo:      op.NewEndpoint("userinfo"),
	EndSession:    op.NewEndpoint("logout"),
	JwksURI:       op.NewEndpoint("keys"),
}

// loginPath is where users are shown the login page.
const loginPath = "/login"

// grantTypes are what the token endpoint is for.
var grantTypes = []oidc.GrantType{
	oidc.GrantTypeCode, oidc.GrantTypeClientCredentials, oidc.GrantTypeTokenExchange, oidc.GrantTypeBearer,
}

func newRealm(server *Server, issuer Issuer, key *signingKey) *realm {
	r := &realm{issuer: issuer, key: key, clock: server.clock, server: server}
	// The library lets every origin read the answers, which for development is what is wanted.
	protocol := op.RegisterServer(r, endpoints, op.WithFallbackLogger(slogTo(server.logger)))
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+loginPath, r.showLogin)
	mux.HandleFunc("POST "+loginPath, r.logIn)
	mux.Handle("/", protocol)
	r.handler = mux
	return r
}

func (r *realm) url() string { return cmp.Or(r.issuer.URL, r.server.base()+"/"+r.issuer.Name) }

// discovery is the issuer's metadata (OpenID Connect Discovery, section 3; RFC 8414; RFC 9207).
type discovery struct {
	oidc.DiscoveryConfiguration
	IssuerInResponse bool `json:"authorization_response_iss_parameter_supported"`
}

// Health is part of op.Server.
func (r *realm) Health(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(op.Status{Status: "ok"}), nil
}

// Ready is part of op.Server.
func (r *realm) Ready(ctx context.Context, request *op.Request[struct{}]) (*op.Response, error) {
	return r.Health(ctx, request)
}

// Discovery is part of op.Server.
func (r *realm) Discovery(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	url := r.url()
	secrets := []oidc.AuthMethod{oidc.AuthMethodBasic, oidc.AuthMethodPost}
	return op.NewResponse(discovery{
		DiscoveryConfiguration: oidc.DiscoveryConfiguration{
			Issuer:                                    url,
			AuthorizationEndpoint:                     endpoints.Authorization.Absolute(url),
			TokenEndpoint:                             endpoints.Token.Absolute(url),
			IntrospectionEndpoint:                     endpoints.Introspection.Absolute(url),
			UserinfoEndpoint:                          endpoints.Userinfo.Absolute(url),
			EndSessionEndpoint:                        endpoints.EndSession.Absolute(url),
			JwksURI:                                   endpoints.JwksURI.Absolute(url),
			ScopesSupported:                           append([]string{oidc.ScopeOpenID}, r.issuer.Scopes...),
			ResponseTypesSupported:                    []string{string(oidc.ResponseTypeCode)},
			ResponseModesSupported:                    []string{string(oidc.ResponseModeQuery), string(oidc.ResponseModeFragment)},
			GrantTypesSupported:                       grantTypes,
			SubjectTypesSupported:                     []string{"public"},
			IDTokenSigningAlgValuesSupported:          []string{r.issuer.Algorithm},
			TokenEndpointAuthMethodsSupported:         append([]oidc.AuthMethod{oidc.AuthMethodNone}, secrets...),
			IntrospectionEndpointAuthMethodsSupported: secrets,
			CodeChallengeMethodsSupported:             []oidc.CodeChallengeMethod{oidc.CodeChallengeMethodS256},
		},
		IssuerInResponse: true,
	}), nil
}

// Keys is part of op.Server.
func (r *realm) Keys(context.Context, *op.Request[struct{}]) (*op.Response, error) {
	return op.NewResponse(r.key.set()), nil
}

// VerifyClient is part of op.Server.
func (r *realm) VerifyClient(_ context.Context, request *op.Request[op.ClientCredentials]) (op.Client, error) {
	c, err := r.issuer.authenticate(request.Data)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Introspect is part of op.Server. What it says of a token is its claims (RFC 7662, section 2.2); of one that is not good,
// that it is not.
func (r *realm) Introspect(_ context.Context, request *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	c, err := r.issuer.authenticate(request.Data.ClientCredentials)
	if err != nil {
		return nil, err
	}
	if c.public {
		return nil, op.NewStatusError(oidc.ErrInvalidClient().WithDescription("only a client with a secret may ask"), http.StatusUnauthorized)
	}
	claims, err := r.verify(request.Data.Token)
	if err != nil {
		return confidential(map[string]any{"active": false}), nil //nolint:nilerr // RFC 7662, section 2.2: and nothing else is said
	}
	claims["active"], claims["token_type"] = true, oidc.BearerToken
	return confidential(claims), nil
}

// UserInfo is part of op.Server.
func (r *realm) UserInfo(_ context.Context, request *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	claims, err := r.verify(request.Data.AccessToken)
	if err != nil {
		return nil, op.NewStatusError(oidc.ErrAccessDenied().WithDescription("the access token is not good: %v", err), http.StatusUnauthorized)
	}
	return confidential(map[string]any{"sub": claims["sub"], "name": claims["sub"]}), nil
}

// EndSession is part of op.Server. There is no session to end, as each sign-in asks; it leads back, where that is allowed.
func (r *realm) EndSession(_ context.Context, request *op.Request[oidc.EndSessionRequest]) (*op.Redirect, error) {
	back := request.Data.PostLogoutRedirectURI
	if back == "" {
		return op.NewRedirect(r.server.base() + "/"), nil
	}
	if !leadsBackHere(back) {
		return nil, oidc.ErrInvalidRequest().WithDescription("post_logout_redirect_uri: %s", redirectRule)
	}
	if state := request.Data.State; state != "" {
		return op.NewRedirect(withQuery(back, "state", state)), nil
	}
	return op.NewRedirect(back), nil
}

// confidential is an answer that nobody may keep (RFC 6749, section 5.1).
func confidential(data any) *op.Response {
	response := op.NewResponse(data)
	response.Header.Set("Cache-Control", "no-store")
	return response
}

// granted are the scopes of those that are held which a request names: all of them where it names none of the issuer's,
// which is the default that RFC 6749, section 3.3, lets a server have. A scope may have its audience in front
// (`api://vessels/read`), and `.default` stands for all.
func (r *realm) granted(held, asked []string) []string {
	var given []string
	named := false
	for _, scope := range asked {
		_, scope = splitScope(scope)
		if slices.Contains(r.issuer.Scopes, scope) {
			named = true
			if slices.Contains(held, scope) && !slices.Contains(given, scope) {
				given = append(given, scope)
			}
		}
	}
	if !named {
		return held
	}
	return given
}

// splitScope takes the audience off a scope that has one in front.
func splitScope(scope string) (audience, name string) {
	if !strings.Contains(scope, "://") {
		return "", scope
	}
	end := strings.LastIndexByte(scope, '/')
	if strings.HasSuffix(scope[:end+1], "://") {
		return "", scope
	}
	return scope[:end], scope[end+1:]
}
