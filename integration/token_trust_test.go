package integration

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"
	"time"
)

// boundTokens count on connections with the certificate that they name (RFC 8705, section 3).
func boundTokens(t *testing.T, e *tokenEstate, f *forge) {
	confirmed := func(name string) map[string]any {
		sum := sha256.Sum256(e.pair(name).Certificate[0])
		return map[string]any{"cnf": map[string]any{"x5t#S256": encodeURL(sum[:])}}
	}
	e.found("strangers")
	e.issue("strangers", "client", "stranger", "--common-name", "mapps")
	for _, issue := range []func(claims map[string]any) string{
		func(claims map[string]any) string { return e.idp.Token(t, tokenOrder{Claims: claims}) },
		func(claims map[string]any) string { return f.token(t, nil, claims) },
	} {
		token := issue(confirmed("mapps"))
		for name, as := range map[string]string{"without a certificate": "", "with another": "nsp", "with a stranger's of the same name": "stranger"} {
			t.Run(name, func(t *testing.T) {
				for _, path := range []string{"/both/a", "/either/a"} {
					e.refused(t, calling{path: path, token: token, as: as}, http.StatusUnauthorized, "token_binding")
					e.passes(t, calling{path: path, token: token, as: "mapps"})
				}
			})
		}
		e.refused(t, calling{path: "/both/a", token: issue(confirmed("stranger")), as: "stranger"}, http.StatusUnauthorized, "token_binding")
		e.passes(t, calling{path: "/both/a", token: issue(confirmed("nsp")), as: "nsp"})
		// What is not bound counts with any certificate.
		e.passes(t, calling{path: "/both/a", token: issue(nil), as: "nsp"})
		e.refused(t, calling{path: "/both/a", token: issue(map[string]any{"cnf": map[string]any{"san_uri": "spiffe://example.org/edge"}}), as: "mapps"},
			http.StatusUnauthorized, "token_binding")
	}
	e.refused(t, calling{path: "/both/a", as: "mapps"}, http.StatusUnauthorized, "token_missing")
}

// confusedIssuers have keys, subjects and roles of the same names.
func confusedIssuers(t *testing.T, e *tokenEstate, f *forge) {
	roles := map[string]any{"roles": []string{"reader"}}
	e.passes(t, calling{path: "/readers/a", token: e.idp.Token(t, tokenOrder{Claims: roles})})
	e.refused(t, calling{path: "/readers/a", token: f.token(t, nil, roles)}, http.StatusForbidden, "token_role_missing")
	e.refused(t, calling{path: "/readers/a", token: e.idp.Token(t, tokenOrder{Claims: map[string]any{"roles": []string{"admin", "READER", "reader "}}})}, http.StatusForbidden, "token_role_missing")
	e.passes(t, calling{path: "/readers/a", token: e.idp.Token(t, tokenOrder{Claims: map[string]any{"roles": "reader"}})})

	// The policy of /corporate takes one issuer alone.
	e.refused(t, calling{path: "/corporate/a", token: f.token(t, nil, nil)}, http.StatusUnauthorized, "token_issuer")
	e.passes(t, calling{path: "/corporate/a", token: e.idp.Token(t, tokenOrder{})})
	// Either issuer's token under the other's name has the other's keys to pass, which have the same kid.
	e.refused(t, calling{path: "/both/a", token: f.token(t, nil, map[string]any{"iss": e.idp.Issuer})}, http.StatusUnauthorized, "")
	e.refused(t, calling{path: "/both/a", token: e.idp.Token(t, tokenOrder{Header: map[string]any{"kid": f.kid}, Claims: map[string]any{"iss": f.issuer}})}, http.StatusUnauthorized, "token_signature")
}

// rememberedTokens are judged again by what the memory of a good judgement cannot hold: the time, and whom the policy wants them for.
func rememberedTokens(t *testing.T, e *tokenEstate) {
	token := e.idp.Token(t, tokenOrder{Lifetime: 3})
	for range 2 {
		e.passes(t, calling{path: "/prompt/a", token: token})
		e.refused(t, calling{path: "/narrow/a", token: token}, http.StatusUnauthorized, "token_audience")
	}
	both := e.idp.Token(t, tokenOrder{Claims: map[string]any{"aud": []string{audience, firstAPI}}})
	e.passes(t, calling{path: "/prompt/a", token: both})
	e.passes(t, calling{path: "/narrow/a", token: both})
	if answer := e.ready(t, calling{path: "/prompt/a", token: token}, http.StatusUnauthorized); answer.reason != "token_expired" {
		t.Errorf("a token whose time is over is answered %v", answer)
	}
	e.refused(t, calling{path: "/prompt/a", token: token}, http.StatusUnauthorized, "token_expired")
	e.passes(t, calling{path: "/prompt/a", token: both})
}

// deniedTokens count no more once the configuration says so, those too that were accepted before.
func deniedTokens(t *testing.T, e *tokenEstate) {
	order := func(claims map[string]any) calling {
		return calling{path: "/both/a", token: e.idp.Token(t, tokenOrder{Claims: claims})}
	}
	before := time.Now().Add(-time.Minute).Unix()
	denied := map[string]calling{
		"by its id":      order(map[string]any{"jti": "stolen"}),
		"by its session": order(map[string]any{"sid": "session"}),
		"by its subject": order(map[string]any{"sub": "gone"}),
		"by its time":    order(map[string]any{"sub": "changed", "iat": before, "nbf": before}),
	}
	good := []calling{order(nil), order(map[string]any{"sid": "another"}), order(map[string]any{"sub": "changed"}), order(map[string]any{"sub": "stolen"})}
	for _, c := range denied {
		e.passes(t, c)
	}
	const at = "metadata: {name: corporate}\nspec: \n"
	if !strings.Contains(e.documents.String(), at) {
		t.Fatal("the Provider is written otherwise")
	}
	e.configure("edge.yaml", strings.Replace(e.documents.String(), at, at+"  revoked: [{jti: stolen}, {sid: session}, {subject: gone}, {subject: changed, issued_before: \""+
		time.Now().Add(-10*time.Second).UTC().Format(time.RFC3339)+"\"}]\n", 1))
	begin := time.Now()
	e.ready(t, denied["by its id"], http.StatusUnauthorized)
	t.Logf("revoked %v after the edit", time.Since(begin).Round(time.Millisecond))
	for _, c := range denied {
		e.refused(t, c, http.StatusUnauthorized, "token_revoked")
		c.path = "/either/a"
		e.refused(t, c, http.StatusUnauthorized, "token_revoked")
	}
	for _, c := range good {
		e.passes(t, c)
	}
	e.apply()
	e.ready(t, denied["by its id"], http.StatusOK)
}
