package integration

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAnAuthorizationServiceThatIsKilledLetsNothingPassAndIsBackAtOnce(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	authz := e.startAuthz()
	e.startEnvoy()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(client, "/v1/a"); return status == http.StatusOK })

	l := e.loadFor(client, "/v1/a")
	eventually(t, "the load runs", func() bool { return l.ok.Load() > 20 })
	authz.end(t, syscall.SIGKILL)
	eventually(t, "requests are denied", func() bool { return l.denied.Load() > 5 })
	reached := e.api.requests.Load()
	before := l.denied.Load()
	eventually(t, "more are denied", func() bool { return l.denied.Load() > before+20 })
	if now := e.api.requests.Load(); now != reached {
		t.Errorf("%d requests reached the API while nobody authorized", now-reached)
	}

	e.startAuthz()
	ok := l.ok.Load()
	took := eventually(t, "requests pass again", func() bool { return l.ok.Load() > ok })
	t.Logf("requests passed %v after the service was ready", took.Round(time.Millisecond))
	if took > 2*time.Second {
		t.Errorf("requests passed only %v after the service was ready", took)
	}
	l.end()
	if l.failed.Load() > 0 || l.other.Load() > 0 {
		t.Errorf("%d requests had no answer (%v), %d a strange one", l.failed.Load(), l.lastFailure.Load(), l.other.Load())
	}
}

func TestTrafficGoesOnWithoutAControlPlaneAndNothingIsSentTwice(t *testing.T) {
	e := newEstate(t)
	control := e.startXDS()
	e.startAuthz()
	admin := e.startEnvoy()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(client, "/v1/a"); return status == http.StatusOK })
	updates := func() map[string]uint64 {
		stats, err := admin.Stats(t.Context(), `(lds|cds|rds|sds|eds).*update_success|cluster\.upstream.*update_success`)
		if err != nil {
			t.Fatal(err)
		}
		return stats
	}
	before := updates()
	if len(before) == 0 {
		t.Fatal("the Envoy counts no updates")
	}

	l := e.loadFor(client, "/v1/a")
	eventually(t, "the load runs", func() bool { return l.ok.Load() > 20 })
	control.end(t, syscall.SIGKILL)
	ok := l.ok.Load()
	eventually(t, "traffic goes on", func() bool { return l.ok.Load() > ok+50 })
	e.startXDS()
	eventually(t, "the proxy is back", func() bool {
		s := e.status()
		return len(s.Proxies) == 1 && s.Proxies[0].Connected && len(s.Proxies[0].Types) >= 4
	})
	ok = l.ok.Load()
	eventually(t, "traffic still goes on", func() bool { return l.ok.Load() > ok+50 })
	l.end()
	if l.denied.Load()+l.failed.Load()+l.other.Load() > 0 {
		t.Errorf("%d requests were denied, %d failed (%v)", l.denied.Load(), l.failed.Load(), l.lastFailure.Load())
	}
	for name, count := range updates() {
		if count != before[name] {
			t.Errorf("%s: %d updates before, %d after: something was sent again", name, before[name], count)
		}
	}
}

func TestARefusedRevisionIsShownWithEnvoysOwnWords(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(client, "/v1/a"); return status == http.StatusOK })

	// A port that somebody else has is nothing that a configuration shows.
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	second := fmt.Sprintf("  - name: second\n    address: 127.0.0.1\n    port: %d\n    tls:\n    - {hostnames: [api.example.org], certificate: server}\n---\nkind: Role", taken.Addr().(*net.TCPAddr).Port)
	changed := strings.Replace(e.configuration(), "---\napi_version: sallyport/v1\nkind: Role", strings.Replace(second, "kind: Role", "api_version: sallyport/v1\nkind: Role", 1), 1)
	e.configure("edge.yaml", changed)
	eventually(t, "the refusal is shown", func() bool {
		for _, proxy := range e.status().Proxies {
			for _, resources := range proxy.Types {
				for _, refused := range resources.Refused {
					return resources.Type == "listener" && refused.Name == "edge/second" && strings.Contains(refused.Message, "Address already in use")
				}
			}
		}
		return false
	})
	text := e.run("proxy", "status", "--admin-socket", e.path("xds.sock"))
	if !strings.Contains(text, "refused the listener edge/second") || !strings.Contains(text, "Address already in use") {
		t.Errorf("proxy status says:\n%s", text)
	}
	e.mustGet(client, "/v1/a", http.StatusOK)

	_ = taken.Close()
	e.configure("edge.yaml", e.configuration())
	eventually(t, "nothing is refused any more", func() bool {
		for _, proxy := range e.status().Proxies {
			for _, resources := range proxy.Types {
				if len(resources.Refused) > 0 {
					return false
				}
			}
		}
		return true
	})
}

// A proxy on an old route is one whose control plane has not followed yet: the two servers read different folders.
func TestAPolicyThatChangesWhileAProxyIsHeldOnTheOldRoute(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	mapps, nsp := e.client("mapps"), e.client("nsp")
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(mapps, "/v1/a"); return status == http.StatusOK })
	e.mustGet(nsp, "/v1/a", http.StatusForbidden)
	original := e.configuration()
	policy := func(rule string) string {
		return strings.Replace(original, "{name: granted, permissions: consumer_roles}", rule, 1)
	}
	loose, tight := policy("{name: all, everyone: true}"), policy("{name: one, consumers: [nsp]}")

	// Loosened: the old route's version still denies. A marker that takes effect without the route tells when authz has
	// the new configuration: the consumer mapps loses its role.
	e.write(e.authzSource+"/edge.yaml", strings.Replace(loose, "roles: [reader]}", "roles: []}", 1))
	eventually(t, "authz has the loosened policy", func() bool { status, _, _ := e.get(mapps, "/v1/a"); return status == http.StatusForbidden })
	e.mustGet(nsp, "/v1/a", http.StatusForbidden)
	// The route follows: now everyone passes.
	e.write(e.xdsSource+"/edge.yaml", loose)
	eventually(t, "the route has followed", func() bool { status, _, _ := e.get(nsp, "/v1/a"); return status == http.StatusOK })
	e.mustGet(mapps, "/v1/a", http.StatusOK)

	// Tightened: immediate, whatever the route says.
	e.write(e.authzSource+"/edge.yaml", tight)
	eventually(t, "the tightened policy denies", func() bool { status, _, _ := e.get(mapps, "/v1/a"); return status == http.StatusForbidden })
	e.mustGet(nsp, "/v1/a", http.StatusOK)

	// A route that is ahead waits for the policy that it names, and is denied with 503 when that does not come in time.
	e.write(e.xdsSource+"/edge.yaml", policy("{name: ahead, consumers: [mapps, nsp]}"))
	eventually(t, "the route is ahead", func() bool { status, _, _ := e.get(nsp, "/v1/a"); return status == http.StatusServiceUnavailable })
	e.write(e.authzSource+"/edge.yaml", policy("{name: ahead, consumers: [mapps, nsp]}"))
	eventually(t, "the policy has come", func() bool { status, _, _ := e.get(nsp, "/v1/a"); return status == http.StatusOK })
}

func TestARuleThatIsTakenAwayOrGivenAStricterPolicyWhileAProxyIsHeld(t *testing.T) {
	e := newEstate(t)
	rule := func(policy string) string {
		return strings.Replace(e.configuration(), "  - {name: all, match: {prefix: /v1}",
			"  - {name: open, match: {exact: /v1/open}, upstreams: [{name: api}], policy: "+policy+"}\n  - {name: all, match: {prefix: /v1}", 1) +
			"---\napi_version: sallyport/v1\nkind: Policy\nmetadata: {name: public}\nspec: {authenticate: {anonymous: {}}, authorize: [{name: all, everyone: true}]}\n"
	}
	e.configure("edge.yaml", rule("public"))
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	anonymous := e.client("")
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(anonymous, "/v1/open"); return status == http.StatusOK })

	e.write(e.authzSource+"/edge.yaml", rule("partners"))
	eventually(t, "the stricter policy counts", func() bool { status, _, _ := e.get(anonymous, "/v1/open"); return status == http.StatusForbidden })
	e.mustGet(e.client("mapps"), "/v1/open", http.StatusOK)
	e.write(e.authzSource+"/edge.yaml", e.configuration())
	eventually(t, "the rule is gone", func() bool {
		status, _, _ := e.get(e.client("mapps"), "/v1/open")
		return status == http.StatusServiceUnavailable
	})
}

func TestAServerCertificateRotatesUnderLoadBesideABrokenTruststore(t *testing.T) {
	e := newEstate(t)
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	client := e.client("mapps")
	eventually(t, "the edge serves", func() bool { status, _, _ := e.get(client, "/v1/a"); return status == http.StatusOK })
	before := e.servedSerial()

	l := e.loadFor(client, "/v1/a")
	eventually(t, "the load runs", func() bool { return l.ok.Load() > 20 })
	e.issue("internal", "server", "server-2", "--dns", "api.example.org")
	e.write(e.path("pki", "partners.pem"), "-----BEGIN CERTIFICATE-----\nthis is none\n-----END CERTIFICATE-----\n")
	for _, suffix := range []string{".pem", "-key.pem"} {
		if err := os.Rename(e.path("pki", "server-2"+suffix), e.path("pki", "server"+suffix)); err != nil {
			t.Fatal(err)
		}
	}
	took := eventually(t, "the new certificate is served", func() bool { return e.servedSerial() != before })
	t.Logf("the new certificate was served %v after it was on disk", took.Round(time.Millisecond))
	if took > 5*time.Second {
		t.Errorf("the new certificate was served only %v after it was on disk", took)
	}
	ok := l.ok.Load()
	eventually(t, "the old connection goes on", func() bool { return l.ok.Load() > ok+50 })
	l.end()
	if l.denied.Load()+l.failed.Load()+l.other.Load() > 0 {
		t.Errorf("%d requests were denied, %d failed (%v)", l.denied.Load(), l.failed.Load(), l.lastFailure.Load())
	}
	// The last good truststore is in force for new connections as well.
	e.mustGet(e.client("mapps"), "/v1/a", http.StatusOK)
	if text := e.run("proxy", "status", "--admin-socket", e.path("xds.sock")); !strings.Contains(text, "Truststore partners") {
		t.Errorf("proxy status says nothing of the truststore:\n%s", text)
	}
}

func TestServeDrainsAndEndsOnSIGTERM(t *testing.T) {
	e := newEstate(t)
	control, authz := e.startXDS(), e.startAuthz()
	e.startEnvoy()
	for name, p := range map[string]*program{"xds": control, "authz": authz} {
		if took := p.end(t, syscall.SIGTERM); took > 8*time.Second {
			t.Errorf("%s took %v to end", name, took)
		}
		if code := p.wait(t); code != 0 {
			t.Errorf("%s ended with %d", name, code)
		}
	}
}
