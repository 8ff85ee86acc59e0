package question_test

import (
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// The names that models are made of. Two truststores share an authority.
var (
	truststores = []string{"t0", "t1", "t2", "t3"}
	roles       = []string{"r0", "r1", "r2", "r3"}
	policies    = []string{"p0", "p1", "p2", "p3", "p4"}
	consumers   = []string{"c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7"}
	methods     = []string{"GET", "POST", "DELETE"}
	segments    = []string{"a", "b", "c"}
	hosts       = []string{"api.example.org", "x.example.org", "y.example.org", "other.test"}
)

func (w *world) add(format string, args ...any) {
	w.documents = append(w.documents, "api_version: sallyport/v1\n"+fmt.Sprintf(format, args...))
}

func (w *world) chance(percent int) bool { return w.random.IntN(100) < percent }

func (w *world) one(of []string) string { return of[w.random.IntN(len(of))] }

// some are at least so many of a list, in a random order.
func (w *world) some(of []string, least int) []string {
	shuffled := slices.Clone(of)
	w.random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return shuffled[:least+w.random.IntN(len(of)-least+1)]
}

func list(of []string) string { return "[" + strings.Join(of, ", ") + "]" }

// write writes a model.
func (w *world) write() {
	w.add("kind: Authority\nmetadata: {name: shared}\nspec: {development: {}}")
	w.add("kind: Authority\nmetadata: {name: internal}\nspec: {development: {}}")
	for _, name := range truststores {
		bundle := "file:" + name + ".pem"
		if name == "t2" || name == "t3" {
			bundle = "authority:shared"
		}
		w.add("kind: Truststore\nmetadata: {name: %s}\nspec: {bundle: %q}", name, bundle)
	}
	w.add("kind: Truststore\nmetadata: {name: internal}\nspec: {bundle: \"authority:internal\"}")
	w.add("kind: Certificate\nmetadata: {name: server}\nspec: {material: {certificate: \"file:s.pem\", private_key: \"file:s.key\"}}")
	w.add("kind: Certificate\nmetadata: {name: own}\nspec: {issued: {authority: internal, profile: client, uris: [\"spiffe://example.org/edge\"]}}")
	w.gateways()
	w.providers()
	w.add("kind: Upstream\nmetadata: {name: api}\nspec: {endpoints: {addresses: [\"127.0.0.1:7000\"]}}")
	w.add("kind: Upstream\nmetadata: {name: inner}\nspec: {endpoints: {addresses: [\"127.0.0.1:9443\"]}, tls: {truststore: internal, server_name: inner.test, client_certificate: own}%s}",
		map[bool]string{true: ", token: {user: {pass: true}}"}[w.chance(50)])
	w.routes()
	for _, name := range roles {
		w.role(name)
	}
	for _, name := range policies {
		w.policy(name)
	}
	for _, name := range consumers {
		w.consumer(name)
	}
	w.add("kind: Consumer\nmetadata: {name: edge-proxy}\nspec: {certificates: [{truststore: internal, san_uri: \"spiffe://example.org/edge\"}]}")
	w.add("kind: Policy\nmetadata: {name: inner}\nspec:\n  authenticate: {certificate: {truststores: [internal]}}\n  authorize: [{name: edge, consumers: [edge-proxy]%s}]",
		map[bool]string{true: ", when: \"request.method != 'DELETE'\""}[w.chance(50)])
}

func (w *world) gateways() {
	entry := func(hostnames string) string {
		auth := ""
		if mode := w.one([]string{"none", "optional", "optional", "required"}); mode != "none" {
			auth = fmt.Sprintf(", client_auth: {mode: %s, truststores: %s, on_untrusted: %s}", mode, list(w.some(truststores, 3)), w.one([]string{"refuse", "explain"}))
		}
		return fmt.Sprintf("    - {hostnames: %s, certificate: server%s}", hostnames, auth)
	}
	listeners := "  - name: https\n    address: 0.0.0.0\n    port: 8443\n    tls:\n" + entry("[api.example.org, other.test]") + "\n" + entry(`["*.example.org"]`)
	if w.chance(40) {
		listeners += "\n  - {name: plain, address: 0.0.0.0, port: 8080, plaintext: true}"
	}
	w.add("kind: Gateway\nmetadata: {name: edge}\nspec:\n  group: edge\n  listeners:\n%s", listeners)
	w.add("kind: Gateway\nmetadata: {name: inside}\nspec:\n  group: inside\n  listeners:\n  - name: https\n    address: 0.0.0.0\n    port: 9443\n    tls:\n" +
		"    - {hostnames: [inner.test], certificate: server, client_auth: {mode: required, truststores: [internal]}}")
}

// path is a path of one to three parts, each made by the function, which is told whether it is the last.
func (w *world) path(part func(last bool) string) string {
	parts := make([]string, 1+w.random.IntN(3))
	for i := range parts {
		parts[i] = part(i == len(parts)-1)
	}
	return "/" + strings.Join(parts, "/")
}

func (w *world) literal(last bool) string {
	if last && w.chance(10) {
		return ""
	}
	return w.one(segments)
}

// template is a path template whose variables have names of a few.
func (w *world) template() string {
	names := w.some([]string{"x", "y", "z", "v"}, 4)
	if w.chance(15) {
		return "/{rest=**}"
	}
	return w.path(func(last bool) string {
		switch {
		case last && w.chance(25):
			return "{rest=**}"
		case w.chance(40):
			names = names[1:]
			return "{" + names[0] + "}"
		}
		return w.literal(last)
	})
}

func (w *world) routes() {
	for i := range 1 + w.random.IntN(3) {
		var rules []string
		for j := range 1 + w.random.IntN(4) {
			var match string
			switch w.random.IntN(4) {
			case 0:
				match = fmt.Sprintf("exact: %q", w.path(w.literal))
			case 1:
				match = fmt.Sprintf("prefix: %q", w.one([]string{"/a", "/b", "/a/b", "/c"}))
			default:
				match = fmt.Sprintf("template: %q", w.template())
			}
			if w.chance(30) {
				match += ", methods: " + list(w.some(methods, 1))
			}
			if w.chance(15) {
				match += ", headers: [{name: x-version, value: \"2\"}]"
			}
			rules = append(rules, fmt.Sprintf("  - {name: rule-%d, match: {%s}, upstreams: [{name: %s}], policy: %s}", j, match, w.one([]string{"api", "api", "inner"}), w.one(policies)))
		}
		w.routeNames = append(w.routeNames, fmt.Sprintf("route-%d", i))
		hostnames := w.some([]string{"api.example.org", "x.example.org", `"*.example.org"`, "other.test"}, 1)
		if i == 0 { // which takes what no other does
			hostnames = []string{"api.example.org", "x.example.org", `"*.example.org"`, "other.test"}
			rules = append(rules, fmt.Sprintf("  - {name: rest, match: {prefix: /}, upstreams: [{name: api}], policy: %s}", w.one(policies)))
		}
		w.add("kind: Route\nmetadata: {name: route-%d}\nspec:\n  gateway: edge\n  hostnames: %s\n  rules:\n%s", i, list(hostnames), strings.Join(rules, "\n"))
	}
	w.add("kind: Route\nmetadata: {name: inner}\nspec:\n  gateway: inside\n  hostnames: [inner.test]\n  rules:\n  - {name: all, match: {prefix: /}, upstreams: [{name: api}], policy: inner}")
}

func (w *world) role(name string) {
	var permissions []string
	for range 1 + w.random.IntN(3) {
		var paths []string
		for range 1 + w.random.IntN(3) {
			if path := fmt.Sprintf("%q", w.template()); !slices.Contains(paths, path) {
				paths = append(paths, path)
			}
		}
		only := ""
		if w.chance(50) {
			only = "methods: " + list(w.some(methods, 1)) + ", "
		}
		permissions = append(permissions, fmt.Sprintf("  - {routes: %s, %spaths: %s}", list(w.some(w.routeNames, 1)), only, list(paths)))
	}
	w.add("kind: Role\nmetadata: {name: %s}\nspec:\n  permissions:\n%s", name, strings.Join(permissions, "\n"))
}

// conditions are what rules demand further.
var conditions = []string{
	"path.x in consumer.attributes.areas",
	"!has(path.x) || path.x == 'a'",
	"has(path.y) && path.y != 'b'",
	"request.method == 'GET'",
	"request.time < timestamp('2030-01-02T13:00:00Z')",
	"request.time < timestamp('2030-01-02T11:00:00Z') || request.method == 'POST'",
	"certificate.common_name.startsWith('c')",
	"certificate.not_after > request.time",
	"certificate.serial.endsWith('a') || certificate.spki_sha256 < '8'",
	"size(certificate.uris) == 0",
	"certificate.not_before < certificate.not_after && consumer.name != 'c2'",
	"!has(certificate.common_name) || certificate.issuer_dn.contains('t1') || request.method == 'GET'",
	"consumer.name != 'c1'",
	"'r0' in consumer.roles",
	"request.path.startsWith('/a')",
	"subject.startsWith('consumer:')",
	"request.host == 'api.example.org' && request.gateway == 'edge'",
}

func (w *world) policy(name string) {
	certificate := func() string { return fmt.Sprintf("{certificate: {truststores: %s}}", list(w.some(truststores, 3))) }
	authenticate := certificate()
	jwt := func() string {
		only := ""
		if w.chance(25) {
			only = ", audiences: [a0]"
		}
		return fmt.Sprintf("{jwt: {providers: %s%s}}", list(w.some(providers, 1)), only)
	}
	tokens := true
	switch w.random.IntN(9) {
	default:
		tokens = false
	case 0:
		authenticate = jwt()
	case 1:
		authenticate = "{any_of: [" + jwt() + ", {anonymous: {}}]}"
	case 2:
		authenticate = "{any_of: [" + certificate() + ", " + jwt() + "]}"
	case 3:
		authenticate = "{all_of: [" + certificate() + ", " + jwt() + "]}"
	case 4:
		tokens, authenticate = false, "{anonymous: {}}"
	case 5:
		tokens, authenticate = false, "{any_of: ["+certificate()+", {anonymous: {}}]}"
	case 6:
		tokens, authenticate = false, "{all_of: ["+certificate()+", "+certificate()+"]}"
	case 7:
		tokens, authenticate = false, "{any_of: [{all_of: ["+certificate()+", {anonymous: {}}]}, "+certificate()+"]}"
	}
	var rules []string
	for i := range 1 + w.random.IntN(3) {
		form := w.one([]string{
			"permissions: consumer_roles", "permissions: consumer_roles", "consumer_roles: " + list(w.some(roles, 1)[:1]),
			"consumers: " + list(w.some(consumers, 1)), "everyone: true",
		})
		if tokens && w.chance(50) {
			form = w.one([]string{"token_roles: " + list(w.some(tokenRoles, 1)), "scopes: " + list(w.some(scopes, 1)), "everyone: true"})
		}
		switch {
		case tokens && w.chance(60):
			form += fmt.Sprintf(", when: %q", w.one(tokenConditions))
		case w.chance(40):
			form += fmt.Sprintf(", when: %q", w.one(conditions))
		}
		rules = append(rules, fmt.Sprintf("  - {name: rule-%d, %s}", i, form))
	}
	w.add("kind: Policy\nmetadata: {name: %s}\nspec:\n  authenticate: %s\n  authorize:\n%s\n  deny: {disclose: detail}", name, authenticate, strings.Join(rules, "\n"))
}

func (w *world) consumer(name string) {
	var matches []string
	for i := range min(w.random.IntN(6), 2) {
		match, h := w.match(name, fmt.Sprintf("%s-%d", name, i))
		matches = append(matches, fmt.Sprintf("{truststore: %s, %s}", h.truststore, match))
		w.holders = append(w.holders, h)
	}
	more := ""
	switch w.random.IntN(9) {
	case 0:
		more = "\n  suspended: true"
	case 1:
		more = "\n  valid_from: \"2030-01-02T13:00:00Z\""
	case 2:
		more = "\n  valid_until: \"2030-01-02T11:00:00Z\""
	case 3:
		more = "\n  valid_from: \"2030-01-02T11:00:00Z\"\n  valid_until: \"2030-01-02T14:00:00Z\""
	}
	if w.chance(30) {
		more += "\n  tokens: [" + tokenMatch(name) + "]"
	}
	w.add("kind: Consumer\nmetadata: {name: %s}\nspec:\n  certificates: %s\n  roles: %s\n  attributes: {areas: %s}%s",
		name, list(matches), list(w.some(roles, 1)), list(w.some(segments, 0)), more)
}

// match is a way to recognise a consumer, and the certificate that it recognises.
func (w *world) match(consumer, id string) (string, holder) {
	h := holder{consumer: consumer, truststore: w.one(truststores), request: ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: "n-" + id}}}
	hash := strings.Repeat("0", 64-len(id)) + strings.ReplaceAll(id, "-", "e")
	switch w.random.IntN(7) {
	case 0:
		h.request.Subject.Organization = []string{"example"}
		return fmt.Sprintf("subject_dn: %q", "CN=n-"+id+",O=example"), h
	case 1:
		h.request.URIs = []string{"spiffe://example.org/" + id}
		return fmt.Sprintf("san_uri: %q", h.request.URIs[0]), h
	case 2:
		h.request.Subject.CommonName += "-7"
		return fmt.Sprintf("patterns: {subject_common_name: %q}", "n-"+id+"-[0-9]+"), h
	case 3:
		h.placeholders = func(pair ca.KeyPair) []string {
			return []string{hash, sha256Of(pair.Certificate.RawSubjectPublicKeyInfo)}
		}
		return fmt.Sprintf("spki_sha256: %q", hash), h
	case 4:
		h.placeholders = func(pair ca.KeyPair) []string { return []string{hash, sha256Of(pair.Certificate.Raw)} }
		return fmt.Sprintf("certificate_sha256: %q", hash), h
	case 5:
		issuer, serial := "CN=issuer of "+id, "f"+strings.ReplaceAll(id, "-", "e")
		h.placeholders = func(pair ca.KeyPair) []string {
			return []string{issuer, pair.Certificate.Issuer.String(), `"` + serial + `"`, `"` + pair.Certificate.SerialNumber.Text(16) + `"`}
		}
		return fmt.Sprintf("issuer_dn: %q, serial: %q", issuer, serial), h
	}
	return fmt.Sprintf("subject_common_name: %q", h.request.Subject.CommonName), h
}
