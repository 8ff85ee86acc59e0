package integration

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSecurityAConfigurationReachesWhatItMayAlone gives the servers a configuration whose author names what is none of their
// business: files beside the folder that is allowed, and objects, secrets, keys and hosts that are not. None is read, nobody
// is called, and what is allowed goes on.
func TestSecurityAConfigurationReachesWhatItMayAlone(t *testing.T) {
	e := newEstate(t)
	elsewhere := newUnvisited(t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": elsewhere.url(""), "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": "eu-west-2",
		"AWS_EC2_METADATA_DISABLED": "true", "UNRELATED_SECRET": e.read("pki", "partners.pem"),
	} {
		t.Setenv(name, value)
	}
	e.write(e.path("pki-other", "secret.pem"), e.read("pki", "partners.pem"))
	e.write(e.path("secret.pem"), e.read("pki", "partners.pem"))
	if err := os.Symlink(e.path("secret.pem"), e.path("pki", "link.pem")); err != nil {
		t.Fatal(err)
	}
	e.write(e.path("pki", "beside.pem"), e.read("pki", "partners.pem"))
	var documents strings.Builder
	beyond := map[string]string{
		"beside":      "file:../secret.pem",
		"alike":       "file:../pki-other/secret.pem",
		"climbing":    "file:../pki/../secret.pem",
		"absolute":    "file:" + e.path("secret.pem"),
		"linked":      "file:../pki/link.pem",
		"environment": "env:UNRELATED_SECRET",
		"object":      "s3://somebody/else.pem",
		"versioned":   "s3://somebody/else.pem?version=1",
		"secret":      "secretsmanager:somebody/else#pem",
	}
	for name, reference := range beyond {
		fmt.Fprintf(&documents, "---\napi_version: sallyport/v1\nkind: Truststore\nmetadata: {name: beyond-%s}\nspec: {bundle: %q}\n", name, reference)
	}
	for name, list := range map[string]string{"list-host": elsewhere.url("/list.crl"), "list-object": "s3://somebody/list.crl", "list-file": "file:../secret.crl"} {
		beyond[name] = list
		fmt.Fprintf(&documents, "---\napi_version: sallyport/v1\nkind: Truststore\nmetadata: {name: beyond-%s}\nspec: {bundle: \"file:../pki/beside.pem\", revocation: {lists: [%q]}}\n", name, list)
	}
	for name, key := range map[string]string{"key-secret": "secretsmanager:somebody/else", "key-file": "file:../secret.pem", "key-environment": "env:UNRELATED_SECRET"} {
		fmt.Fprintf(&documents, "---\napi_version: sallyport/v1\nkind: Certificate\nmetadata: {name: beyond-%s}\nspec: {material: {certificate: \"file:../pki/server.pem\", private_key: %q}}\n", name, key)
		beyond[name] = key
	}
	fmt.Fprintf(&documents, "---\napi_version: sallyport/v1\nkind: Authority\nmetadata: {name: beyond-key}\nspec: {material: {certificate: \"file:../pki/internal.pem\", private_key: \"awskms:alias/somebody\"}}\n")
	fmt.Fprintf(&documents, "---\napi_version: sallyport/v1\nkind: Certificate\nmetadata: {name: beyond-issued}\nspec: {issued: {authority: beyond-key, profile: server, dns_names: [api.example.org]}}\n")
	e.configure("edge.yaml", e.configuration()+documents.String())

	allowed := []string{"--allow-material", "file:../pki", "--allow-material", "env:SALLYPORT_MATERIAL_", "--allow-material", "s3://ours/partners", "--allow-material", "secretsmanager:ours/"}
	e.serve("xds", e.xdsSource, append([]string{"--xds-listen", local(e.xdsPort), "--certificate", e.path("pki", "xds.pem"), "--private-key", e.path("pki", "xds-key.pem")}, allowed...)...)
	e.serve("authz", e.authzSource, append([]string{"--authz-listen", local(e.authzPort), "--authz-certificate", e.path("pki", "authz.pem"), "--authz-private-key", e.path("pki", "authz-key.pem")}, allowed...)...)
	e.startEnvoy()
	client := e.client("mapps")
	eventually(t, "what is allowed is served", func() bool { status, _, _ := e.get(client, "/v1/a"); return status == http.StatusOK })
	status := e.run("proxy", "status", "--admin-socket", e.path("xds.sock"))
	for name := range beyond {
		if !refusedByAllowList(status, "beyond-"+name) {
			t.Errorf("the status does not say that beyond-%s is not allowed", name)
		}
	}
	if !refusedByAllowList(status, "Authority beyond-key") {
		t.Error("the status does not say that the key of beyond-key is not allowed")
	}
	if t.Failed() {
		t.Log(status)
	}
	if calls := elsewhere.calls(); calls > 0 {
		t.Errorf("%d connections were made to where nobody is allowed to go", calls)
	}
}

// refusedByAllowList tells whether a line of a status is about a resource, and says that it is not allowed, or that a
// symbolic link leads out of what is.
func refusedByAllowList(status, resource string) bool {
	for line := range strings.Lines(status) {
		refused := strings.Contains(line, "not allowed by --allow-material") || strings.Contains(line, "path escapes from parent")
		if strings.Contains(line, resource+":") && refused {
			return true
		}
	}
	return false
}

// greedy is a certificate request that asks for everything.
func greedy(t *testing.T, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	value := func(v any) []byte {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	identity, err := url.Parse("spiffe://example.org/proxy/edge/edge-1")
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{
		Subject:  pkix.Name{CommonName: "nsp", Organization: []string{"Everybody"}},
		DNSNames: []string{"api.example.org"}, EmailAddresses: []string{"root@example.org"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, URIs: []*url.URL{identity},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: value(struct{ IsCA bool }{true})},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Critical: true, Value: value(asn1.BitString{Bytes: []byte{0x06}, BitLength: 7})}, // keyCertSign, cRLSign
			{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: value([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}, {2, 5, 29, 37, 0}})},
		},
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func requestPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
}

// proofOf puts the signature of one request under another.
func proofOf(t *testing.T, request, other []byte) []byte {
	t.Helper()
	type signed struct {
		Content, Algorithm asn1.RawValue
		Signature          asn1.BitString
	}
	var a, b signed
	for der, into := range map[*[]byte]*signed{&request: &a, &other: &b} {
		if _, err := asn1.Unmarshal(*der, into); err != nil {
			t.Fatal(err)
		}
	}
	a.Signature = b.Signature
	der, err := asn1.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// TestSecurityARequestGetsNothingButItsKeyCertified brings in a partner whose request asks for everything, by either verb, and
// calls the gateway as who it says it is.
func TestSecurityARequestGetsNothingButItsKeyCertified(t *testing.T) {
	e := newEstate(t)
	e.authzSource = e.xdsSource
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(e.client("mapps"), "/v1/a"); return status == http.StatusOK })

	key := fresh(t).(*ecdsa.PrivateKey)
	request := greedy(t, key)
	e.write(e.path("greedy.csr"), requestPEM(request))
	e.write(e.path("unproven.csr"), requestPEM(proofOf(t, request, greedy(t, fresh(t).(*ecdsa.PrivateKey)))))
	create := func(csr, out string) []string {
		return []string{"consumer", "create", "newcomer", "--csr", e.path(csr), "--source", e.xdsSource, "--truststore", "partners", "--role", "reader",
			"--ca", e.path("ca", "partners"), "--url", "https://api.example.org/v1/a", "--out", e.path(out)}
	}
	issue := func(csr, name string) []string {
		return []string{"ca", "issue", "--ca", e.path("ca", "partners"), "--profile", "partner", "--consumer", "newcomer", "--csr", e.path(csr), "--out", e.path("issued"), "--name", name}
	}
	before := e.run("ca", "log", "--ca", e.path("ca", "partners"))
	for _, args := range [][]string{create("unproven.csr", "unproven"), issue("unproven.csr", "unproven")} {
		if code := start(t, e.folder, args...).wait(t); code != 2 {
			t.Errorf("%s with a request that another key has signed: exit code %d, want 2", args[0], code)
		}
	}
	if after := e.run("ca", "log", "--ca", e.path("ca", "partners")); after != before {
		t.Errorf("something was issued to a request that another key has signed:\n%s", after)
	}
	told := e.run(create("greedy.csr", "kit")...)
	for _, asked := range []string{"CA:TRUE", "api.example.org", "spiffe://example.org/proxy/edge/edge-1", "key usage"} {
		if !strings.Contains(told, asked) {
			t.Errorf("it is not told that %s was ignored:\n%s", asked, told)
		}
	}
	e.run(issue("greedy.csr", "greedy")...)
	granted := map[string]*x509.Certificate{"ca issue": firstOf(t, e.read("issued", "greedy.pem")), "consumer create": e.ofKit("kit", key)}
	for verb, certificate := range granted {
		t.Run(verb, func(t *testing.T) { e.grantedNothing(t, certificate, key) })
	}
}

// ofKit is the certificate of a key in a partner kit.
func (e *estate) ofKit(folder string, key *ecdsa.PrivateKey) *x509.Certificate {
	e.t.Helper()
	files, err := os.ReadDir(e.path(folder))
	if err != nil {
		e.t.Fatal(err)
	}
	for _, file := range files {
		rest := []byte(e.read(folder, file.Name()))
		for block, after := pem.Decode(rest); block != nil; block, after = pem.Decode(after) {
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err == nil && key.PublicKey.Equal(certificate.PublicKey) {
				return certificate
			}
		}
	}
	e.t.Fatal("the kit holds no certificate of the key")
	return nil
}

func firstOf(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatal("there is no certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

func (e *estate) grantedNothing(t *testing.T, c *x509.Certificate, key *ecdsa.PrivateKey) {
	if !key.PublicKey.Equal(c.PublicKey) {
		t.Error("another key is certified")
	}
	if c.IsCA || c.KeyUsage != x509.KeyUsageDigitalSignature || !slices.Equal(c.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) || len(c.UnknownExtKeyUsage) > 0 {
		t.Errorf("it is certified as an authority (%t), for %b, %v, %v", c.IsCA, c.KeyUsage, c.ExtKeyUsage, c.UnknownExtKeyUsage)
	}
	if len(c.DNSNames)+len(c.EmailAddresses)+len(c.IPAddresses)+len(c.URIs) > 0 || c.Subject.String() != "CN=newcomer" {
		t.Errorf("it is certified as %s, %q %q %v %v", c.Subject, c.DNSNames, c.EmailAddresses, c.IPAddresses, c.URIs)
	}
	if bytes.Contains(c.Raw, []byte("Everybody")) {
		t.Error("what the request says stands in the certificate")
	}
	own := tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: key}
	eventually(t, "the newcomer passes", func() bool { return e.consumerOf(own) == "newcomer" })
	below := mint(t, template(nil), nil, own, own)
	if got := e.consumerOf(below); got != "" {
		t.Errorf("what its key has signed passes as %q", got)
	}
	if got := e.consumerOf(e.pair("mapps")); got != "mapps" {
		t.Errorf("the control passes as %q", got)
	}
}

// consumerOf is the consumer that the API is told of; empty if nothing arrives there.
func (e *estate) consumerOf(pair tls.Certificate) string {
	e.t.Helper()
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: e.pool("internal"), ServerName: "api.example.org",
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil },
	}}
	before := e.api.requests.Load()
	request, err := http.NewRequest(http.MethodGet, "https://"+local(e.edgePort)+"/v1/a", http.NoBody)
	if err != nil {
		e.t.Fatal(err)
	}
	request.Host = "api.example.org"
	response, err := (&http.Client{Transport: transport, Timeout: patience}).Do(request)
	if err != nil {
		return ""
	}
	_ = response.Body.Close()
	if e.api.requests.Load() == before {
		return ""
	}
	return response.Header.Get("x-received-consumer")
}
