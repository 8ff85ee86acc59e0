package integration

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outages are what an identity provider can do wrong.
var outages = []struct {
	name  string
	fault idpFault
}{
	{"down", idpDown}, {"stuck", idpStuck}, {"broken", idpBroken}, {"garbage", idpGarbage}, {"elsewhere", idpElsewhere}, {"huge", idpHuge},
}

// TestTokensWhileTheIdentityProviderFails goes through its faults. Of each, callers see: tokens by keys that are known pass; tokens of a
// provider whose keys were never fetched are answered 503; those of another issuer pass; and all is well again soon after it ends.
//
// That a set runs out after max_stale is shown by the age of what is kept on disk; how often it is fetched, by the unit tests of
// authz/keyset, which have a clock of their own.
func TestTokensWhileTheIdentityProviderFails(t *testing.T) {
	e := newTokenEstate(t)
	f := newForge(t, "https://lesser.example.org", "key")
	e.write(e.path("secret", "lesser.json"), f.keySet(t))
	e.document("Provider", "lesser", `{issuers: ["https://lesser.example.org"], audiences: ["`+audience+`"], key_set: "file:../secret/lesser.json"}`)
	e.policy("lesser", "{jwt: {providers: [lesser]}}", "{name: all, everyone: true}")
	e.upstream("api", e.apiAddress(), "{user: {pass: true}}")
	e.upstream("acquired", e.apiAddress(), "{anonymous: {acquire: {provider: corporate}}}")
	e.upstream("exchanged", e.apiAddress(), `{user: {exchange: {provider: corporate, audience: "https://second.example.org"}}}`)
	e.upstream("misled", e.apiAddress(), "{anonymous: {acquire: {provider: cold}}}")
	rules := []string{rule("misled", "misled", "nobody"), rule("users", "api", "users"), rule("lesser", "api", "lesser"), rule("acquired", "acquired", "nobody"), rule("exchanged", "exchanged", "users")}
	more := []string{"cold", "rotated", "slow"}
	for _, o := range outages {
		more = append(more, o.name)
	}
	for _, name := range more {
		e.provider(name, "jwks_uri: "+e.idp.Issuer+"/jwks?of="+name)
		e.policy(name, "{jwt: {providers: ["+name+"]}}", "{name: all, everyone: true}")
		rules = append(rules, rule(name, "api", name))
	}
	e.route("edge", "api", rules...)
	o := &outage{tokenEstate: e, lesser: f, config: strings.ReplaceAll(e.documents.String(), "authorization: {timeout: 2s}", "authorization: {timeout: 1s}")}
	e.configure("edge.yaml", o.config)
	e.startXDS()
	authz := e.startDeciding()
	e.startProxies()
	for _, name := range append(more, "users") {
		e.ready(t, calling{path: "/" + name + "/a", token: e.idp.Token(t, tokenOrder{})}, http.StatusOK)
	}
	for _, test := range outages {
		t.Run(test.name, func(t *testing.T) { o.fails(t, test.name, test.fault) })
	}
	t.Run("slow", o.slow)
	t.Run("its metadata lead elsewhere", o.misled)
	t.Run("its clock is 5 minutes off", o.clocks)
	t.Run("a key is rotated", o.rotates)
	t.Run("acquired tokens serve until they expire", o.acquired)
	t.Run("a start while it is away", func(t *testing.T) { o.coldStart(t, authz) })
}

// outage is an estate whose provider fails.
type outage struct {
	*tokenEstate
	lesser *forge
	config string
	round  int
}

// others wants the other issuer's tokens to pass, whatever befalls this one, and tokens that are bad to stay bad.
func (o *outage) others(t *testing.T) {
	t.Helper()
	o.passes(t, calling{path: "/lesser/a", token: o.lesser.token(t, nil, nil)})
	o.refused(t, calling{path: "/lesser/a", token: o.lesser.token(t, nil, map[string]any{"exp": 1})}, http.StatusUnauthorized, "token_expired")
}

// coldly gives the provider `cold` another address, at which it has never been asked.
func (o *outage) coldly(t *testing.T) {
	t.Helper()
	o.round++
	o.configure("edge.yaml", strings.Replace(o.config, "/jwks?of=cold", fmt.Sprintf("/jwks?of=cold&round=%d", o.round), 1))
}

// fails goes through one fault. Tokens are ordered beforehand: the control of the provider does not fail.
func (o *outage) fails(t *testing.T, name string, fault idpFault) {
	known := o.idp.Token(t, tokenOrder{})
	o.idp.ResetCounts()
	o.idp.Fault(fault)
	defer o.idp.Heal()
	o.passes(t, calling{path: "/users/a", token: known})
	o.others(t)

	// A key that is not known may be a new one, which cannot be fetched: that is not the caller's fault. It waits no longer than a check
	// may last.
	begin := time.Now()
	o.refused(t, calling{path: "/" + name + "/a", token: o.idp.Token(t, tokenOrder{Key: "stranger"})}, http.StatusServiceUnavailable, "")
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("a caller waited for %v", took)
	}
	o.passes(t, calling{path: "/" + name + "/a", token: known})

	o.coldly(t)
	o.ready(t, calling{path: "/cold/a", token: known}, http.StatusServiceUnavailable)
	answer := o.refused(t, calling{path: "/cold/a", token: known}, http.StatusServiceUnavailable, "")
	if strings.Contains(answer.body, o.idp.Issuer) {
		t.Errorf("the caller is told where the provider is: %s", answer.body)
	}
	o.refused(t, calling{path: "/cold/a"}, http.StatusUnauthorized, "token_missing")
	o.refused(t, calling{path: "/exchanged/a", token: o.idp.Token(t, tokenOrder{})}, http.StatusServiceUnavailable, "")
	o.others(t)
	o.passes(t, calling{path: "/users/a", token: o.idp.Token(t, tokenOrder{})})
	if strays := o.idp.Strays(); strays > 0 {
		t.Errorf("%d requests went to another host", strays)
	}

	o.idp.Heal()
	took := time.Now()
	o.ready(t, calling{path: "/cold/a", token: known}, http.StatusOK)
	o.ready(t, calling{path: "/exchanged/a", token: o.idp.Token(t, tokenOrder{})}, http.StatusOK)
	t.Logf("healed %v after the fault", time.Since(took).Round(time.Millisecond))
}

// slow: whoever needs nothing new is not kept waiting, and whoever does gets it, if there is time.
func (o *outage) slow(t *testing.T) {
	known, exchanged := o.idp.Token(t, tokenOrder{}), o.idp.Token(t, tokenOrder{})
	next := o.idp.Token(t, tokenOrder{Key: o.idp.Announce(t, "RS256")})
	const delay = 300 * time.Millisecond
	o.idp.Fault(idpSlow(delay))
	defer o.idp.Heal()
	took := func(c calling) time.Duration {
		begin := time.Now()
		o.passes(t, c)
		return time.Since(begin)
	}
	if waited := took(calling{path: "/slow/a", token: known}); waited >= delay {
		t.Errorf("a token by a known key took %v", waited)
	}
	if waited := took(calling{path: "/slow/a", token: next}); waited < delay {
		t.Errorf("a token by a new key took %v, in which no key set can have come", waited)
	}
	if waited := took(calling{path: "/slow/a", token: next}); waited >= delay {
		t.Errorf("the second one by that key took %v", waited)
	}
	if waited := took(calling{path: "/exchanged/a", token: exchanged}); waited < delay {
		t.Errorf("an exchange took %v, in which none can have been made", waited)
	}
	o.others(t)
}

// misled: metadata that name another host are not followed there with our secret.
func (o *outage) misled(t *testing.T) {
	o.idp.ResetCounts()
	o.idp.Fault(idpMisleading, idpDiscovery)
	defer o.idp.Heal()
	o.coldly(t)
	eventually(t, "the provider's metadata are asked for", func() bool {
		return o.send(t, calling{path: "/misled/a"}).status == http.StatusServiceUnavailable && o.idp.Count(idpDiscovery) > 0
	})
	o.refused(t, calling{path: "/misled/a"}, http.StatusServiceUnavailable, "")
	if strays := o.idp.Strays(); strays > 0 {
		t.Errorf("%d requests went to another host", strays)
	}
	o.others(t)
	o.idp.Heal()
	o.ready(t, calling{path: "/misled/a"}, http.StatusOK)
	o.passes(t, calling{path: "/misled/a"})
}

// idpMisleading says in its metadata that all but the issuer itself is at another host, which would answer well.
func idpMisleading(p *idpProxy, w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
	whole := httptest.NewRecorder()
	p.forward.ServeHTTP(whole, r)
	_, port, _ := strings.Cut(strings.TrimPrefix(p.elsewhere.URL, "https://"), ":")
	w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
	_, _ = io.WriteString(w, strings.ReplaceAll(whole.Body.String(), `"`+p.URL+"/", `"https://localhost:`+port+"/")) // the client may have gone
}

// clocks that differ by more than the leeway are the caller's to see, and heal with the next token.
func (o *outage) clocks(t *testing.T) {
	o.idp.SetClock(t, 5*time.Minute)
	o.refused(t, calling{path: "/users/a", token: o.idp.Token(t, tokenOrder{})}, http.StatusUnauthorized, "token_not_yet_valid")
	o.others(t)
	o.idp.SetClock(t, -5*time.Minute)
	o.refused(t, calling{path: "/users/a", token: o.idp.Token(t, tokenOrder{Lifetime: 200})}, http.StatusUnauthorized, "token_expired")
	o.passes(t, calling{path: "/users/a", token: o.idp.Token(t, tokenOrder{Lifetime: 500})})
	o.idp.SetClock(t, 20*time.Second)
	o.passes(t, calling{path: "/users/a", token: o.idp.Token(t, tokenOrder{})})
	o.idp.SetClock(t, 0)
	o.passes(t, calling{path: "/users/a", token: o.idp.Token(t, tokenOrder{})})
}

// rotates: a new key counts at its first use, what was announced before needs no fetch, and one that was withdrawn counts no more.
func (o *outage) rotates(t *testing.T) {
	old := o.idp.Token(t, tokenOrder{})
	header, _ := o.idp.open(t, old)
	kid := header["kid"].(string)
	o.passes(t, calling{path: "/rotated/a", token: old})
	next := o.idp.Rotate(t, "RS256")
	o.idp.ResetCounts()
	o.passes(t, calling{path: "/rotated/a", token: o.idp.Token(t, tokenOrder{Key: next})})
	if got := o.idp.Count(idpKeySet); got != 1 {
		t.Errorf("the new key took %d requests for the key set, want 1", got)
	}
	o.passes(t, calling{path: "/rotated/a", token: old}) // both are published
	o.idp.Withdraw(t, kid)
	// The set is fetched again now, since the provider's address is another.
	o.coldly(t)
	fresh := calling{path: "/cold/a", token: o.idp.Token(t, tokenOrder{Key: next})}
	o.ready(t, fresh, http.StatusOK)
	o.refused(t, calling{path: "/cold/a", token: old}, http.StatusUnauthorized, "token_key_unknown")
	o.refused(t, calling{path: "/cold/a", token: o.idp.Token(t, tokenOrder{Key: kid})}, http.StatusUnauthorized, "token_key_unknown")
	o.passes(t, fresh)
	o.others(t)
}

// acquired tokens serve as long as they are good; then callers are answered 503, and never let through without.
func (o *outage) acquired(t *testing.T) {
	o.idp.SetLifetime(t, 4*time.Second)
	claims := o.claims(t, o.passes(t, calling{path: "/acquired/a"})) // the first one, so that none is held that lives longer
	expires := time.Unix(number(claims["exp"]), 0)
	if left := time.Until(expires); left > 4*time.Second {
		t.Fatalf("the token is good for %v", left)
	}
	o.idp.Fault(idpDown)
	defer o.idp.Heal()
	o.passes(t, calling{path: "/acquired/a"})
	o.ready(t, calling{path: "/acquired/a"}, http.StatusServiceUnavailable)
	if early := time.Until(expires); early > time.Second {
		t.Errorf("the token was given up %v before its end", early)
	}
	o.refused(t, calling{path: "/acquired/a"}, http.StatusServiceUnavailable, "")
	o.others(t)
	o.idp.Heal()
	o.idp.SetLifetime(t, 5*time.Minute)
	o.ready(t, calling{path: "/acquired/a"}, http.StatusOK)
	o.passes(t, calling{path: "/acquired/a"})
}

// coldStart starts the authorization service while the provider is away: with what an earlier process has kept; with what is too old;
// and with nothing.
func (o *outage) coldStart(t *testing.T, authz *program) {
	token := o.idp.Token(t, tokenOrder{})
	user := calling{path: "/users/a", token: token}
	o.passes(t, user)
	o.idp.Stop(t)
	restart := func() {
		authz.end(t, syscall.SIGTERM)
		authz = o.startDeciding()
	}
	restart()
	o.ready(t, user, http.StatusOK)
	o.passes(t, user)
	o.others(t)
	o.refused(t, calling{path: "/acquired/a"}, http.StatusServiceUnavailable, "")

	o.age(t, 25*time.Hour)
	restart()
	o.ready(t, user, http.StatusServiceUnavailable)
	o.refused(t, user, http.StatusServiceUnavailable, "")
	o.ready(t, calling{path: "/lesser/a", token: o.lesser.token(t, nil, nil)}, http.StatusOK)
	o.others(t)
	if err := os.RemoveAll(o.path("state-authz")); err != nil {
		t.Fatal(err)
	}
	restart()
	o.ready(t, user, http.StatusServiceUnavailable)
	o.refused(t, user, http.StatusServiceUnavailable, "")

	o.idp.Start(t)
	o.ready(t, user, http.StatusOK)
	o.passes(t, user)
	o.ready(t, calling{path: "/acquired/a"}, http.StatusOK)
}

// age makes the key sets on disk older than they are.
func (o *outage) age(t *testing.T, by time.Duration) {
	t.Helper()
	paths, err := filepath.Glob(o.path("state-authz", "key-sets", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d key sets are kept: %v", len(paths), err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var kept map[string]any
		if err := json.Unmarshal(content, &kept); err != nil {
			t.Fatal(err)
		}
		kept["fetched"] = time.Now().Add(-by).UTC()
		o.write(path, string(encodeJSON(t, kept)))
	}
}
