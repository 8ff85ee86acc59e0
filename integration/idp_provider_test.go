package integration

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is judged elsewhere by this provider's tokens rests on it: they are checked here without any code of ours.
func TestTheIdentityProviderIssuesWhatTestsNeed(t *testing.T) {
	begin := time.Now()
	p := startIDP(t)
	t.Logf("started in %v", time.Since(begin).Round(time.Millisecond))

	for _, test := range []struct {
		name string
		run  func(*testing.T, *idp)
	}{
		{"its metadata name its endpoints under its issuer", metadataAreTheIssuers},
		{"client credentials, signed by either algorithm, for the API that was asked for", clientCredentialsNameTheAPI},
		{"every way of a client to authenticate", clientsAuthenticate},
		{"a sign-in with PKCE", usersSignIn},
		{"token exchange", tokensAreExchanged},
		{"on behalf of a user", clientsActOnBehalf},
		{"a user who must step up", usersStepUp},
		{"introspection and revocation of opaque tokens", opaqueTokensAreIntrospected},
		{"keys are rotated, announced and withdrawn", keysRotate},
		{"tokens made to order", tokensAreMadeToOrder},
		{"a wrong clock, short lives and another secret", settingsChange},
		{"a restart keeps keys and issuer", restartsKeepKeys},
		{"every fault, and each heals", faultsHeal},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, p) })
	}
}

func metadataAreTheIssuers(t *testing.T, p *idp) {
	var metadata map[string]any
	p.get(t, "/.well-known/openid-configuration", &metadata)
	for name, want := range map[string]string{
		"issuer": "", "jwks_uri": "/jwks", "token_endpoint": "/token", "introspection_endpoint": "/token/introspection",
		"authorization_endpoint": "/auth",
	} {
		if metadata[name] != p.Issuer+want {
			t.Errorf("%s is %v", name, metadata[name])
		}
	}
	if !strings.HasPrefix(p.Issuer, "https://127.0.0.1:") {
		t.Errorf("the issuer is %s", p.Issuer)
	}
}

func clientCredentialsNameTheAPI(t *testing.T, p *idp) {
	for api, algorithm := range map[string]string{"https://api.example.org": "RS256", "https://api.example.org/es256": "ES256"} {
		answer := p.askToken(t, url.Values{"grant_type": {clientCredentials}, "scope": {"read"}, "resource": {api}})
		header, claims := p.verify(t, answer.AccessToken)
		want := map[string]any{"iss": p.Issuer, "aud": api, "sub": "edge", "client_id": "edge", "scope": "read", "roles": []any{"service"}}
		if diff := cmp.Diff(want, only(claims, want)); diff != "" || header["alg"] != algorithm || header["typ"] != "at+jwt" {
			t.Errorf("header %v, claims (-want +got):\n%s", header, diff)
		}
		if answer.ExpiresIn != 300 || answer.TokenType != "Bearer" {
			t.Errorf("answered %+v", answer)
		}
	}
	if answer := p.askToken(t, url.Values{"grant_type": {clientCredentials}, "resource": {"https://unknown.example.org"}}); answer.Error != "invalid_target" {
		t.Errorf("an unknown API: %+v", answer)
	}
}

func clientsAuthenticate(t *testing.T, p *idp) {
	form := func(client, name, value string) url.Values {
		return url.Values{"grant_type": {clientCredentials}, "client_id": {client}, name: {value}}
	}
	assertion := form("edge-key", "client_assertion", p.clientAssertion(t))
	assertion.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
	for _, test := range []struct {
		name string
		form url.Values
		want int
	}{
		{"a secret in the header", url.Values{"grant_type": {clientCredentials}}, http.StatusOK},
		{"a secret in the form", form("edge-post", "client_secret", p.Secret), http.StatusOK},
		{"a wrong secret", form("edge-post", "client_secret", "wrong"), http.StatusUnauthorized},
		{"an assertion", assertion, http.StatusOK},
		{"the same assertion again", assertion, http.StatusUnauthorized},
		{"a certificate", form("edge-certificate", "scope", "read"), http.StatusOK},
		{"no certificate", form("edge-key", "scope", "read"), http.StatusUnauthorized},
	} {
		if answer := p.askToken(t, test.form); answer.Status != test.want {
			t.Errorf("%s: %+v", test.name, answer)
		}
	}
}

func usersSignIn(t *testing.T, p *idp) {
	answer := p.SignIn(t, "clerk", "https://api.example.org")
	_, claims := p.verify(t, answer.AccessToken)
	want := map[string]any{"sub": "clerk", "aud": "https://api.example.org", "client_id": "app", "scope": "read write", "roles": []any{"reader", "writer"}}
	if diff := cmp.Diff(want, only(claims, want)); diff != "" {
		t.Errorf("access token (-want +got):\n%s", diff)
	}
	_, claims = p.verify(t, answer.IDToken)
	if claims["sub"] != "clerk" || claims["aud"] != "app" || claims["nonce"] == nil {
		t.Errorf("ID token %v", claims)
	}
	_, claims = p.verify(t, p.SignIn(t, "visitor", "https://api.example.org").AccessToken)
	if diff := cmp.Diff([]any{}, claims["roles"]); diff != "" {
		t.Errorf("a visitor's roles (-want +got):\n%s", diff)
	}
}

func tokensAreExchanged(t *testing.T, p *idp) {
	form := url.Values{
		"grant_type": {tokenExchange}, "audience": {"nsp"}, "scope": {"read"},
		"subject_token_type": {"urn:ietf:params:oauth:token-type:access_token"},
	}
	form.Set("subject_token", p.Token(t, tokenOrder{}))
	answer := p.askToken(t, form)
	_, claims := p.verify(t, answer.AccessToken)
	want := map[string]any{"sub": "clerk", "aud": "nsp", "scope": "read", "act": map[string]any{"sub": "edge"}, "roles": []any{"reader", "writer"}}
	if diff := cmp.Diff(want, only(claims, want)); diff != "" || answer.IssuedTokenType != "urn:ietf:params:oauth:token-type:access_token" {
		t.Errorf("%+v (-want +got):\n%s", answer, diff)
	}
	// A second exchange keeps the first actor (RFC 8693, section 4.1).
	form.Set("subject_token", answer.AccessToken)
	_, claims = p.verify(t, p.askToken(t, form).AccessToken)
	if diff := cmp.Diff(map[string]any{"sub": "edge", "act": map[string]any{"sub": "edge"}}, claims["act"]); diff != "" {
		t.Errorf("actors (-want +got):\n%s", diff)
	}
	for name, order := range map[string]tokenOrder{
		"expired": {Lifetime: -60}, "of a stranger's key": {Key: "stranger"}, "of another issuer": {Claims: map[string]any{"iss": "https://example.org"}},
	} {
		form.Set("subject_token", p.Token(t, order))
		if answer := p.askToken(t, form); answer.Error != "invalid_request" {
			t.Errorf("a subject token that is %s: %+v", name, answer)
		}
	}
	form.Set("subject_token", p.Token(t, tokenOrder{}))
	form.Set("audience", "unknown")
	if answer := p.askToken(t, form); answer.Error != "invalid_target" {
		t.Errorf("an unknown audience: %+v", answer)
	}
	if got := len(p.Grants(tokenExchange)); got != 6 {
		t.Errorf("counted %d exchanges", got)
	}
}

func clientsActOnBehalf(t *testing.T, p *idp) {
	form := url.Values{
		"grant_type": {jwtBearer}, "requested_token_use": {"on_behalf_of"}, "scope": {"https://second.example.org/.default"},
		"assertion": {p.Token(t, tokenOrder{})},
	}
	_, claims := p.verify(t, p.askToken(t, form).AccessToken)
	want := map[string]any{"sub": "clerk", "aud": "https://second.example.org", "act": map[string]any{"sub": "edge"}}
	if diff := cmp.Diff(want, only(claims, want)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	form.Set("assertion", p.Token(t, tokenOrder{Lifetime: -60}))
	if answer := p.askToken(t, form); answer.Error != "invalid_grant" {
		t.Errorf("an expired assertion: %+v", answer)
	}
}

func usersStepUp(t *testing.T, p *idp) {
	order := tokenOrder{Claims: map[string]any{"sub": "stepup"}}
	form := url.Values{"grant_type": {jwtBearer}, "requested_token_use": {"on_behalf_of"}, "assertion": {p.Token(t, order)}}
	answer := p.askToken(t, form)
	if answer.Status != http.StatusBadRequest || answer.Error != "interaction_required" || !json.Valid([]byte(answer.Claims)) {
		t.Errorf("answered %+v", answer)
	}
	order.Claims["acrs"] = "c1"
	form.Set("assertion", p.Token(t, order))
	if answer := p.askToken(t, form); answer.Status != http.StatusOK {
		t.Errorf("one who has stepped up: %+v", answer)
	}
}

func opaqueTokensAreIntrospected(t *testing.T, p *idp) {
	token := p.SignIn(t, "clerk", "https://api.example.org/opaque").AccessToken
	if strings.Contains(token, ".") {
		t.Fatal("the token is not opaque")
	}
	introspect := func() (claims map[string]any) {
		p.ask(t, idpIntrospection, url.Values{"token": {token}}, &claims)
		return claims
	}
	want := map[string]any{"active": true, "iss": p.Issuer, "sub": "clerk", "aud": "https://api.example.org/opaque", "client_id": "app", "scope": "read write"}
	if diff := cmp.Diff(want, only(introspect(), want)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	p.revoke(t, token)
	if diff := cmp.Diff(map[string]any{"active": false}, introspect()); diff != "" {
		t.Errorf("when revoked (-want +got):\n%s", diff)
	}
}

func keysRotate(t *testing.T, p *idp) {
	for _, algorithm := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		first := p.Rotate(t, algorithm)
		second := p.Rotate(t, algorithm)
		announced := p.Announce(t, algorithm)
		if header, _ := p.open(t, p.Token(t, tokenOrder{Algorithm: algorithm})); header["kid"] != second {
			t.Errorf("%s: %v signs, not the newest, %s", algorithm, header["kid"], second)
		}
		p.Withdraw(t, second)
		p.Withdraw(t, first)
		published := p.keySet(t)
		if published[first] != nil || published[second] != nil || published[announced] == nil {
			t.Errorf("%s: %d keys are published, the withdrawn among them or not the announced", algorithm, len(published))
		}
		header, _ := p.open(t, p.Token(t, tokenOrder{Algorithm: algorithm, Key: first}))
		if header["kid"] != first {
			t.Errorf("%s: the withdrawn key does not sign any more", algorithm)
		}
		for kid, key := range published {
			if key["d"] != "" {
				t.Fatalf("the private key of %s is published", kid)
			}
		}
	}
	p.verify(t, p.askToken(t, url.Values{"grant_type": {clientCredentials}}).AccessToken)
}

func tokensAreMadeToOrder(t *testing.T, p *idp) {
	token := p.Token(t, tokenOrder{
		Algorithm: "ES256", Lifetime: -30, Header: map[string]any{"typ": nil, "crit": []string{"x"}},
		Claims: map[string]any{"sub": nil, "aud": []string{"one", "two"}},
	})
	header, claims := p.verify(t, token)
	if _, typed := header["typ"]; typed || header["crit"] == nil {
		t.Errorf("header %v", header)
	}
	if _, named := claims["sub"]; named || len(claims["aud"].([]any)) != 2 || number(claims["exp"])-number(claims["iat"]) != -30 {
		t.Errorf("claims %v", claims)
	}
	if header, claims := p.verify(t, p.Token(t, tokenOrder{IDToken: true})); header["typ"] != "JWT" || claims["nonce"] == nil || claims["at_hash"] == nil {
		t.Errorf("an ID token has header %v, claims %v", header, claims)
	}
	if header, _ := p.open(t, p.Token(t, tokenOrder{Key: "stranger"})); p.keySet(t)[header["kid"].(string)] != nil {
		t.Error("the stranger's key is published")
	}
	if token := p.Token(t, tokenOrder{Algorithm: "none"}); !strings.HasSuffix(token, ".") {
		t.Error("a token without algorithm has a signature")
	}
	if header, _ := p.open(t, p.Token(t, tokenOrder{Algorithm: "HS256"})); header["alg"] != "HS256" {
		t.Errorf("header %v", header)
	}
}

func settingsChange(t *testing.T, p *idp) {
	p.SetClock(t, 5*time.Minute)
	p.SetLifetime(t, 10*time.Second)
	answer := p.askToken(t, url.Values{"grant_type": {clientCredentials}})
	_, claims := p.verify(t, answer.AccessToken)
	ahead := time.Until(time.Unix(number(claims["iat"]), 0))
	if answer.ExpiresIn != 10 || ahead < 4*time.Minute || ahead > 5*time.Minute || claims["nbf"] != claims["iat"] || number(claims["exp"])-number(claims["iat"]) != 10 {
		t.Errorf("answered %+v, claims %v", answer, claims)
	}
	p.SetClock(t, 0)
	p.SetLifetime(t, 5*time.Minute)

	old := p.Secret
	p.SetSecret(t, "another")
	form := url.Values{"grant_type": {clientCredentials}, "client_id": {"edge-post"}}
	for secret, want := range map[string]int{old: http.StatusUnauthorized, "another": http.StatusOK} {
		form.Set("client_secret", secret)
		if answer := p.askToken(t, form); answer.Status != want {
			t.Errorf("%q: %+v", secret, answer)
		}
	}
}

func restartsKeepKeys(t *testing.T, p *idp) {
	before := p.keySet(t)
	p.Stop(t)
	if response, err := p.client(t).Get(p.Issuer + "/jwks"); err == nil {
		_ = response.Body.Close()
		t.Errorf("answered %s while it was down", response.Status)
	}
	begin := time.Now()
	p.Start(t)
	t.Logf("started again in %v", time.Since(begin).Round(time.Millisecond))
	if diff := cmp.Diff(before, p.keySet(t)); diff != "" {
		t.Errorf("keys (-before +after):\n%s", diff)
	}
	if answer := p.askToken(t, url.Values{"grant_type": {clientCredentials}}); answer.Status != http.StatusOK {
		t.Errorf("answered %+v", answer)
	}
}

func faultsHeal(t *testing.T, p *idp) {
	p.ResetCounts()
	client := p.client(t)
	read := func() (status int, body []byte, err error) {
		defer client.CloseIdleConnections() // over one that was used before, a GET without an answer is sent again
		response, err := client.Get(p.Issuer + "/jwks")
		if err != nil {
			return 0, nil, err
		}
		defer func() { _ = response.Body.Close() }()
		body, err = io.ReadAll(response.Body)
		return response.StatusCode, body, err
	}
	for _, test := range []struct {
		name  string
		fault idpFault
		shows func(status int, body []byte, err error) bool
	}{
		{"down", idpDown, func(_ int, _ []byte, err error) bool { return err != nil }},
		{"broken", idpBroken, func(status int, _ []byte, _ error) bool { return status == http.StatusInternalServerError }},
		{"garbage", idpGarbage, func(status int, body []byte, _ error) bool { return status == http.StatusOK && !json.Valid(body) }},
		{"elsewhere", idpElsewhere, func(status int, _ []byte, _ error) bool { return status == http.StatusTemporaryRedirect }},
		{"huge", idpHuge, func(_ int, body []byte, _ error) bool { return len(body) > 50<<20 && json.Valid(body) }},
		{"slow", idpSlow(20 * time.Millisecond), func(status int, body []byte, _ error) bool { return status == http.StatusOK && json.Valid(body) }},
	} {
		p.Fault(test.fault, idpKeySet)
		if status, body, err := read(); !test.shows(status, body, err) {
			t.Errorf("%s: answered %d, %d bytes, %v", test.name, status, len(body), err)
		}
		if answer := p.askToken(t, url.Values{"grant_type": {clientCredentials}}); answer.Status != http.StatusOK {
			t.Errorf("%s: another endpoint answered %+v", test.name, answer)
		}
		p.Heal()
		if status, body, err := read(); status != http.StatusOK || !json.Valid(body) || err != nil {
			t.Errorf("%s: healed, it answered %d, %v", test.name, status, err)
		}
	}

	p.Fault(idpElsewhere)
	client.CheckRedirect = nil // it follows
	if status, _, err := read(); status != http.StatusOK || err != nil || p.Strays() != 1 {
		t.Errorf("who follows a redirect is answered %d, %v, and %d strays are counted", status, err, p.Strays())
	}

	p.Fault(idpStuck)
	ended := make(chan error, 1)
	go func() {
		_, _, err := read()
		ended <- err
	}()
	eventually(t, "the request is held", func() bool { return p.Count(idpKeySet) == 14 })
	p.Heal()
	if err := <-ended; err == nil {
		t.Error("a request that was stuck was answered")
	}
	if p.Count(idpToken) != 6 || len(p.Grants(clientCredentials)) != 6 {
		t.Errorf("counted %d token requests, %d of them for client credentials", p.Count(idpToken), len(p.Grants(clientCredentials)))
	}
}

// only is a map without what nobody asked for.
func only(claims, wanted map[string]any) map[string]any {
	some := make(map[string]any)
	for name := range wanted {
		some[name] = claims[name]
	}
	return some
}

// number is a JSON number, or -1.
func number(claim any) int64 {
	if f, ok := claim.(float64); ok {
		return int64(f)
	}
	return -1
}
