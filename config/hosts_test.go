package config

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// placed says where a gateway's routes have come to stand: `listener/entry hostname: route/rule …`, and what of others an
// entry's wildcards would take: `listener/entry elsewhere: …`.
func placed(g *Gateway) []string {
	var lines []string
	for _, l := range g.Listeners {
		for _, e := range l.Entries {
			for _, host := range e.VirtualHosts {
				line := fmt.Sprintf("%s/%s %s:", l.Name, e.Name, host.Hostname)
				for _, rule := range host.Rules {
					line += " " + rule.Route.Name
				}
				lines = append(lines, line)
			}
			if len(e.Elsewhere) > 0 {
				lines = append(lines, fmt.Sprintf("%s/%s elsewhere: %v", l.Name, e.Name, e.Elsewhere))
			}
		}
	}
	return lines
}

// hosted is a configuration of one gateway with these listeners and a route for each list of hostnames, r0, r1…
func hosted(listeners string, hostnames ...string) files {
	f := base().add("edge.yaml", resource("Gateway", "edge", "\n  group: edge\n  listeners:\n"+listeners))
	delete(f, "access.yaml")
	f["routes.yaml"] = resource("Upstream", "api", `{endpoints: {addresses: ["10.0.0.7:8080"]}}`)
	f["access.yaml"] = resource("Policy", "public", "{authenticate: {anonymous: {}}, authorize: [{name: all, everyone: true}]}")
	for i, names := range hostnames {
		f[fmt.Sprintf("r%d.yaml", i)] = resource("Route", fmt.Sprintf("r%d", i),
			fmt.Sprintf("{gateway: edge, hostnames: %s, rules: [{name: all, match: {prefix: /p%d}, upstreams: [{name: api}], policy: public}]}", names, i))
	}
	return f
}

// tls is a listener with a TLS entry for each list of hostnames. Its certificate is given, so that nobody knows its names.
func tls(name string, port int, entries ...string) string {
	text := fmt.Sprintf("  - name: %s\n    address: 0.0.0.0\n    port: %d\n    tls:\n", name, port)
	for _, hostnames := range entries {
		text += fmt.Sprintf("    - {hostnames: %s, certificate: given}\n", hostnames)
	}
	return text
}

func plaintext(name string, port int) string {
	return fmt.Sprintf("  - {name: %s, address: 0.0.0.0, port: %d, plaintext: true}\n", name, port)
}

func TestEachEntryHasTheRoutesOfItsHostnames(t *testing.T) {
	for name, test := range map[string]struct {
		files files
		want  []string
	}{
		"two entries, two routes": {
			hosted(tls("l", 1, "[a.example.org]", "[b.example.org]"), "[a.example.org]", "[a.example.org, b.example.org]"),
			[]string{"l/a.example.org a.example.org: r0 r1", "l/b.example.org b.example.org: r1"},
		},
		"a hostname under a wildcard": {
			hosted(tls("l", 1, `["*.example.org"]`), "[a.example.org]", `["*.example.org"]`),
			[]string{"l/*.example.org *.example.org: r1", "l/*.example.org a.example.org: r0"},
		},
		"a hostname that another entry names is elsewhere": {
			hosted(tls("l", 1, `["*.example.org"]`, "[a.example.org]"), "[a.example.org]", "[b.example.org]"),
			[]string{"l/*.example.org b.example.org: r1", "l/*.example.org elsewhere: [a.example.org]", "l/a.example.org a.example.org: r0"},
		},
		"a wildcard within a wildcard is elsewhere, and so is what is under it": {
			hosted(tls("l", 1, `["*.example.org"]`, `["*.a.example.org"]`), "[x.a.example.org]", `["*.a.example.org"]`, "[x.example.org]"),
			[]string{
				"l/*.example.org x.example.org: r2", "l/*.example.org elsewhere: [*.a.example.org]",
				"l/*.a.example.org *.a.example.org: r1", "l/*.a.example.org x.a.example.org: r0",
			},
		},
		"an exact hostname within another entry's wildcard": {
			hosted(tls("l", 1, `["*.example.org", x.a.example.org]`, `["*.a.example.org"]`), "[x.a.example.org]", "[y.a.example.org]"),
			[]string{
				"l/*.example.org x.a.example.org: r0", "l/*.example.org elsewhere: [*.a.example.org]",
				"l/*.a.example.org y.a.example.org: r1", "l/*.a.example.org elsewhere: [x.a.example.org]",
			},
		},
		"a listener without TLS takes every hostname": {
			hosted(plaintext("l", 1), "[a.example.org]", `["*.example.org"]`),
			[]string{"l/plaintext *.example.org: r1", "l/plaintext a.example.org: r0"},
		},
		"each listener by itself": {
			hosted(tls("l", 1, "[a.example.org]")+plaintext("m", 2)+tls("n", 3, "[b.example.org]"), "[a.example.org]"),
			[]string{"l/a.example.org a.example.org: r0", "m/plaintext a.example.org: r0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			test.files["given.yaml"] = resource("Certificate", "given", "{material: {certificate: 'file:a', private_key: 'file:b'}}")
			if difference := cmp.Diff(test.want, placed(build(t, test.files).Gateway("edge"))); difference != "" {
				t.Errorf("unexpected places (-want +got):\n%s", difference)
			}
		})
	}
}

func TestAHostnameThatNoListenerServesIsAnError(t *testing.T) {
	expectProblems(t, base().replace("hostnames: [api.example.org]\n  rules", "hostnames: [api.example.org, app.example.org]\n  rules"),
		`routes.yaml:6:32: error: spec.hostnames[1]: no listener of the Gateway "edge" (edge.yaml:1:1) serves "app.example.org"`)
}

func TestServes(t *testing.T) {
	l := &Listener{Entries: []*Entry{{Hostnames: []string{"a.example.org", "*.b.example.org"}}}}
	for hostname, want := range map[string]bool{
		"a.example.org": true, "x.b.example.org": true, "x.y.b.example.org": true, "*.b.example.org": true,
		"b.example.org": false, "xb.example.org": false, "*.example.org": false, "example.org": false,
	} {
		if got := l.Serves(hostname); got != want {
			t.Errorf("does the listener serve %s? got %t", hostname, got)
		}
	}
}

func TestAListenerSaysHowItListens(t *testing.T) {
	for name, test := range map[string]struct {
		listener string
		want     string
	}{
		"neither TLS nor plaintext": {
			"  - {name: l, address: 0.0.0.0, port: 1}\n",
			"edge.yaml:7:5: error: spec.listeners[0]: expected `tls`, or `plaintext: true` for a listener without it",
		},
		"both": {
			"  - {name: l, address: 0.0.0.0, port: 1, plaintext: true, tls: [{hostnames: [a.example.org], certificate: server}]}\n",
			"edge.yaml:7:53: error: spec.listeners[0].plaintext: stands beside `tls`; a listener has one or the other",
		},
		"truststores without a mode": {
			"  - {name: l, address: 0.0.0.0, port: 1, tls: [{hostnames: [api.example.org], certificate: server, client_auth: {truststores: [partners]}}]}\n",
			"edge.yaml:7:127: error: spec.listeners[0].tls[0].client_auth.truststores: no certificate is asked for; set `mode: optional` or `mode: required`",
		},
		"an explanation without a mode": {
			"  - {name: l, address: 0.0.0.0, port: 1, tls: [{hostnames: [api.example.org], certificate: server, client_auth: {on_untrusted: explain}}]}\n",
			"edge.yaml:7:128: error: spec.listeners[0].tls[0].client_auth.on_untrusted: no certificate is asked for; set `mode: optional` or `mode: required`",
		},
		"a mode without truststores": {
			"  - {name: l, address: 0.0.0.0, port: 1, tls: [{hostnames: [api.example.org], certificate: server, client_auth: {mode: required}}]}\n",
			"edge.yaml:7:100: error: spec.listeners[0].tls[0].client_auth: expected `truststores`: which of them vouch for callers' certificates?",
		},
	} {
		t.Run(name, func(t *testing.T) { expectProblems(t, hosted(test.listener), test.want) })
	}
	model := build(t, hosted(plaintext("l", 80), "[a.example.org]"))
	entry := model.Gateway("edge").Listener("l").Entry(PlaintextEntry)
	if entry == nil || entry.Certificate != nil || entry.ClientAuth.Mode != ClientAuthNone || !slices.Equal(entry.Hostnames, []string{"*"}) {
		t.Errorf("got the entry %+v", entry)
	}
}
