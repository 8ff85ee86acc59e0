package integration

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/envoy/process"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// tokenSecrets is a run with tokens and secrets of every kind, and everything that was said in it.
type tokenSecrets struct {
	*tokenEstate
	*secretive
}

// TestSecurityNoTokenIsToldToAnybody presents, gets, exchanges and makes tokens, good ones and bad ones, and looks for them, and for the
// secrets and keys behind them, in all that was said, printed, dumped and written.
func TestSecurityNoTokenIsToldToAnybody(t *testing.T) {
	e := newTokenEstate(t)
	s := &tokenSecrets{e, &secretive{estate: e.estate, t: t, told: map[string]string{}, saying: map[string]func() string{}}}
	s.plantSecrets()
	e.provider("keyed", `client: {id: edge-key, authentication: private_key_jwt, key_id: edge-key-1, private_key: "file:../secret/client.pem"}`)
	e.provider("opaque", "audiences: ["+audience+"/opaque]\n  introspection: {cache: 30s}")
	e.document("Provider", "hop", `{issuers: ["https://edge.example.org"], mint: {class: hop, keys: ["file:../secret/hop.pem"]}}`)
	e.document("Provider", "partner", `{issuers: ["https://api.example.org"], mint: {class: partner, grants: [{consumers: [mapps], audiences: ["`+audience+`"]}]}}`)
	e.document("Consumer", "mapps", "{certificates: [{truststore: partners, subject_common_name: mapps}]}")
	e.policy("consumers", "{certificate: {truststores: [partners]}}", "{name: known, consumers: [mapps]}")
	e.policy("partners", "{jwt: {providers: [partner], audiences: ["+`"`+audience+`"`+"]}}", "{name: all, everyone: true}")
	e.policy("hops", "{jwt: {providers: [hop], audiences: [search]}}", "{name: all, everyone: true}")
	e.policy("opaque", "{jwt: {providers: [opaque]}}", "{name: all, everyone: true}")
	e.upstream("api", e.apiAddress(), "{user: {pass: true}}")
	e.upstream("bare", e.apiAddress(), "{}")
	e.upstream("acquired", e.apiAddress(), "{anonymous: {acquire: {provider: corporate}}}")
	e.upstream("keyed", e.apiAddress(), "{anonymous: {acquire: {provider: keyed}}}")
	e.upstream("exchanged", e.apiAddress(), `{user: {exchange: {provider: corporate, audience: "`+secondAPI+`", actor: true}}}`)
	e.upstream("behalf", e.apiAddress(), `{user: {exchange: {provider: corporate, grant: on_behalf_of}}}`)
	e.behind("minted", "{anonymous: {mint: {audience: search, bound_to: 'spiffe://example.org/edge'}}, user: {mint: {audience: search, bound_to: 'spiffe://example.org/edge'}}}")
	e.upstream("vessels", e.apiAddress(), "{user: {pass: true}}")
	e.route("edge", "api", rule("users", "api", "users"), rule("bare", "bare", "open"), rule("acquired", "acquired", "open"), rule("keyed", "keyed", "nobody"), rule("exchanged", "exchanged", "users"),
		rule("behalf", "behalf", "users"), rule("minted", "minted", "open"), rule("opaque", "api", "opaque"), rule("partners", "api", "partners"),
		"{name: me, match: {exact: /me}, whoami: true, policy: users}",
		"{name: token, match: {exact: /token, methods: [POST]}, token_endpoint: partner, policy: consumers}")
	e.route("sidecar", "vessels", rule("minted", "vessels", "hops"))
	e.apply()

	server := s.startTalking()
	e.ready(t, calling{path: "/minted/a"}, http.StatusOK)
	e.ready(t, calling{path: "/users/a", token: e.idp.Token(t, tokenOrder{})}, http.StatusOK)
	user := s.callGood()
	s.callBad()
	s.plantGenerated()
	s.askAbout(server, user)
	s.search()
}

// plantSecrets makes the secrets that the configuration names.
func (s *tokenSecrets) plantSecrets() {
	secret := crand.Text() + crand.Text()
	s.idp.SetSecret(s.t, secret)
	s.writeSecret(secret)
	s.plant("the client's secret", []byte(secret), "secret/idp")
	client, err := os.ReadFile(s.idp.ClientKey)
	if err != nil {
		s.t.Fatal(err)
	}
	hop, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	encoded, err := ca.EncodePrivateKey(hop)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, content := range map[string][]byte{"secret/client.pem": client, "secret/hop.pem": encoded} {
		s.tokenEstate.write(s.tokenEstate.path(name), string(content))
		s.plantFile(name, "")
	}
	s.plantFile("pki/edge-client-key.pem", "")
}

// startTalking starts a server and proxies that say all that they can.
func (s *tokenSecrets) startTalking() *program {
	e := s.tokenEstate
	server := e.estate.serve("xds,authz", e.xdsSource, "--log-level", "trace", "--state", e.path("state"), "--audit", e.path("audit.jsonl"),
		"--xds-listen", local(e.xdsPort), "--certificate", e.path("pki", "xds.pem"), "--private-key", e.path("pki", "xds-key.pem"),
		"--authz-listen", local(e.authzPort), "--authz-certificate", e.path("pki", "authz.pem"), "--authz-private-key", e.path("pki", "authz-key.pem"))
	s.saying["the server"] = func() string { return server.out.String() + server.err.String() }
	e.issue("proxies", "proxy", "sidecar-1", "--trust-domain", "example.org", "--group", "sidecar")
	for _, group := range []string{"edge", "sidecar"} {
		bootstrap := strings.TrimSpace(e.run("bootstrap", "--trust-domain", "example.org", "--group", group, "--name", group+"-1",
			"--xds", local(e.xdsPort), "--authz", local(e.authzPort), "--ca", e.path("pki", "proxies.pem"), "--certificate", e.path("pki", group+"-1.pem"),
			"--private-key", e.path("pki", group+"-1-key.pem"), "--admin-socket", e.path(group+".sock"), "--out", e.path("envoy-"+group)))
		s.runTalking(group, bootstrap)
	}
	return server
}

// runTalking runs an Envoy until the end of the test, and keeps its log.
func (s *tokenSecrets) runTalking(group, bootstrap string) {
	t := s.t
	var log output
	s.saying["the log of the Envoy of "+group] = log.String
	p, err := process.New(process.Config{
		Binary: envoy, BootstrapPath: bootstrap, Name: group, Concurrency: 1, Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the Envoy of %s: %v", group, err)
		}
	})
}

// plantToken has a token looked for, whole and by its signature, which nobody could make up.
func (s *tokenSecrets) plantToken(name, token string) {
	if token == "" {
		s.t.Fatalf("%s: there is none", name)
	}
	s.plant(name, []byte(token))
	if at := strings.LastIndexByte(token, '.'); at >= 0 && at < len(token)-20 {
		s.plant("the signature of "+name, []byte(token[at+1:]))
	}
}

// callGood lets tokens of every kind pass, and returns the first.
func (s *tokenSecrets) callGood() string {
	e, t := s.tokenEstate, s.t
	user := e.idp.SignIn(t, "clerk", audience).AccessToken
	opaque := e.idp.SignIn(t, "clerk", audience+"/opaque").AccessToken
	partner := e.partnerToken(t, "mapps", "grant_type=client_credentials")
	s.plantToken("the user's token", user)
	s.plantToken("the opaque token", opaque)
	s.plantToken("the partner's token", partner)
	for _, test := range []struct {
		name string
		calling
		onward bool
	}{
		{"the user's", calling{path: "/users/a", token: user}, false},
		{"the opaque", calling{path: "/opaque/a", token: opaque}, false},
		{"the partner's", calling{path: "/partners/a", as: "mapps", token: partner}, false},
		{"the acquired token", calling{path: "/acquired/a"}, true},
		{"the token acquired by a key", calling{path: "/keyed/a"}, true},
		{"the exchanged token", calling{path: "/exchanged/a", token: user}, true},
		{"the token on behalf", calling{path: "/behalf/a", token: user}, true},
		{"the token minted for nobody", calling{path: "/minted/a"}, true},
		{"the token minted for a user", calling{path: "/minted/a", token: user}, true},
	} {
		arrived := bearerOf(e.passes(t, test.calling))
		if test.onward == (arrived == test.token) {
			t.Errorf("%s: not the token that should has arrived", test.name)
		}
		if test.onward {
			s.plantToken(test.name, arrived)
		}
	}
	if arrived := e.passes(t, calling{path: "/bare/a", token: user}); bearerOf(arrived) != "" {
		t.Error("a token arrived at an upstream that is to get none")
	}
	if answer := e.send(t, calling{path: "/me", token: user}); answer.status != http.StatusOK {
		t.Errorf("answered %v", answer)
	} else {
		s.told["who am I"] = answer.body
	}
	return user
}

// callBad presents what is refused, each time something else, and what the identity provider refuses.
func (s *tokenSecrets) callBad() {
	e, t := s.tokenEstate, s.t
	for name, order := range map[string]tokenOrder{
		"an expired token": {Lifetime: -60}, "a token of a stranger's key": {Key: "stranger"}, "a token for others": {Claims: map[string]any{"aud": "others"}},
		"an ID token": {IDToken: true}, "a token without exp": {Claims: map[string]any{"exp": nil}}, "a token bound to another": {Claims: map[string]any{"cnf": map[string]any{"jkt": "x"}}},
	} {
		token := e.idp.Token(t, order)
		s.plantToken(name, token)
		s.told["the answer to "+name] = e.refused(t, calling{path: "/users/a", token: token}, http.StatusUnauthorized, "").body
	}
	for name, with := range map[string]func(secret string) calling{
		"garbage":         func(secret string) calling { return calling{path: "/users/a", token: secret} },
		"an opaque token": func(secret string) calling { return calling{path: "/opaque/a", token: secret} },
		"a JWT of garbage": func(secret string) calling {
			return calling{path: "/users/a", token: "eyJhbGciOiJSUzI1NiJ9." + secret + "." + secret}
		},
		"a password": func(secret string) calling {
			return calling{path: "/users/a", header: []string{"Authorization: Basic " + secret}}
		},
		"another scheme": func(secret string) calling {
			return calling{path: "/users/a", header: []string{"Authorization: " + secret + " x"}}
		},
		"a token in the query": func(secret string) calling { return calling{path: "/users/a?access_token=" + secret} },
		"a token in a cookie": func(secret string) calling {
			return calling{path: "/users/a", header: []string{"Cookie: token=" + secret}}
		},
		"a token in the body": func(secret string) calling {
			return calling{path: "/users/a", method: http.MethodPost, body: "access_token=" + secret}
		},
		"two tokens": func(secret string) calling {
			return calling{path: "/users/a", header: []string{"Authorization: Bearer " + secret, "Authorization: Bearer " + secret}}
		},
	} {
		secret := crand.Text()
		s.plant(name, []byte(secret))
		answer, seen := e.ask(t, with(secret))
		if answer.status != http.StatusUnauthorized && answer.status != http.StatusBadRequest || len(seen) > 0 {
			t.Errorf("%s is answered %v", name, answer)
		}
		s.told["the answer to "+name] = answer.body
	}
	secret := crand.Text()
	s.plant("a secret at our token endpoint", []byte(secret))
	answer := e.send(t, calling{path: "/token", method: http.MethodPost, as: "mapps", body: "grant_type=client_credentials&client_secret=" + secret, header: formHeader})
	s.told["the answer of the token endpoint"] = answer.body
	// A provider that refuses the secret, and one that answers garbage, make the server say so.
	next := crand.Text()
	s.plant("a secret that is refused", []byte(next), "secret/idp")
	stepup := e.idp.Token(t, tokenOrder{Claims: map[string]any{"sub": "stepup"}})
	s.plantToken("the token of one who must step up", stepup)
	e.refused(t, calling{path: "/behalf/a", token: stepup}, http.StatusUnauthorized, "step_up_required")
	fresh := e.idp.Token(t, tokenOrder{})
	s.plantToken("a token that cannot be exchanged", fresh)
	e.idp.Fault(idpGarbage)
	e.refused(t, calling{path: "/exchanged/a", token: fresh}, http.StatusServiceUnavailable, "")
	e.idp.Heal()
	s.secrets[0].lives = nil // it gives way to the one that is refused
	e.writeSecret(next)
	eventually(t, "the other secret is refused", func() bool {
		token := e.idp.Token(t, tokenOrder{})
		return e.send(t, calling{path: "/exchanged/a", token: token}).status == http.StatusServiceUnavailable
	})
}

// plantGenerated has the keys looked for that the server has generated. Each file of its state that holds any is theirs.
func (s *tokenSecrets) plantGenerated() {
	t, found := s.t, 0
	err := filepath.WalkDir(s.tokenEstate.path("state"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var kept struct {
			Keys []struct {
				PrivateKey string `json:"private_key"`
			} `json:"keys"`
		}
		_ = json.Unmarshal(content, &kept) // what is no JSON has no such keys
		name, err := filepath.Rel(s.tokenEstate.folder, path)
		for i, one := range kept.Keys {
			key, parsing := ca.ParsePrivateKey([]byte(one.PrivateKey))
			if parsing != nil {
				continue
			}
			found++
			s.plantKey(fmt.Sprintf("generated key %d", i+1), key)
			last := &s.secrets[len(s.secrets)-1]
			last.lives = []string{name}
		}
		return err
	})
	if err != nil || found == 0 {
		t.Fatalf("%d generated keys were found: %v", found, err)
	}
}

// askAbout asks everything that can be asked, with a token where one can be given.
func (s *tokenSecrets) askAbout(server *program, token string) {
	e, t := s.tokenEstate, s.t
	at := []string{"--admin-socket", e.path("xds,authz.sock")}
	for _, args := range [][]string{
		{"proxy", "status"}, {"proxy", "status", "--output", "json"}, {"certificates"}, {"certificates", "--output", "json"},
		{"explain", "--as-token", "provider=corporate,subject=clerk", "GET", "https://api.example.org/exchanged/a"},
	} {
		s.say(append(args, at...)...)
	}
	for _, group := range []string{"edge", "sidecar"} {
		s.say("translate", "--group", group, e.xdsSource)
	}
	s.told["explain --token"] = s.pipe(token, append([]string{"explain", "--token", "-", "GET", "https://api.example.org/exchanged/a"}, at...)...)
	s.told["token inspect"] = s.pipe(token, "token", "inspect", e.xdsSource)
	for i, argument := range server.Args {
		if argument == "--health-listen" {
			s.fetchPage("metrics", http.DefaultTransport, "http://"+server.Args[i+1]+"/metrics")
		}
	}
	for _, group := range []string{"edge", "sidecar"} {
		ask := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", e.path(group+".sock"))
		}}
		t.Cleanup(ask.CloseIdleConnections)
		for _, page := range []string{"/config_dump?include_eds", "/certs", "/clusters", "/listeners", "/stats", "/server_info", "/init_dump"} {
			s.fetchPage("the Envoy's of "+group+" "+page, ask, "http://envoy"+page)
		}
	}
	s.told["the audit file"] = e.read("audit.jsonl")
	for _, told := range []struct{ place, text string }{
		{"the audit file", "token_expired"}, {"the audit file", "clerk"}, {"explain --token", "clerk"}, {"token inspect", "clerk"}, {"the Envoy's of edge /config_dump?include_eds", "upstream/exchanged"},
	} {
		if !strings.Contains(s.told[told.place], told.text) {
			t.Errorf("%s does not say %q, so that there is nothing to test", told.place, told.text)
		}
	}
	s.lookAtProcesses()
}

// pipe runs the program with something at its standard input, and returns all that it says. How it ends does not matter.
func (s *tokenSecrets) pipe(input string, args ...string) string {
	command := exec.Command(binary, append(args, "--log-level", "trace")...)
	command.Stdin = strings.NewReader(input)
	p := launch(s.t, command)
	p.wait(s.t)
	return p.out.String() + p.err.String()
}
