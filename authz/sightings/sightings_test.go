package sightings_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/audit"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/authz/sightings"
	"github.com/sallyport-project/sallyport/config/checkcontext"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// a certificate's PEM, as far as anybody looks at it here.
var pem = url.PathEscape("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n")

func fingerprint(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// decision is one on a certificate that a truststore vouches for.
func decision(name string, why reason.Reason) *policy.Decision {
	return &policy.Decision{
		Request: &request.Request{Context: request.Context{Gateway: "edge"}, Certificate: pem},
		Allowed: why.Allows(), Reason: why, Consumer: name, Truststore: "partners",
		Certificate: &identity.Certificate{SHA256: fingerprint(name), Subject: "CN=" + name, Issuer: "CN=partners", Serial: "1f", NotAfter: noon.Add(24 * time.Hour)},
	}
}

// stranger is one on a certificate that nobody vouches for.
func stranger(name string) *policy.Decision {
	d := decision(name, reason.CertificateUntrusted)
	d.Consumer, d.Truststore, d.Certificate.Issuer = "", "", ""
	return d
}

func remember(t testing.TB, config sightings.Config) *sightings.Sightings {
	t.Helper()
	s, err := sightings.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestACertificateIsRememberedWithWhatCameOfIt(t *testing.T) {
	s := remember(t, sightings.Config{})
	s.Decided(decision("mapps", reason.PermissionGranted), noon)
	s.Decided(decision("mapps", reason.PermissionGranted), noon.Add(100*time.Millisecond)) // within the same second
	list := s.List()
	if len(list) != 1 {
		t.Fatalf("%+v", list)
	}
	got := list[0]
	if got.Consumer != "mapps" || got.Requests != 2 || !got.Allowed || got.Reason != reason.PermissionGranted || !got.LastSeen.Equal(noon) ||
		string(got.DER) != "\x01\x02\x03" || got.Truststore != "partners" || got.NotAfter != noon.Add(24*time.Hour) {
		t.Errorf("%+v", got)
	}
	s.Decided(decision("mapps", reason.PermissionMissing), noon.Add(time.Second))
	if got := s.List()[0]; got.Allowed || got.Reason != reason.PermissionMissing || got.Requests != 3 {
		t.Errorf("%+v", got)
	}
}

func TestTheLastOfSeveralDecisionsInOneSecondIsRemembered(t *testing.T) {
	s := remember(t, sightings.Config{})
	s.Decided(decision("mapps", reason.PermissionGranted), noon)
	s.Decided(decision("mapps", reason.CertificateRevoked), noon.Add(300*time.Millisecond))
	if got := s.List()[0]; got.Allowed || got.Reason != reason.CertificateRevoked {
		t.Errorf("%+v", got)
	}
	s.Decided(decision("mapps", reason.PermissionGranted), noon.Add(-time.Second)) // it comes late
	if got := s.List()[0]; got.Allowed || got.Requests != 3 {
		t.Errorf("%+v", got)
	}
}

func TestACertificateOfOursIsKnownByItsRefusalToo(t *testing.T) {
	for why, ours := range map[reason.Reason]bool{
		reason.CertificateRevoked: true, reason.CertificateExpired: true, reason.CertificateUnregistered: true,
		reason.CertificateNotYetValid: true, reason.CertificateUntrusted: false, reason.CertificateWeakKey: false, reason.CertificateIsCA: false,
	} {
		s := remember(t, sightings.Config{})
		met := stranger("mapps")
		met.Reason = why
		s.Decided(met, noon)
		if got := s.List()[0]; got.Ours() != ours || got.Vouched() {
			t.Errorf("%s: ours %t, vouched %t", why, got.Ours(), got.Vouched())
		}
	}
}

func TestWhoseACertificateWasIsRememberedWhenItHasExpired(t *testing.T) {
	s := remember(t, sightings.Config{})
	s.Decided(decision("mapps", reason.PermissionGranted), noon)
	expired := stranger("mapps")
	expired.Reason = reason.CertificateExpired
	s.Decided(expired, noon.Add(48*time.Hour))
	list := s.List()
	if len(list) != 1 || list[0].Consumer != "mapps" || list[0].Reason != reason.CertificateExpired || !list[0].Vouched() {
		t.Errorf("%+v", list)
	}
}

func TestAStrangerThatIsVouchedForLaterStandsOnce(t *testing.T) {
	s := remember(t, sightings.Config{})
	s.Decided(stranger("nsp"), noon)
	s.Decided(decision("nsp", reason.PermissionGranted), noon)
	if list := s.List(); len(list) != 1 || !list[0].Vouched() || len(list[0].DER) == 0 {
		t.Errorf("%+v", list)
	}
}

func TestStrangersDisplaceNobodyButEachOther(t *testing.T) {
	s := remember(t, sightings.Config{Size: 64, Strangers: 32})
	s.Decided(decision("mapps", reason.PermissionGranted), noon)
	for i := range 10_000 {
		s.Decided(stranger(fmt.Sprint("stranger ", i)), noon.Add(time.Duration(i)*time.Second))
	}
	list := s.List()
	if len(list) > 33 || list[0].Consumer != "mapps" {
		t.Errorf("%d sightings, the first %+v", len(list), list[0])
	}
}

func TestTheOneThatWasNotSeenForTheLongestTimeMakesRoom(t *testing.T) {
	s := remember(t, sightings.Config{Size: 1}) // one in each shard
	one := decision("one", reason.Everyone)
	other := decision("other", reason.Everyone)
	other.Certificate.SHA256 = "0" + one.Certificate.SHA256[1:] // the same shard
	s.Decided(one, noon)
	s.Decided(other, noon.Add(time.Second))
	if list := s.List(); len(list) != 1 || list[0].Consumer != "other" {
		t.Errorf("%+v", list)
	}
}

func TestRefusedHandshakesAreCounted(t *testing.T) {
	s := remember(t, sightings.Config{})
	s.Decided(decision("mapps", reason.PermissionGranted), noon)
	for i, name := range []string{"mapps", "nobody", "mapps"} {
		if err := s.Record(audit.Record{
			Time: noon.Add(time.Duration(i) * time.Minute), Kind: audit.KindHandshake, Gateway: "edge", Listener: "https",
			Reason: reason.CertificateExpired, CertificateSHA256: fingerprint(name), CertificateSubject: "CN=" + name,
		}); err != nil {
			t.Fatal(err)
		}
	}
	_ = s.Record(audit.Record{Kind: audit.KindDecision, Gateway: "edge"})
	got := s.Refusals()
	if len(got) != 1 || got[0].Count != 3 || got[0].Subject != "CN=mapps" || !got[0].Last.Equal(noon.Add(2*time.Minute)) {
		t.Errorf("%+v", got)
	}
	if seen := s.List(); len(seen) != 1 || seen[0].Handshakes != 2 || seen[0].HandshakeReason != reason.CertificateExpired || seen[0].Requests != 1 {
		t.Errorf("%+v", seen)
	}
}

func TestSightingsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightings.json")
	s := remember(t, sightings.Config{Path: path})
	s.Decided(decision("mapps", reason.PermissionGranted), noon)
	s.Decided(stranger("nobody"), noon)
	ended, end := context.WithCancel(t.Context())
	end()
	if err := s.Run(ended); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	list := remember(t, sightings.Config{Path: path}).List()
	if len(list) != 1 || list[0].Consumer != "mapps" || list[0].Requests != 1 || len(list[0].DER) != 3 || !list[0].LastSeen.Equal(noon) {
		t.Errorf("%+v", list)
	}
}

func TestAFileThatIsBrokenIsLeftOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sightings.json")
	for _, content := range []string{"", "{", `{"format": 99}`} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if list := remember(t, sightings.Config{Path: path}).List(); len(list) != 0 {
			t.Errorf("%q: %+v", content, list)
		}
	}
}

// BenchmarkDecided is a request with a certificate that is known. It must not allocate.
func BenchmarkDecided(b *testing.B) {
	s := remember(b, sightings.Config{})
	d := decision("mapps", reason.PermissionGranted)
	s.Decided(d, noon)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Decided(d, noon)
		}
	})
}

func TestAKnownCertificateCostsNoMemory(t *testing.T) {
	s := remember(t, sightings.Config{})
	d, at := decision("mapps", reason.PermissionGranted), noon
	s.Decided(d, at)
	if allocated := testing.AllocsPerRun(100, func() { at = at.Add(100 * time.Millisecond); s.Decided(d, at) }); allocated != 0 {
		t.Errorf("%v allocations a request", allocated)
	}
}

func TestIntermediatesThatACallerSendsAreKept(t *testing.T) {
	chain := url.PathEscape("-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBAUG\n-----END CERTIFICATE-----\n")
	r, _ := request.Parse(&authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{Certificate: pem},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Headers: map[string]string{request.ForwardedCertificate: `Hash=ab;Chain="` + chain + `"`},
		}},
		ContextExtensions: map[string]string{checkcontext.Gateway: "edge"},
	}})
	d := decision("mapps", reason.PermissionGranted)
	d.Request = r
	s := remember(t, sightings.Config{})
	s.Decided(d, noon)
	if got := s.List()[0]; string(got.DER) != "\x01\x02\x03" || len(got.Intermediates) != 1 || string(got.Intermediates[0]) != "\x04\x05\x06" {
		t.Errorf("%+v", got)
	}
}
