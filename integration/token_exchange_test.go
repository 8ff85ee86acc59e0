package integration

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestTokensAreExchangedAndAcquired goes through the ways in which an upstream's token is got from an identity provider that nobody
// here wrote, and those in which the edge authenticates there.
func TestTokensAreExchangedAndAcquired(t *testing.T) {
	e := newTokenEstate(t)
	for name, client := range map[string]string{
		"post":        `{id: edge-post, authentication: client_secret_post, secret: "file:../secret/idp"}`,
		"key":         fmt.Sprintf(`{id: edge-key, authentication: private_key_jwt, private_key: "file:%s", key_id: edge-key-1}`, e.idp.ClientKey),
		"certificate": "{id: edge-certificate, authentication: tls_client_auth, certificate: client}",
	} {
		e.provider(name, "client: "+client)
	}
	e.document("Certificate", "client", fmt.Sprintf(`{material: {certificate: "file:%s", private_key: "file:%s"}}`, e.idp.ClientCertificate.Certificate, e.idp.ClientCertificate.PrivateKey))
	e.provider("opaque", "audiences: ["+audience+"/opaque]\n  introspection: {cache: 1s}")
	e.provider("elliptic", "audiences: ["+audience+"/es256]\n  algorithms: [ES256]")
	e.policy("opaque", "{jwt: {providers: [opaque]}}", "{name: readers, scopes: [read]}")
	e.policy("elliptic", "{jwt: {providers: [elliptic]}}", "{name: all, everyone: true}")

	e.upstream("api", e.apiAddress(), "{user: {pass: true}}")
	for name, token := range map[string]string{
		"exchanged": `{user: {exchange: {provider: corporate, audience: "` + secondAPI + `", scopes: [read]}}}`,
		"acting":    `{user: {exchange: {provider: corporate, audience: "` + secondAPI + `", actor: true}}}`,
		"unknown":   `{user: {exchange: {provider: corporate, audience: "https://unknown.example.org"}}}`,
		"behalf":    `{user: {exchange: {provider: corporate, grant: on_behalf_of, scopes: ["` + secondAPI + `/.default"], parameters: {x-more: more}}}}`,
		"basic":     `{anonymous: {acquire: {provider: corporate, resource: "` + firstAPI + `", scopes: [read]}}}`,
		"fast":      `{anonymous: {acquire: {provider: corporate, resource: "` + audience + `/es256"}}}`,
		"post":      `{anonymous: {acquire: {provider: post, resource: "` + firstAPI + `"}}}`,
		"key":       `{anonymous: {acquire: {provider: key, resource: "` + firstAPI + `"}}}`,
		"cert":      `{anonymous: {acquire: {provider: certificate, resource: "` + firstAPI + `"}}}`,
	} {
		e.upstream(name, e.apiAddress(), token)
	}
	e.route("edge", "api", rule("users", "api", "users"), rule("exchanged", "exchanged", "users"), rule("acting", "acting", "users"), rule("unknown", "unknown", "users"),
		rule("behalf", "behalf", "users"), rule("basic", "basic", "nobody"), rule("post", "post", "nobody"), rule("key", "key", "nobody"), rule("cert", "cert", "nobody"),
		rule("fast", "fast", "nobody"), rule("opaque", "api", "opaque"), rule("elliptic", "api", "elliptic"))
	e.serve()
	e.ready(t, calling{path: "/users/a", token: e.idp.Token(t, tokenOrder{})}, http.StatusOK)

	for _, test := range []struct {
		name string
		run  func(*testing.T, *tokenEstate)
	}{
		{"exchange", exchangesToken},
		{"on behalf of a user", onBehalfOfUser},
		{"a user who must step up", stepsUp},
		{"an exchange that is refused", refusesExchange},
		{"every way of a client to authenticate", clientsAcquire},
		{"ES256", ellipticTokens},
		{"opaque tokens", opaqueTokens},
		{"a secret is rotated", secretsRotate},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, e) })
	}
}

// exchangesToken wants the second API to see the user as subject and the edge as actor (RFC 8693).
func exchangesToken(t *testing.T, e *tokenEstate) {
	signedIn := e.idp.SignIn(t, "clerk", audience).AccessToken
	for _, path := range []string{"/exchanged/a", "/acting/a"} {
		e.idp.ResetCounts()
		arrived := e.passes(t, calling{path: path, token: signedIn})
		_, claims := e.idp.verify(t, bearerOf(arrived))
		sets(t, claims, map[string]any{
			"iss": e.idp.Issuer, "sub": "clerk", "aud": secondAPI, "act": map[string]any{"sub": "edge"}, "roles": []any{"reader", "writer"},
		})
		forms := e.idp.Grants(tokenExchange)
		if len(forms) != 1 {
			t.Fatalf("%s: %d exchanges were made", path, len(forms))
		}
		form := forms[0]
		if form.Get("subject_token") != signedIn || form.Get("audience") != secondAPI || form.Get("actor_token") != "" != (path == "/acting/a") {
			t.Errorf("%s: exchanged with %v", path, names(form))
		}
		// The same user's again is held; another's is another's.
		if again := e.passes(t, calling{path: path, token: signedIn}); bearerOf(again) != bearerOf(arrived) {
			t.Errorf("%s: another token arrived for the same one", path)
		}
		other := e.idp.Token(t, tokenOrder{Claims: map[string]any{"sub": "visitor"}})
		sets(t, e.claims(t, e.passes(t, calling{path: path, token: other})), map[string]any{"sub": "visitor", "aud": secondAPI})
		if got := len(e.idp.Grants(tokenExchange)); got != 2 {
			t.Errorf("%s: %d exchanges were made for two users", path, got)
		}
		e.refused(t, calling{path: path}, http.StatusUnauthorized, "token_missing")
		e.refused(t, calling{path: path, token: e.idp.Token(t, tokenOrder{Lifetime: -60})}, http.StatusUnauthorized, "token_expired")
	}
}

// names are the parameters of a form, whose values are secrets.
func names(form url.Values) (found []string) {
	for name := range form {
		found = append(found, name)
	}
	return found
}

func onBehalfOfUser(t *testing.T, e *tokenEstate) {
	signedIn := e.idp.SignIn(t, "clerk", audience).AccessToken
	e.idp.ResetCounts()
	_, claims := e.idp.verify(t, bearerOf(e.passes(t, calling{path: "/behalf/a", token: signedIn})))
	sets(t, claims, map[string]any{"sub": "clerk", "aud": secondAPI, "act": map[string]any{"sub": "edge"}})
	forms := e.idp.Grants(jwtBearer)
	if len(forms) != 1 || forms[0].Get("assertion") != signedIn || forms[0].Get("requested_token_use") != "on_behalf_of" || forms[0].Get("x-more") != "more" {
		t.Errorf("%d requests were made, %v", len(forms), forms)
	}
}

// stepsUp wants the challenge of the next API's issuer to reach the user's application.
func stepsUp(t *testing.T, e *tokenEstate) {
	claims := map[string]any{"sub": "stepup"}
	answer := e.refused(t, calling{path: "/behalf/a", token: e.idp.Token(t, tokenOrder{Claims: claims})}, http.StatusUnauthorized, "step_up_required")
	challenge := answer.header.Get("Www-Authenticate")
	found := regexp.MustCompile(`error="insufficient_claims".*claims="([^"]+)"`).FindStringSubmatch(challenge)
	if found == nil {
		t.Fatalf("the challenge is %s", challenge)
	}
	if asked, err := base64.StdEncoding.DecodeString(found[1]); err != nil || !strings.Contains(string(asked), `"acrs"`) {
		t.Errorf("the challenge asks for %s: %v", asked, err)
	}
	claims["acrs"] = "c1"
	e.passes(t, calling{path: "/behalf/a", token: e.idp.Token(t, tokenOrder{Claims: claims})})
}

func refusesExchange(t *testing.T, e *tokenEstate) {
	token := e.idp.Token(t, tokenOrder{})
	e.idp.ResetCounts()
	for range 3 {
		e.refused(t, calling{path: "/unknown/a", token: token}, http.StatusForbidden, "exchange_refused")
	}
	if got := len(e.idp.Grants(tokenExchange)); got != 1 {
		t.Errorf("%d exchanges were tried, want 1: a refusal is remembered for a while", got)
	}
	e.passes(t, calling{path: "/exchanged/a", token: token})
}

func clientsAcquire(t *testing.T, e *tokenEstate) {
	for path, client := range map[string]string{"/basic/a": "edge", "/post/a": "edge-post", "/key/a": "edge-key", "/cert/a": "edge-certificate"} {
		_, claims := e.idp.verify(t, bearerOf(e.passes(t, calling{path: path})))
		sets(t, claims, map[string]any{"client_id": client, "aud": firstAPI, "sub": client})
	}
}

func ellipticTokens(t *testing.T, e *tokenEstate) {
	header, claims := e.idp.verify(t, bearerOf(e.passes(t, calling{path: "/fast/a"})))
	if header["alg"] != "ES256" || claims["aud"] != audience+"/es256" {
		t.Errorf("acquired a token with header %v and claims %v", header, claims)
	}
	signedIn := e.idp.SignIn(t, "clerk", audience+"/es256").AccessToken
	e.passes(t, calling{path: "/elliptic/a", token: signedIn})
	aud := map[string]any{"aud": audience + "/es256"}
	e.refused(t, calling{path: "/elliptic/a", token: e.idp.Token(t, tokenOrder{Claims: aud})}, http.StatusUnauthorized, "token_signature")
	e.refused(t, calling{path: "/users/a", token: signedIn}, http.StatusUnauthorized, "token_audience")
}

// opaqueTokens are asked about (RFC 7662), not too often, and no longer than the provider stands by them.
func opaqueTokens(t *testing.T, e *tokenEstate) {
	api := audience + "/opaque"
	token := e.idp.SignIn(t, "clerk", api).AccessToken
	e.idp.ResetCounts()
	user := calling{path: "/opaque/a", token: token}
	begin := time.Now()
	for range 5 {
		if arrived := e.passes(t, user); bearerOf(arrived) != token {
			t.Errorf("another token arrived: %v", arrived.header)
		}
	}
	if got, most := e.idp.Count(idpIntrospection), 1+int(time.Since(begin)/time.Second); got < 1 || got > most {
		t.Errorf("5 requests took %d questions, want %d at most", got, most)
	}
	for name, bad := range map[string]string{"that nobody has issued": "abcdefghijklmnopqrstuvwxyz", "cut short": token[:len(token)-1], "with more behind it": token + "x"} {
		if answer := e.refused(t, calling{path: "/opaque/a", token: bad}, http.StatusUnauthorized, "token_inactive"); t.Failed() {
			t.Logf("a token %s: %v", name, answer)
		}
	}
	e.refused(t, calling{path: "/users/a", token: token}, http.StatusUnauthorized, "token_malformed")
	e.passes(t, user)

	e.idp.revoke(t, token)
	answer := e.ready(t, user, http.StatusUnauthorized)
	if answer.reason != "token_inactive" {
		t.Errorf("a revoked token is answered %v", answer)
	}
	e.refused(t, user, http.StatusUnauthorized, "token_inactive")
	user.token = e.idp.SignIn(t, "clerk", api).AccessToken
	e.passes(t, user)
	// While nobody can be asked, nobody passes whose answer is not fresh.
	e.idp.Fault(idpDown, idpIntrospection)
	defer e.idp.Heal()
	e.ready(t, user, http.StatusServiceUnavailable)
	e.refused(t, user, http.StatusServiceUnavailable, "")
	e.passes(t, calling{path: "/users/a", token: e.idp.Token(t, tokenOrder{})})
	e.idp.Heal()
	e.ready(t, user, http.StatusOK)
}

// secretsRotate: the provider has another secret at once, and the edge's is a file that is rewritten. Nothing is restarted.
func secretsRotate(t *testing.T, e *tokenEstate) {
	user := func() calling { return calling{path: "/exchanged/a", token: e.idp.Token(t, tokenOrder{})} }
	held := user()
	e.passes(t, held)
	e.idp.SetSecret(t, "the next secret")
	e.refused(t, user(), http.StatusServiceUnavailable, "")
	e.passes(t, held) // what it has been given serves on
	begin := time.Now()
	e.writeSecret("the next secret")
	eventually(t, "the new secret counts", func() bool {
		answer := e.send(t, user())
		return answer.status == http.StatusOK
	})
	t.Logf("the new secret counted after %v", time.Since(begin).Round(time.Millisecond))
	e.passes(t, user())
}
