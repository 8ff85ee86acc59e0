package integration

import (
	"bytes"
	"compress/flate"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"
)

// presented is a token, or what takes a token's place, and what must come of it. Without a reason it must pass.
type presented struct {
	name string
	calling
	reason string
}

// TestSecurityOnlyGoodTokensPass presents tokens of two issuers to an edge: the identity provider's, and those of an issuer whose keys
// are a file and whose key has the name of the other's. Each that must be refused is refused where a token is wanted and where anybody
// may come, and one that must pass follows it.
func TestSecurityOnlyGoodTokensPass(t *testing.T) {
	e := newTokenEstate(t)
	for _, algorithm := range []string{"PS256", "EdDSA", "RS512"} {
		e.idp.Rotate(t, algorithm)
	}
	traps := newUnvisited(t)
	header, _ := e.idp.open(t, e.idp.Token(t, tokenOrder{}))
	f := newForge(t, "https://lesser.example.org", header["kid"].(string))
	e.write(e.path("secret", "lesser.json"), f.keySet(t))
	e.document("Provider", "lesser", `{issuers: ["https://lesser.example.org"], audiences: ["`+audience+`"], key_set: "file:../secret/lesser.json", required_claims: [client_id]}`)
	e.policy("either", "{any_of: [{jwt: {providers: [corporate, lesser]}}, {anonymous: {}}]}", "{name: all, everyone: true}")
	e.policy("both", "{jwt: {providers: [corporate, lesser]}}", "{name: all, everyone: true}")
	e.policy("readers", "{jwt: {providers: [corporate, lesser]}}", "{name: readers, token_roles: [reader]}")
	e.provider("prompt", "audiences: ["+audience+", "+firstAPI+"]\n  leeway: 0s")
	e.policy("prompt", "{jwt: {providers: [prompt]}}", "{name: all, everyone: true}")
	e.policy("narrow", "{jwt: {providers: [prompt], audiences: ['"+firstAPI+"']}}", "{name: all, everyone: true}")
	e.upstream("api", e.apiAddress(), "{user: {pass: true}}")
	e.route("edge", "api", rule("prompt", "api", "prompt"), rule("narrow", "api", "narrow"), rule("both", "api", "both"), rule("either", "api", "either"), rule("corporate", "api", "users"),
		rule("readers", "api", "readers"), rule("nobody", "api", "nobody"))
	e.serve()
	e.ready(t, calling{path: "/both/a", token: e.idp.Token(t, tokenOrder{})}, http.StatusOK)

	t.Run("a key that was removed is trusted no more", func(t *testing.T) { removedKeys(t, e) })
	t.Run("tokens", func(t *testing.T) {
		bad := append(badSignatures(t, e, f, traps), append(badForms(t, f), badClaims(t, e, f)...)...)
		e.present(t, bad, goodTokens(t, e, f))
	})
	t.Run("the Authorization header", func(t *testing.T) { authorizationHeaders(t, e, f) })
	t.Run("a token elsewhere is not looked at", func(t *testing.T) { tokensElsewhere(t, e, f) })
	t.Run("bound to a certificate", func(t *testing.T) { boundTokens(t, e, f) })
	t.Run("issuers are not confused", func(t *testing.T) { confusedIssuers(t, e, f) })
	t.Run("what is remembered of a token is no more than it says", func(t *testing.T) { rememberedTokens(t, e) })
	t.Run("tokens that are revoked", func(t *testing.T) { deniedTokens(t, e) })
	if calls := traps.calls(); calls > 0 {
		t.Errorf("%d connections were made to addresses that stand in tokens", calls)
	}
	if strays := e.idp.Strays(); strays > 0 {
		t.Errorf("%d redirects were followed", strays)
	}
}

// present presents what is bad, each followed by something good, until all of either has been.
func (e *tokenEstate) present(t *testing.T, bad, good []presented) {
	t.Helper()
	for i, p := range bad {
		t.Run(p.name, func(t *testing.T) {
			status := http.StatusUnauthorized
			if p.reason == "request_malformed" {
				status = http.StatusBadRequest
			}
			for _, path := range []string{"/both/a", "/either/a"} {
				p.path = path
				e.refused(t, p.calling, status, p.reason)
			}
			control := good[i%len(good)]
			if control.path == "" {
				control.path = "/both/a"
			}
			e.passes(t, control.calling)
			if t.Failed() {
				t.Log("the control was " + control.name)
			}
		})
	}
	if len(good) > len(bad) {
		e.pass(t, good[len(bad):])
	}
}

// pass presents what is good.
func (e *tokenEstate) pass(t *testing.T, good []presented) {
	t.Helper()
	for _, p := range good {
		t.Run(p.name, func(t *testing.T) {
			if p.path == "" {
				p.path = "/both/a"
			}
			if arrived := e.passes(t, p.calling); p.token != "" && bearerOf(arrived) != p.token {
				t.Errorf("another token arrived: %v", arrived.header)
			}
		})
	}
}

// removedKeys are distrusted once the set is fetched again, and so are tokens that were accepted before.
func removedKeys(t *testing.T, e *tokenEstate) {
	before := e.idp.Token(t, tokenOrder{})
	header, _ := e.idp.open(t, before)
	e.passes(t, calling{path: "/both/a", token: before})
	next := e.idp.Rotate(t, "RS256")
	e.idp.Withdraw(t, header["kid"].(string))
	e.passes(t, calling{path: "/both/a", token: e.idp.Token(t, tokenOrder{Key: next})})
	for _, token := range []string{before, e.idp.Token(t, tokenOrder{Key: header["kid"].(string)})} {
		e.refused(t, calling{path: "/both/a", token: token}, http.StatusUnauthorized, "token_key_unknown")
		e.refused(t, calling{path: "/either/a", token: token}, http.StatusUnauthorized, "token_key_unknown")
	}
}

func goodTokens(t *testing.T, e *tokenEstate, f *forge) []presented {
	order := func(name string, o tokenOrder) presented {
		return presented{name: name, calling: calling{token: e.idp.Token(t, o)}}
	}
	claims := func(members ...any) map[string]any { return map[string]any{members[0].(string): members[1]} }
	typ := func(typ any) tokenOrder { return tokenOrder{Header: map[string]any{"typ": typ}} }
	now := time.Now().Unix()
	return []presented{
		order("RS256", tokenOrder{}), order("ES256", tokenOrder{Algorithm: "ES256"}),
		order("PS256", tokenOrder{Algorithm: "PS256"}), order("EdDSA", tokenOrder{Algorithm: "EdDSA"}),
		order("typ JWT", typ("JWT")), order("typ in full", typ("application/AT+JWT")), order("no typ", typ(nil)),
		order("a list of audiences", tokenOrder{Claims: claims("aud", []string{"https://other.example.org", audience})}),
		order("expired within the leeway", tokenOrder{Lifetime: -10}),
		order("issued within the leeway", tokenOrder{Claims: map[string]any{"iat": now + 20, "nbf": now + 20}}),
		order("without nbf", tokenOrder{Claims: claims("nbf", nil)}), order("without iat", tokenOrder{Claims: claims("iat", nil)}),
		order("exp with a fraction", tokenOrder{Claims: claims("exp", float64(now)+300.5)}),
		order("with an unknown header", tokenOrder{Header: claims("x-unknown", "y")}),
		order("with a thumbprint in the header", tokenOrder{Header: claims("x5t", "abc")}),
		order("large, and not too large", tokenOrder{Claims: claims("padding", strings.Repeat("x", 4000))}),
		order("of a client for itself", tokenOrder{Claims: claims("sub", "app")}),
		order("with escapes", tokenOrder{Claims: claims("name", "\u00e9\"\\/\n")}),
		{name: "the other issuer's", calling: calling{token: f.token(t, nil, nil)}},
		{name: "the other issuer's, its JSON with white space", calling: calling{token: f.sign(t, " "+f.header(t, nil)+"\n", "\t"+f.claims(t, nil)+"\r\n")}},
		{name: "anonymous, where that is allowed", calling: calling{path: "/either/a"}},
	}
}

// badSignatures are tokens whose algorithm or key is the caller's choice (RFC 8725, sections 2.1, 3.1 and 3.10).
func badSignatures(t *testing.T, e *tokenEstate, f *forge, traps *unvisited) []presented {
	order := func(name string, o tokenOrder, reason string) presented {
		return presented{name, calling{token: e.idp.Token(t, o)}, reason}
	}
	secret := func(name string, secret []byte) presented {
		return presented{name, calling{token: f.authenticated(t, secret)}, "token_signature"}
	}
	spki, err := x509.MarshalPKIXPublicKey(f.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	stranger := newForge(t, f.issuer, f.kid)
	forged := func(name string, header map[string]any, reason string) presented {
		return presented{name, calling{token: stranger.token(t, header, nil)}, reason}
	}
	unsigned := e.idp.Token(t, tokenOrder{Algorithm: "none"})
	cut := e.idp.Token(t, tokenOrder{})
	address := traps.url("/keys.json")
	return []presented{
		{"none", calling{token: unsigned}, ""},
		{"none, in capitals", calling{token: e.idp.Token(t, tokenOrder{Header: map[string]any{"alg": "nOnE"}})}, "token_signature"},
		{"none, with somebody's signature", calling{token: unsigned + cut[strings.LastIndexByte(cut, '.')+1:]}, "token_signature"},
		{"no algorithm", calling{token: f.token(t, map[string]any{"alg": nil}, nil)}, "token_malformed"},
		{"no signature", calling{token: cut[:strings.LastIndexByte(cut, '.')+1]}, "token_malformed"},
		{"half of the signature", calling{token: cut[:len(cut)-170]}, "token_signature"},
		order("the public RSA key as a secret", tokenOrder{Algorithm: "HS256"}, "token_signature"),
		secret("the public key in PEM as a secret", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})),
		secret("the public key in DER as a secret", spki),
		secret("the modulus as a secret", f.key.N.Bytes()),
		secret("the key set as a secret", []byte(f.keySet(t))),
		secret("nothing as a secret", nil),
		order("RS256 by the header, ES256 by the key", tokenOrder{Algorithm: "ES256", Header: map[string]any{"alg": "RS256"}}, ""),
		order("RS256 by the key, PS256 by the header", tokenOrder{Header: map[string]any{"alg": "PS256"}}, ""),
		order("an algorithm that the provider does not sign by", tokenOrder{Algorithm: "RS512"}, "token_signature"),
		order("a stranger's key", tokenOrder{Key: "stranger"}, "token_key_unknown"),
		forged("a stranger's key under a known name", nil, "token_signature"),
		forged("its key embedded", map[string]any{"jwk": stranger.jwk()}, "token_malformed"),
		forged("the address of its keys", map[string]any{"jku": address}, "token_malformed"),
		forged("the address of its keys alone", map[string]any{"jku": address, "kid": nil}, "token_malformed"),
		forged("the address of its certificate", map[string]any{"x5u": address}, "token_malformed"),
		forged("its certificates", map[string]any{"x5c": []string{encodeURL(spki)}}, "token_malformed"),
		forged("a path in kid", map[string]any{"kid": "../../../../dev/null"}, "token_key_unknown"),
		forged("an address in kid", map[string]any{"kid": address}, "token_key_unknown"),
		forged("an injection in kid", map[string]any{"kid": "x' UNION SELECT 'key"}, "token_key_unknown"),
		forged("a control character in kid", map[string]any{"kid": "a\x00b"}, "token_malformed"),
		forged("kid is a list", map[string]any{"kid": []string{f.kid}}, "token_malformed"),
		order("an issuer that is an address", tokenOrder{Claims: map[string]any{"iss": address}}, "token_issuer"),
		order("an issuer below the issuer", tokenOrder{Claims: map[string]any{"iss": e.idp.Issuer + "/"}}, "token_issuer"),
		order("an issuer in a list", tokenOrder{Claims: map[string]any{"iss": []string{e.idp.Issuer}}}, "token_malformed"),
		order("no issuer", tokenOrder{Claims: map[string]any{"iss": nil}}, "token_issuer"),
	}
}

// badForms are signed by a good key, and could be read in more than one way, or are no JWS in compact serialization.
func badForms(t *testing.T, f *forge) []presented {
	good := f.token(t, nil, nil)
	parts := strings.Split(good, ".")
	malformed := func(name, token string) presented { return presented{name, calling{token: token}, "token_malformed"} }
	signed := func(name, header, claims string) presented { return malformed(name, f.sign(t, header, claims)) }
	header, claims := f.header(t, nil), f.claims(t, nil)
	twice := func(object, member string) string { return strings.TrimSuffix(object, "}") + "," + member + "}" }
	deflated := func(text string) []byte {
		var b bytes.Buffer
		w, err := flate.NewWriter(&b, flate.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	jwe := encodeURL([]byte(`{"alg":"dir","enc":"A256GCM","zip":"DEF"}`)) + ".." + encodeURL(make([]byte, 12)) + "." +
		encodeURL(deflated(strings.Repeat("a", 1<<20))) + "." + encodeURL(make([]byte, 16))
	// The last character of a signature of 256 bytes carries four bits that must be zero.
	loose := good[:len(good)-1] + strings.Map(func(c rune) rune { return c + 1 }, good[len(good)-1:])
	huge := map[string]any{"padding": strings.Repeat("x", 7000)}
	return []presented{
		signed("crit", f.header(t, map[string]any{"crit": []string{"exp"}, "exp": 1}), claims),
		signed("crit and b64", f.header(t, map[string]any{"crit": []string{"b64"}, "b64": false}), claims),
		signed("an empty crit", f.header(t, map[string]any{"crit": []string{}}), claims),
		signed("alg twice", twice(header, `"alg":"RS256"`), claims),
		signed("alg twice, once escaped", twice(header, `"\u0061lg":"none"`), claims),
		signed("exp twice", header, twice(claims, `"exp":9999999999`)),
		signed("sub twice, further down", header, twice(claims, `"act":{"sub":"a","sub":"b"}`)),
		signed("claims that are a list", header, "["+claims+"]"),
		signed("claims with something behind them", header, claims+"{}"),
		signed("claims that are not UTF-8", header, twice(claims, "\"name\":\"\xff\"")),
		signed("another token inside", f.header(t, map[string]any{"cty": "JWT"}), claims),
		signed("compressed", f.header(t, map[string]any{"zip": "DEF"}), string(deflated(claims))),
		malformed("a compressed JWE", jwe),
		malformed("five parts", good+"."+parts[0]+"."+parts[1]),
		malformed("four parts", good+".x"),
		malformed("two parts", parts[0]+"."+parts[1]),
		malformed("one part", "abc"),
		malformed("empty parts", ".."),
		malformed("a dot behind it", good+"."),
		{"JSON serialization", calling{token: `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`}, "request_malformed"},
		malformed("padding", good+"=="),
		malformed("padding within", parts[0]+"=."+parts[1]+"."+parts[2]),
		malformed("bits left over", loose),
		malformed("base64 in place of base64url", strings.NewReplacer("-", "+", "_", "/").Replace(f.token(t, nil, map[string]any{"x": "\u00ff\u00fe\u00fb???>>>"}))+"+"),
		malformed("bytes behind it", good+"%00"),
		malformed("huge", f.token(t, nil, huge)),
		malformed("nested deeply", f.sign(t, header, twice(claims, `"x":`+strings.Repeat("[", 64)+strings.Repeat("]", 64)))),
	}
}

// badClaims are well signed, and not for now, not for us, or not access tokens.
func badClaims(t *testing.T, e *tokenEstate, f *forge) []presented {
	order := func(name string, o tokenOrder, reason string) presented {
		return presented{name, calling{token: e.idp.Token(t, o)}, reason}
	}
	claim := func(name, claim string, value any, reason string) presented {
		return order(name, tokenOrder{Claims: map[string]any{claim: value}}, reason)
	}
	typ := func(typ string) presented {
		return order("typ "+typ, tokenOrder{Header: map[string]any{"typ": typ}}, "token_type")
	}
	now := time.Now().Unix()
	return []presented{
		claim("no exp", "exp", nil, "token_claim_missing"),
		claim("exp is a text", "exp", "9999999999", "token_malformed"),
		claim("exp is beyond all times", "exp", 1e300, "token_malformed"),
		claim("exp is negative", "exp", -1, "token_malformed"),
		claim("exp in milliseconds", "exp", (now+300)*1000*1000, "token_malformed"),
		order("expired", tokenOrder{Lifetime: -60}, "token_expired"),
		claim("not valid yet", "nbf", now+120, "token_not_yet_valid"),
		claim("issued in the future", "iat", now+120, "token_not_yet_valid"),
		claim("nbf is a text", "nbf", "0", "token_malformed"),
		claim("no audience", "aud", nil, "token_audience"),
		claim("another audience", "aud", "https://other.example.org", "token_audience"),
		claim("a longer audience", "aud", audience+"/", "token_audience"),
		claim("an audience in capitals", "aud", strings.ToUpper(audience), "token_audience"),
		claim("audience is an object", "aud", map[string]any{audience: true}, "token_malformed"),
		claim("no subject and no client", "sub", "", "token_malformed"),
		claim("a line break in the subject", "sub", "clerk\r\nx-injected: 1", "token_malformed"),
		order("an ID token", tokenOrder{IDToken: true}, ""),
		order("an ID token for us", tokenOrder{IDToken: true, Claims: map[string]any{"aud": audience}}, "token_type"),
		claim("a nonce", "nonce", "n", "token_type"),
		claim("a logout token", "events", map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}}, "token_type"),
		claim("a refresh token", "typ", "Refresh", "token_type"),
		typ("secevent+jwt"), typ("hop+jwt"), typ("dpop+jwt"), typ("logout+jwt"), typ("JOSE"),
		{"a claim missing that the provider requires", calling{token: f.token(t, nil, map[string]any{"client_id": nil})}, "token_claim_missing"},
		claim("bound to a key that is not proven", "cnf", map[string]any{"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}, "token_binding"),
		claim("bound to nothing", "cnf", map[string]any{}, "token_binding"),
		claim("cnf is a text", "cnf", "x", "token_malformed"),
	}
}

// authorizationHeaders are those that are no `Bearer` and one token (RFC 6750, section 2.1).
func authorizationHeaders(t *testing.T, e *tokenEstate, f *forge) {
	good, other := f.token(t, nil, nil), e.idp.Token(t, tokenOrder{})
	headers := func(values ...string) calling {
		c := calling{path: "/both/a"}
		for _, value := range values {
			c.header = append(c.header, "Authorization: "+value)
		}
		return c
	}
	for name, test := range map[string]struct {
		calling
		status int
		reason string
	}{
		"nothing":                     {headers(), http.StatusUnauthorized, "token_missing"},
		"the scheme alone":            {headers("Bearer"), http.StatusUnauthorized, ""},
		"no scheme":                   {headers(good), http.StatusUnauthorized, ""},
		"two spaces":                  {headers("Bearer  " + good), http.StatusUnauthorized, ""},
		"a tab":                       {headers("Bearer\t" + good), http.StatusUnauthorized, ""},
		"something behind the token":  {headers("Bearer " + good + " x"), http.StatusUnauthorized, ""},
		"quotes":                      {headers(`Bearer "` + good + `"`), http.StatusUnauthorized, ""},
		"a name":                      {headers("Bearer token=" + good), http.StatusUnauthorized, ""},
		"two, the good one first":     {headers("Bearer "+good, "Bearer x"), http.StatusBadRequest, ""},
		"two, the good one last":      {headers("Bearer x", "Bearer "+good), http.StatusBadRequest, ""},
		"two good ones":               {headers("Bearer "+good, "Bearer "+other), http.StatusBadRequest, ""},
		"the same twice":              {headers("Bearer "+good, "Bearer "+good), http.StatusBadRequest, ""},
		"one and a password":          {headers("Bearer "+good, "Basic Y2xlcms6Y2xlcms="), http.StatusBadRequest, ""},
		"two in a line":               {headers("Bearer " + good + ",Bearer " + other), http.StatusBadRequest, ""},
		"a comma behind it":           {headers("Bearer " + good + ","), http.StatusBadRequest, ""},
		"a password":                  {headers("Basic Y2xlcms6Y2xlcms="), http.StatusUnauthorized, "credentials_not_accepted"},
		"another scheme":              {headers("DPoP " + good), http.StatusUnauthorized, "credentials_not_accepted"},
		"a longer scheme":             {headers("BearerX " + good), http.StatusUnauthorized, "credentials_not_accepted"},
		"an empty header":             {headers(""), http.StatusUnauthorized, ""},
		"a good one where none count": {calling{path: "/nobody/a", token: good}, http.StatusUnauthorized, "credentials_not_accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			e.refused(t, test.calling, test.status, test.reason)
			if name != "nothing" && !strings.HasPrefix(test.path, "/nobody") {
				test.path = "/either/a"
				e.refused(t, test.calling, test.status, test.reason)
			}
		})
	}
	// Over HTTP/2, too, a request has one.
	http2 := e.client("")
	for _, c := range []calling{headers("Bearer "+good, "Bearer "+other), headers("Bearer "+good, "Bearer "+good), headers("Bearer x", "Bearer "+good)} {
		e.api.take()
		if answer := exchange(t, http2, e.request(t, c)); answer.status != http.StatusBadRequest || len(e.api.take()) > 0 {
			t.Errorf("two headers over HTTP/2 are answered %v", answer)
		}
		if answer := exchange(t, http2, e.request(t, headers("Bearer "+good))); answer.status != http.StatusOK || len(e.api.take()) != 1 {
			t.Errorf("one header over HTTP/2 is answered %v", answer)
		}
	}
	for _, scheme := range []string{"Bearer ", "bearer ", "BEARER ", "bEaReR "} {
		for _, token := range []string{good, other} {
			e.passes(t, headers(scheme+token))
		}
	}
	e.passes(t, calling{path: "/either/a"})
	e.passes(t, calling{path: "/nobody/a"})
}

// tokensElsewhere are good ones where none is looked for: they let nobody in, and make nobody anonymous be refused.
func tokensElsewhere(t *testing.T, e *tokenEstate, f *forge) {
	good, bad := f.token(t, nil, nil), f.token(t, nil, map[string]any{"exp": 1})
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	for _, token := range []string{good, bad} {
		for name, c := range map[string]calling{
			"in the query":         {path: "?access_token=" + token},
			"in the body":          {method: http.MethodPost, body: "access_token=" + token, header: form},
			"in a cookie":          {header: []string{"Cookie: access_token=" + token + "; Authorization=Bearer " + token}},
			"in another header":    {header: []string{"X-Authorization: Bearer " + token, "Proxy-Authorization: Bearer " + token, "X-Forwarded-Access-Token: " + token}},
			"in a subprotocol":     {header: []string{"Sec-WebSocket-Protocol: bearer, " + token}},
			"in another case of _": {header: []string{"Authorization_: Bearer " + token}},
		} {
			query := c.path
			for path, status := range map[string]int{"/both/a": http.StatusUnauthorized, "/either/a": http.StatusOK} {
				if name == "in another case of _" {
					continue // Envoy refuses such names, which another test shows
				}
				c.path = path + query
				if status == http.StatusOK {
					e.passes(t, c)
				} else {
					e.refused(t, c, status, "token_missing")
				}
			}
		}
		e.passes(t, calling{path: "/both/a?access_token=" + bad, token: good})
	}
}
