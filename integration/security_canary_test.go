package integration

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/hashicorp/go-hclog"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/sallyport-project/sallyport/envoy/process"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/enrolment"
)

// secretive is a whole run with secrets of every kind, and everything that was said in it.
type secretive struct {
	*estate
	t       *testing.T
	secrets []planted
	// told is what programs and pages said, by place.
	told map[string]string
	// saying are programs and servers whose words are still to come.
	saying map[string]func() string
}

// say runs the program to its good end, keeps what it said, and returns what it printed.
func (s *secretive) say(args ...string) string {
	s.t.Helper()
	printed := s.show(args...)
	s.told["output of "+strings.Join(args, " ")] = printed
	return printed
}

// show is say for what prints a secret once: what it printed is not kept.
func (s *secretive) show(args ...string) string {
	s.t.Helper()
	p := start(s.t, s.folder, append(args, "--log-level", "trace")...)
	if code := p.wait(s.t); code != 0 {
		s.t.Fatalf("sallyport %s: exit code %d\n%s", strings.Join(args, " "), code, p.err.String())
	}
	s.told["errors of "+strings.Join(args, " ")] = p.err.String()
	return p.out.String()
}

// TestSecurityNoSecretIsToldToAnybody lives through a deployment's life with secrets that would be known anywhere, and looks
// for them in all that was said, printed, dumped and written.
func TestSecurityNoSecretIsToldToAnybody(t *testing.T) {
	s := &secretive{t: t, told: map[string]string{}, saying: map[string]func() string{}}
	s.estate = &estate{t: t, folder: shortFolder(t), edgePort: freePort(t), xdsPort: freePort(t), authzPort: freePort(t), api: &api{}}
	s.xdsSource, s.authzSource = s.path("config"), s.path("config")
	s.api.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("x-received-consumer", r.Header.Get("x-consumer"))
	}))
	t.Cleanup(s.api.Close)
	s.foundAuthorities()
	server := s.startServer()
	admin := s.enrolEdge()
	s.onboard()
	s.ask(server, admin)
	s.search()
}

// foundAuthorities makes encrypted authorities, with passphrases by either kind of reference, and our own certificates.
func (s *secretive) foundAuthorities() {
	issuing, root := s.secret("passphrase"), s.secret("root-passphrase")
	const variable = "CANARY_PASSPHRASE"
	s.t.Setenv(variable, issuing)
	file := "file:" + s.path("secret", "passphrase")
	s.say("ca", "init", s.path("ca", "partners"), "--ca-passphrase", "env:"+variable, "--root-passphrase", "file:"+s.path("secret", "root-passphrase"))
	if err := os.Unsetenv(variable); err != nil { // nobody is to have it who was not given it
		s.t.Fatal(err)
	}
	for _, name := range []string{"proxies", "internal"} {
		s.say("ca", "init", s.path("ca", name), "--root-only", "--ca-passphrase", file)
		s.plantFile("ca/"+name+"/1/root-key.pem", issuing)
	}
	s.plantFile("ca/partners/1/root-key.pem", root)
	s.plantFile("ca/partners/1/issuing-key.pem", issuing)
	for name, args := range map[string][]string{
		"xds":    {"proxies", "control-plane", "--trust-domain", "example.org", "--ip", "127.0.0.1"},
		"authz":  {"proxies", "authz", "--trust-domain", "example.org", "--ip", "127.0.0.1"},
		"server": {"internal", "server", "--dns", "api.example.org"},
	} {
		s.say(append([]string{"ca", "issue", "--ca", s.path("ca", args[0]), "--ca-passphrase", file, "--profile", args[1], "--out", s.path("pki"), "--name", name}, args[2:]...)...)
		s.plantFile("pki/"+name+"-key.pem", "")
	}
	for _, name := range []string{"proxies", "internal"} {
		s.write(s.path("pki", name+".pem"), s.read("ca", name, "bundle.pem"))
	}
	s.write(s.path("config", "edge.yaml"), strings.NewReplacer(
		`{bundle: "file:../pki/partners.pem"}`, `{bundle: "file:../ca/partners/bundle.pem", intermediates: {from_caller: true}, issuance: {mode: registered, registers: ["file:../ca/partners/crl.pem.index"]}}`,
		"\n---\napi_version: sallyport/v1\nkind: Consumer\nmetadata: {name: mapps}\nspec: {certificates: [{truststore: partners, subject_common_name: mapps}], roles: [reader]}", "",
	).Replace(s.configuration())+"---\napi_version: sallyport/v1\nkind: Truststore\nmetadata: {name: ending}\nspec: {bundle: \"file:../pki/ending.pem\"}\n")
	ending := authority("ending")
	ending.NotBefore, ending.NotAfter = time.Now().AddDate(-1, 0, 0), time.Now().Add(time.Hour) // so that there is something to tell
	s.write(s.path("pki", "ending.pem"), string(bundleOf(mint(s.t, ending, nil))))
}

// startServer starts one process with all roles, and a webhook that it calls.
func (s *secretive) startServer() *program {
	s.secret("webhook-key")
	token := rand.Text()
	var called output
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(&called, r.Body)
		_ = r.Header.Write(&called)
	}))
	s.t.Cleanup(hook.Close)
	s.saying["the webhook"] = called.String
	s.write(s.path("secret", "webhook"), hook.URL+"/"+token)
	s.plant("webhook", []byte(token), "secret/webhook")
	p := s.serve("xds,authz,ca", s.xdsSource, "--log-level", "trace", "--state", s.path("state"), "--audit", s.path("audit.jsonl"),
		"--xds-listen", local(s.xdsPort), "--certificate", s.path("pki", "xds.pem"), "--private-key", s.path("pki", "xds-key.pem"),
		"--authz-listen", local(s.authzPort), "--authz-certificate", s.path("pki", "authz.pem"), "--authz-private-key", s.path("pki", "authz-key.pem"),
		"--ca-dir", s.path("ca", "proxies"), "--ca-dir", s.path("ca", "partners"), "--ca-passphrase", "file:"+s.path("secret", "passphrase"),
		"--enrol-ca", "proxies", "--enrol-listen", local(freePort(s.t)),
		"--expiry-webhook", "file:"+s.path("secret", "webhook"), "--expiry-webhook-secret", "file:"+s.path("secret", "webhook-key"))
	s.saying["the server"] = func() string { return p.out.String() + p.err.String() }
	return p
}

// socket is the server's admin socket.
func (s *secretive) socket() string { return s.path("xds,authz,ca.sock") }

// enrolEdge gets the edge its certificate by a token, and starts its Envoy.
func (s *secretive) enrolEdge() (admin string) {
	text := strings.TrimSpace(s.show("proxy", "token", "--admin-socket", s.socket(), "--trust-domain", "example.org", "--group", "edge", "--name", "edge-1"))
	token, err := enrolment.ParseToken(text)
	if err != nil {
		s.t.Fatal(err)
	}
	s.plant("the token", []byte(text), "secret/token")
	s.plant("the token's secret", token.Secret) // encoded twice in the token
	s.write(s.path("secret", "token"), text)
	admin = s.path("envoy.sock")
	s.say("proxy", "enroll", "--token-file", s.path("secret", "token"), "--out", s.path("edge"), "--xds", local(s.xdsPort), "--authz", local(s.authzPort), "--admin-socket", admin)
	s.plantFile("edge/identity-key.pem", "")
	var log output
	s.saying["Envoy's log"] = log.String
	p, err := process.New(process.Config{
		Binary: envoy, BootstrapPath: s.path("edge", "bootstrap.json"), Name: "edge", Concurrency: 1,
		Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace}),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the Envoy: %v", err)
		}
	})
	return admin
}

// onboard brings in partners whose keys are made here, and has them call.
func (s *secretive) onboard() {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		s.t.Fatal(err)
	}
	create := func(name string, args ...string) []string {
		return append([]string{"consumer", "create", name, "--generate", "--source", s.xdsSource, "--truststore", "partners", "--role", "reader",
			"--admin-socket", s.socket(), "--authority", "partners", "--url", "https://api.example.org/v1/a", "--out", s.path("kit-" + name), "--output", "json"}, args...)
	}
	s.say(create("mapps", "--age", identity.Recipient().String())...)
	key, certificate := s.openAge(s.path("kit-mapps", "mapps.zip.age"), identity)
	s.plantKey("the key of mapps", key)

	var made struct{ Password string }
	if err := json.Unmarshal([]byte(s.show(create("newcomer", "--pkcs12")...)), &made); err != nil || made.Password == "" {
		s.t.Fatalf("no password was shown: %v", err)
	}
	s.plant("the kit's password", []byte(made.Password))
	opened, _, _, err := pkcs12.DecodeChain([]byte(s.read("kit-newcomer", "credentials.p12")), made.Password)
	if err != nil {
		s.t.Fatal(err)
	}
	s.plantKey("the key of newcomer", opened.(crypto.Signer))
	s.call(key, certificate)
	s.say("consumer", "suspend", "newcomer", "--source", s.xdsSource)
	s.say("consumer", "revoke", "newcomer", "--reason", "key_compromise", "--admin-socket", s.socket(), "--authority", "partners")
}

// openAge takes the key and the certificates out of a kit.
func (s *secretive) openAge(path string, identity age.Identity) (key crypto.Signer, chain [][]byte) {
	file, err := os.Open(path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	plain, err := age.Decrypt(file, identity)
	if err != nil {
		s.t.Fatal(err)
	}
	content, err := io.ReadAll(plain)
	if err != nil {
		s.t.Fatal(err)
	}
	archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range archive.File {
		if f.FileInfo().IsDir() {
			continue
		}
		content, err := fs.ReadFile(archive, f.Name)
		if err != nil {
			s.t.Fatal(err)
		}
		if found, err := ca.ParsePrivateKey(content); err == nil {
			key = found
		} else if certificates, err := ca.ParseCertificates(content); err == nil && len(certificates) > len(chain) && !certificates[0].IsCA {
			chain = nil
			for _, c := range certificates {
				chain = append(chain, c.Raw)
			}
		}
	}
	if key == nil || chain == nil {
		s.t.Fatal("the kit holds no key, or no certificate")
	}
	return key, chain
}

// ask asks for everything that can be asked for.
func (s *secretive) ask(server *program, admin string) {
	at := []string{"--admin-socket", s.socket()}
	for _, args := range [][]string{
		{"proxy", "status"}, {"proxy", "status", "--output", "json"}, {"certificates"}, {"certificates", "--output", "json"},
		{"can", "mapps"}, {"who-can", "GET", "https://api.example.org/v1/a"}, {"explain", "--consumer", "mapps", "GET", "https://api.example.org/v1/a"},
	} {
		s.say(append(args, at...)...)
	}
	s.say("translate", "--group", "edge", s.xdsSource)
	for _, home := range []string{"partners", "proxies"} {
		s.say("ca", "show", "--ca", s.path("ca", home), "--output", "json")
		s.say("ca", "log", "--ca", s.path("ca", home), "--output", "json")
	}
	for i, argument := range server.Args {
		if argument == "--health-listen" {
			s.fetchPage("metrics", http.DefaultTransport, "http://"+server.Args[i+1]+"/metrics")
		}
	}
	ask := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", admin)
	}}
	s.t.Cleanup(ask.CloseIdleConnections)
	for _, page := range []string{"/config_dump?include_eds", "/certs", "/clusters", "/listeners", "/stats", "/server_info", "/init_dump"} {
		s.fetchPage("Envoy's "+page, ask, "http://envoy"+page)
	}
	if dump := s.told["Envoy's /config_dump?include_eds"]; !strings.Contains(dump, "certificate/server") {
		s.t.Error("the config dump does not show the secrets' names, so that there is nothing to test")
	}
	s.told["the audit file"] = s.read("audit.jsonl")
	eventually(s.t, "the webhook is called", func() bool { return s.saying["the webhook"]() != "" })
	s.lookAtProcesses()
}

func (s *secretive) fetchPage(place string, by http.RoundTripper, url string) {
	s.t.Helper()
	response, err := (&http.Client{Transport: by, Timeout: patience}).Get(url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: %d, %v", place, response.StatusCode, err)
	}
	s.told[place] = string(content)
}

// lookAtProcesses reads what everybody on the machine can, and what the same user can, of the processes that run.
func (s *secretive) lookAtProcesses() {
	s.t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		s.t.Fatal(err)
	}
	found := 0
	for _, path := range lines {
		content, err := os.ReadFile(path)
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil || pid == os.Getpid() || !bytes.Contains(content, []byte(s.folder)) {
			continue
		}
		environment, err := os.ReadFile(filepath.Join(filepath.Dir(path), "environ"))
		if err != nil {
			continue // it has ended
		}
		found++
		s.told[fmt.Sprintf("process %d", pid)] = string(content) + string(environment)
	}
	if found < 2 {
		s.t.Errorf("%d processes were found, want the server and Envoy", found)
	}
}

// call passes as a partner, with secrets in the request that the API may see and nobody else.
func (s *secretive) call(key crypto.Signer, chain [][]byte) {
	query, token := rand.Text(), rand.Text()
	s.plant("a query", []byte(query))
	s.plant("a token", []byte(token))
	client := s.clientOf(key, chain)
	eventually(s.t, "the partner passes", func() bool {
		status, _, err := s.get(client, "/v1/a?password="+query)
		return err == nil && status == http.StatusOK
	})
	request, err := http.NewRequest(http.MethodGet, "https://"+local(s.edgePort)+"/v1/a?password="+query, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Host = "api.example.org"
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Cookie", "session="+token)
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		s.t.Errorf("a token that nobody asked for is answered %d", response.StatusCode)
	}
	eventually(s.t, "it is recorded", func() bool { return strings.Contains(s.read("audit.jsonl"), "credentials_not_accepted") })
}

func (s *secretive) clientOf(key crypto.Signer, chain [][]byte) *http.Client {
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		RootCAs: s.pool("internal"), ServerName: "api.example.org", Certificates: []tls.Certificate{{Certificate: chain, PrivateKey: key}},
	}}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}
