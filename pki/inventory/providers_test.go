package inventory

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	"github.com/sallyport-project/sallyport/pki/signingkey"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func ofTokens(c *Config) { c.Providers = true }

const keySet = `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"a"}]}`

// idp is an issuer whose key set is a file, and of which we are a client by a secret.
func idp() *sallyportv1.ProviderSpec {
	return &sallyportv1.ProviderSpec{
		Issuers: []string{"https://idp.example.org"}, KeySet: "file:keys.json",
		Client: &sallyportv1.ProviderClient{Id: "edge", Secret: "file:secret"},
	}
}

// ourselves is an issuer of our own.
func ourselves(keys ...string) *sallyportv1.ProviderSpec {
	return &sallyportv1.ProviderSpec{
		Issuers: []string{"https://tokens.example.org"}, Leeway: durationpb.New(30 * time.Second),
		Mint: &sallyportv1.ProviderMint{
			Class: sallyportv1.TokenClass_TOKEN_CLASS_HOP, Keys: keys,
			Lifetime: durationpb.New(2 * time.Minute), RotateEvery: durationpb.New(720 * time.Hour),
		},
	}
}

func withProviders(f *fixture, providers map[string]*sallyportv1.ProviderSpec) *Snapshot {
	f.Helper()
	f.specs.Providers = providers
	return f.apply()
}

func (f *fixture) writeKey(name string) {
	f.Helper()
	key, err := signingkey.Generate(noon)
	if err != nil {
		f.Fatal(err)
	}
	text, err := ca.EncodePrivateKey(key.Signer)
	if err != nil {
		f.Fatal(err)
	}
	f.write(name, text)
}

func TestAProvidersMaterialIsRead(t *testing.T) {
	f := newFixture(t, ofTokens)
	f.write("secret", []byte("s3cret with a space \n"))
	f.write("keys.json", []byte(keySet))
	f.writeKey("client-key.pem")
	byKey := idp()
	byKey.Client = &sallyportv1.ProviderClient{Id: "edge", PrivateKey: "file:client-key.pem"}
	snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{
		"idp": idp(), "by-key": byKey, "bare": {Issuers: []string{"https://other.example.org"}},
	})
	f.wantNoProblem()
	if p := snapshot.Providers["idp"]; p.Secret != "s3cret with a space " || string(p.KeySet) != keySet || p.PrivateKey != nil || p.SigningKeys != nil {
		t.Errorf("%v", p)
	}
	if p := snapshot.Providers["by-key"]; p.Secret != "" || p.PrivateKey == nil {
		t.Errorf("%v", p)
	}
	if p := snapshot.Providers["bare"]; p == nil || p.KeySet != nil || p.Secret != "" {
		t.Errorf("%v", p)
	}
}

func TestASecretLosesTheLineBreakAtItsEndAlone(t *testing.T) {
	for written, want := range map[string]string{
		"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a": " a", "a ": "a ", "a\nb": "a\nb",
	} {
		f := newFixture(t, ofTokens)
		f.write("secret", []byte(written))
		f.write("keys.json", []byte(keySet))
		if got := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": idp()}).Providers["idp"].Secret; got != want {
			t.Errorf("%q is %q, want %q", written, got, want)
		}
	}
}

func TestWhatAProviderNamesIsReadOnlyByWhoUsesIt(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"for proxies alone":     nil,
		"for truststores alone": func(c *Config) { c.TruststoresOnly = true },
	} {
		f := newFixture(t, change)
		if snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": idp(), "hop": ourselves()}); len(snapshot.Providers) != 0 {
			t.Errorf("%s: %v", name, snapshot.Providers)
		}
		f.wantNoProblem()
	}
}

func TestWhoDecidesReadsTheCertificatesThatProvidersAreShown(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.TruststoresOnly, c.Providers = true, true })
	authority := f.authority("internal", 0)
	f.write("ca.pem", authority.CertificatePEM())
	f.write("ca-key.pem", authority.KeyPair().PrivateKeyPEM)
	f.specs.Authorities["internal"] = authorityMaterial("file:ca.pem", "file:ca-key.pem")
	f.specs.Authorities["other"] = authorityMaterial("file:ca.pem", "file:nothing.pem")
	f.specs.Certificates["client"] = issuedServer("internal", "client")
	f.specs.Certificates["server"] = issuedServer("other", "localhost")
	f.specs.Certificates["third"] = certificateMaterial("file:other.pem", "file:other-key.pem")
	byCertificate := idp()
	byCertificate.KeySet, byCertificate.Client = "", &sallyportv1.ProviderClient{Id: "edge", Certificate: "client"}
	snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": byCertificate})
	f.wantNoProblem()
	if len(snapshot.Certificates) != 1 || snapshot.Certificates["client"] == nil {
		t.Errorf("certificates %v", snapshot.Certificates)
	}
}

func TestEachPartOfAProviderKeepsItsLastGoodValue(t *testing.T) {
	f := newFixture(t, ofTokens)
	f.write("secret", []byte("one"))
	f.write("keys.json", []byte(keySet))
	f.writeKey("sign.pem")
	providers := map[string]*sallyportv1.ProviderSpec{"idp": idp(), "hop": ourselves("file:sign.pem")}
	first := withProviders(f, providers)
	f.wantNoProblem()

	for what, damage := range map[string]struct {
		file, content, name, words string
	}{
		"an empty secret":      {"secret", "\n", "idp", "its client's secret"},
		"no key set":           {"keys.json", "[]", "idp", "its key set: it is no key set"},
		"a key set of nothing": {"keys.json", `{"keys":[]}`, "idp", "its key set"},
		"no signing key":       {"sign.pem", "x", "hop", "its signing keys: signing key 1"},
	} {
		before, err := os.ReadFile(filepath.Join(f.dir, damage.file))
		if err != nil {
			t.Fatal(err)
		}
		f.write(damage.file, []byte(damage.content))
		broken := f.apply()
		if problem := f.findProblem(KindProvider, damage.name, damage.words); !problem.InForce {
			t.Errorf("%s: %v", what, problem)
		}
		for name := range providers {
			if broken.Providers[name].Hash != first.Providers[name].Hash {
				t.Errorf("%s: what %s had is gone", what, name)
			}
		}
		f.write(damage.file, before)
		f.apply()
		f.wantNoProblem()
	}
	f.wantGeneration(1)

	f.write("keys.json", []byte("{}")) // and the secret is rotated all the same
	f.write("secret", []byte("two"))
	if after := f.apply(); after.Providers["idp"].Secret != "two" || string(after.Providers["idp"].KeySet) != keySet {
		t.Errorf("%v", after.Providers["idp"])
	}
	f.wantGeneration(2)
}

func TestWhatNeverWasGoodIsAbsent(t *testing.T) {
	f := newFixture(t, ofTokens)
	snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": idp(), "hop": ourselves("file:sign.pem")})
	for _, words := range []string{"its client's secret", "its key set"} {
		if problem := f.findProblem(KindProvider, "idp", words); problem.InForce {
			t.Errorf("%v", problem)
		}
	}
	f.wantProblem(KindProvider, "hop", "its signing keys")
	if p := snapshot.Providers["idp"]; p.Secret != "" || p.KeySet != nil {
		t.Errorf("%v", p)
	}
	if p := snapshot.Providers["hop"]; p.SigningKeys != nil {
		t.Errorf("%v", p)
	}
}

func TestALastGoodSecretIsNotAnotherIssuers(t *testing.T) {
	f := newFixture(t, ofTokens)
	f.write("secret", []byte("one"))
	f.write("keys.json", []byte(keySet))
	withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": idp()})
	f.wantNoProblem()

	moved := idp()
	moved.Client.Secret = "file:moved"
	if p := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": moved}).Providers["idp"]; p.Secret != "one" {
		t.Error("the secret is gone although the issuer is the same")
	}
	another := idp()
	another.Issuers, another.Client.Secret, another.KeySet = []string{"https://another.example.org"}, "file:moved", "file:another.json"
	if p := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": another}).Providers["idp"]; p.Secret != "" || p.KeySet != nil {
		t.Error("another issuer has the secret or the key set")
	}
}

func TestMaterialOfProvidersIsHeldAgainstTheAllowList(t *testing.T) {
	f := newFixture(t, func(c *Config) {
		c.Providers = true
		allow, err := material.ParseAllowList([]string{"file:allowed"}, c.Base)
		if err != nil {
			t.Fatal(err)
		}
		c.Store = material.NewStore(material.Config{Allow: allow})
	})
	f.write("secret", []byte("one"))
	f.write("keys.json", []byte(keySet))
	f.writeKey("sign.pem")
	snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": idp(), "hop": ourselves("file:sign.pem")})
	f.wantProblem(KindProvider, "idp", "its client's secret: ")
	f.wantProblem(KindProvider, "idp", material.ErrNotAllowed.Error())
	f.wantProblem(KindProvider, "hop", material.ErrNotAllowed.Error())
	if p := snapshot.Providers["idp"]; p.Secret != "" || p.KeySet != nil {
		t.Errorf("%v", p)
	}
}

func TestGeneratedSigningKeysRotateByThemselves(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f := newFixture(t, func(c *Config) { c.Providers, c.StateDir = true, folder })
	first := withProviders(f, map[string]*sallyportv1.ProviderSpec{"hop": ourselves()}).Providers["hop"].SigningKeys
	f.wantNoProblem()
	if f.memory.next.IsZero() || len(first.Published) != 1 {
		t.Errorf("%v, next at %s", first, f.memory.next)
	}
	f.clock.advance(f.memory.next.Sub(f.clock.Now()))
	announced := f.apply().Providers["hop"].SigningKeys
	if announced.Signing.ID != first.Signing.ID || len(announced.Published) != 2 {
		t.Errorf("%v", announced)
	}
	f.clock.advance(f.memory.next.Sub(f.clock.Now()))
	if rotated := f.apply().Providers["hop"].SigningKeys; rotated.Signing.ID == first.Signing.ID || len(rotated.Published) != 2 {
		t.Errorf("%v", rotated)
	}
	f.wantGeneration(3)

	again := newFixture(t, func(c *Config) { c.Providers, c.StateDir, c.Clock = true, folder, f.clock.Now })
	if withProviders(again, f.specs.Providers).Providers["hop"].SigningKeys.Hash != f.Current().Providers["hop"].SigningKeys.Hash {
		t.Error("the keys are others after a restart")
	}
}

func TestSigningKeysInMemoryAreTheSameWhenTheirProviderComesBack(t *testing.T) {
	f := newFixture(t, ofTokens)
	providers := map[string]*sallyportv1.ProviderSpec{"hop": ourselves()}
	before := withProviders(f, providers).Providers["hop"].SigningKeys.Hash
	withProviders(f, nil)
	if withProviders(f, providers).Providers["hop"].SigningKeys.Hash != before {
		t.Error("they are others")
	}
}

func TestSigningKeysThatAreDamagedKeepTheLastGoodOnes(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f := newFixture(t, func(c *Config) { c.Providers, c.StateDir = true, folder })
	before := withProviders(f, map[string]*sallyportv1.ProviderSpec{"hop": ourselves()}).Providers["hop"].Hash
	if err := os.WriteFile(filepath.Join(folder, "signing", "hop.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	after := f.apply()
	f.wantProblem(KindProvider, "hop", "put the file back")
	if after.Providers["hop"].Hash != before {
		t.Error("the last good keys are gone")
	}
}

func TestASigningKeyIsOneProvidersAlone(t *testing.T) {
	f := newFixture(t, ofTokens)
	f.writeKey("one.pem")
	data, err := os.ReadFile(filepath.Join(f.dir, "one.pem"))
	if err != nil {
		t.Fatal(err)
	}
	f.write("two.pem", data)
	snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{"hop": ourselves("file:one.pem"), "partner": ourselves("file:two.pem")})
	f.wantProblem(KindProvider, "partner", `signs for the Provider "hop" already`)
	if snapshot.Providers["hop"].SigningKeys == nil || snapshot.Providers["partner"].SigningKeys != nil {
		t.Error("both sign by it, or none does")
	}
}

func TestSubstituteNeedsNothingOfWhatProvidersName(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f := newFixture(t, func(c *Config) { c.Substitute, c.StateDir = true, folder })
	byKey := idp()
	byKey.Client = &sallyportv1.ProviderClient{Id: "edge", PrivateKey: "secretsmanager:edge"}
	snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": idp(), "by-key": byKey, "hop": ourselves("secretsmanager:hop")})
	f.wantNoProblem()
	if p := snapshot.Providers["idp"]; p.Secret != DevelopmentSecret("idp") || p.KeySet != nil {
		t.Errorf("%v", p)
	}
	if snapshot.Providers["by-key"].PrivateKey == nil || snapshot.Providers["hop"].SigningKeys == nil {
		t.Errorf("%v", snapshot.Providers)
	}
	if after := f.apply(); after != snapshot {
		t.Error("it is another by applying again")
	}
	if _, err := os.Stat(filepath.Join(folder, "signing")); err == nil {
		t.Error("development keys lie where those of `serve` do")
	}
}

func TestSecretsOfProvidersAreNeverPrinted(t *testing.T) {
	f := newFixture(t, ofTokens)
	f.write("secret", []byte("canary-secret"))
	f.write("keys.json", []byte(keySet))
	snapshot := withProviders(f, map[string]*sallyportv1.ProviderSpec{"idp": idp(), "hop": ourselves()})
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, p := range snapshot.Providers {
			for _, value := range []any{p, *p, []Provider{*p}} {
				if printed := fmt.Sprintf(format, value); strings.Contains(printed, "canary") || len(printed) > 300 {
					t.Errorf("%s: %s", format, printed)
				}
			}
		}
	}
	f.write("secret", []byte("\n"))
	for _, problem := range f.apply().Problems {
		if strings.Contains(problem.Error(), "canary") {
			t.Errorf("%v", problem)
		}
	}
}

func TestAColdStartGoesOnWithTheKeySetThatWasGoodBefore(t *testing.T) {
	folder := t.TempDir()
	provider := idp()
	provider.KeySet, provider.Client = "s3://idp/keys.json", nil
	begin := func(objects shop) *Provider {
		f := newFixture(t, func(c *Config) {
			remotely(objects, folder)(c)
			c.Providers = true
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f.specs.Providers = map[string]*sallyportv1.ProviderSpec{"idp": provider}
		f.Apply(ctx, f.specs)
		done := make(chan error, 1)
		go func() { done <- f.Keeper.Run(ctx) }()
		deadline := time.After(10 * time.Second)
		for {
			current, superseded := f.Watch()
			if p := current.Providers["idp"]; p.KeySet != nil {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
				return p
			}
			select {
			case <-superseded:
			case <-deadline:
				t.Fatalf("there is no key set: %v", current.Problems)
			}
		}
	}
	begin(shop{"keys.json": []byte(keySet)})
	for name, objects := range map[string]shop{"while the place is away": nil, "while something else is there": {"keys.json": []byte("{}")}} {
		if p := begin(objects); string(p.KeySet) != keySet {
			t.Errorf("%s: %s", name, p.KeySet)
		}
	}
}
