package tokens_test

import (
	"context"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/internal/fixture"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/tokens"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

const (
	discovery = "/.well-known/openid-configuration"
	keys      = "/keys"
	endpoint  = "/token"
)

func TestAProviderIsKnownByItsIssuerAndItsTruststoreAlone(t *testing.T) {
	h := newHouse(t)
	verdict := h.judge(h.issuer.token("alice"))
	if verdict.Refusal != nil {
		t.Fatal(verdict.Refusal)
	}
	if verdict.Token.Subject != "alice" || verdict.Token.Provider.Name != "corporate" {
		t.Errorf("it is %v", verdict.Token)
	}
	if got, refused := h.goesOn(); got != "Bearer given" {
		t.Errorf("%q goes on, refused %q", got, refused)
	}
	form, asked := h.issuer.form()
	if id, secret, _ := asked.BasicAuth(); id != "edge" || secret != canary || form.Get("scope") != "one" {
		t.Errorf("asked as %q for %v", id, form)
	}
}

func TestAnotherConfigurationKeepsConnectionsAndTokensOfProvidersThatStay(t *testing.T) {
	h := newHouse(t)
	h.goesOn()
	h.apply()
	h.goesOn()
	if n := h.issuer.requests(endpoint); n != 1 {
		t.Errorf("%d requests for a token", n)
	}
	h.scope = "two"
	h.apply()
	h.goesOn()
	if n, m := h.issuer.requests(endpoint), h.issuer.requests(discovery); n != 2 || m != 1 {
		t.Errorf("%d requests for a token, %d discoveries", n, m)
	}
	h.client = `id: other, secret: "env:SECRET"`
	h.apply()
	h.goesOn()
	if n, m := h.issuer.requests(endpoint), h.issuer.requests(discovery); n != 3 || m != 2 {
		t.Errorf("as another client: %d requests for a token, %d discoveries", n, m)
	}
}

func TestASecretThatRotatesCountsFromItsNextUse(t *testing.T) {
	h := newHouse(t)
	h.goesOn()
	h.material = &inventory.Snapshot{Truststores: h.material.Truststores, Providers: map[string]*inventory.Provider{"corporate": {Name: "corporate", Secret: canary + "-next"}}}
	h.scope = "two"
	h.apply()
	h.goesOn()
	_, asked := h.issuer.form()
	if _, secret, _ := asked.BasicAuth(); secret != canary+"-next" {
		t.Errorf("asked by %q", secret)
	}
}

func TestAClientProvesItselfByItsKey(t *testing.T) {
	h := newHouse(t)
	key := newKey(t)
	signer, err := jose.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, id := range map[string]string{"by thumbprint": "", "by the provider's own name for it": "key-1"} {
		h.client = `id: edge, authentication: private_key_jwt, private_key: "file:key.pem", key_id: "` + id + `"`
		h.material.Providers = map[string]*inventory.Provider{"corporate": {Name: "corporate", PrivateKey: key}}
		h.apply()
		if _, refused := h.goesOn(); refused != "" {
			t.Fatalf("%s: %s", name, refused)
		}
		form, _ := h.issuer.form()
		assertion, err := jose.Parse(form.Get("client_assertion"))
		if err != nil {
			t.Fatal(err)
		}
		want := id
		if want == "" {
			want = signer.KeyID()
		}
		if err := assertion.Verify(signer.Public()); err != nil || assertion.Header.KeyID != want || assertion.Claims.Subject != "edge" {
			t.Errorf("%s: the assertion is by %q, error %v", name, assertion.Header.KeyID, err)
		}
	}
}

func TestAClientProvesItselfByItsCertificate(t *testing.T) {
	h := newHouse(t)
	h.client = `id: edge, authentication: tls_client_auth, certificate: own`
	h.apply()
	if _, refused := h.goesOn(); !strings.Contains(refused, "certificate") {
		t.Errorf("without a certificate: refused %q", refused)
	}
	pair, err := fixture.NewAuthority(t, "own").Issue(ca.Request{Profile: ca.Client, URIs: []string{"spiffe://example.org/edge"}})
	if err != nil {
		t.Fatal(err)
	}
	h.material.Certificates = map[string]*inventory.KeyPair{"own": {
		Name: "own", Leaf: pair.Certificate, CertificatePEM: pair.CertificatePEM, PrivateKeyPEM: pair.PrivateKeyPEM, Hash: "1",
	}}
	h.scope = "two"
	h.apply()
	if got, refused := h.goesOn(); got != "Bearer given" {
		t.Errorf("with a certificate: refused %q", refused)
	}
	if form, _ := h.issuer.form(); form.Get("client_id") != "edge" || form.Has("client_secret") {
		t.Errorf("asked by %v", form)
	}
}

func TestAProviderWhoseTruststoreIsMissingIsSpokenToByNobody(t *testing.T) {
	h := newHouse(t)
	good := h.material.Truststores
	h.material.Truststores = nil
	h.scope = "two"
	h.apply()
	if v := h.judge(h.issuer.token("alice")); v.Refusal == nil || v.Refusal.Reason != reason.ProviderUnavailable {
		t.Errorf("judged %+v", v)
	}
	if got, refused := h.goesOn(); got != "" || refused == "" {
		t.Errorf("%q goes on", got)
	}
	stranger := fixture.NewAuthority(t, "other").Certificate()
	h.material.Truststores = map[string]*inventory.Truststore{"issuers": {Name: "issuers", BundleHash: "2", Anchors: []*x509.Certificate{stranger}}}
	h.scope = "three"
	h.apply()
	if got, refused := h.goesOn(); got != "" || !strings.Contains(refused, "certificate") {
		t.Errorf("%q goes on, refused %q", got, refused)
	}
	if n := h.issuer.requests(discovery); n != 0 {
		t.Errorf("asked %d times, though its certificate is a stranger's", n)
	}
	h.material.Truststores = good
	h.scope = "four"
	h.apply()
	if got, refused := h.goesOn(); got != "Bearer given" {
		t.Errorf("once the truststore is there: refused %q", refused)
	}
}

func TestWithoutASecretNobodyIsAsked(t *testing.T) {
	h := newHouse(t)
	h.material.Providers = nil
	h.apply()
	if _, refused := h.goesOn(); !strings.Contains(refused, "secret") {
		t.Errorf("refused %q", refused)
	}
	if n := h.issuer.requests(endpoint); n != 0 {
		t.Errorf("asked %d times", n)
	}
	if v := h.judge(h.issuer.token("alice")); v.Refusal != nil { // needs no secret
		t.Errorf("judged %+v", v.Refusal)
	}
}

func TestKeySetsOutliveTheProcessWhileTheirProviderIsAway(t *testing.T) {
	folder := t.TempDir()
	h := newHouse(t, func(c *tokens.Config) { c.Folder = folder })
	alice := h.issuer.token("alice")
	if v := h.judge(alice); v.Refusal != nil {
		t.Fatal(v.Refusal)
	}
	eventually(t, "the key set is not kept", func() bool {
		files, err := os.ReadDir(folder)
		return err == nil && len(files) == 1 && strings.HasSuffix(files[0].Name(), ".json")
	})
	h.issuer.goDown(true)
	next, err := tokens.New(tokens.Config{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	if v := next.Apply(h.model(), h.material).Judge(t.Context(), []string{"corporate"}, nil, alice, time.Now()); v.Refusal != nil {
		t.Errorf("after a restart: %+v", v.Refusal)
	}
	empty, err := tokens.New(tokens.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if v := empty.Apply(h.model(), h.material).Judge(t.Context(), []string{"corporate"}, nil, alice, time.Now()); v.Refusal == nil || v.Refusal.Reason != reason.ProviderUnavailable {
		t.Errorf("without a folder: %+v", v)
	}
}

func TestAKeySetThatIsMaterialIsNotFetched(t *testing.T) {
	h := newHouse(t)
	set, err := jose.MarshalKeySet([]jose.Key{h.issuer.signer.Public()})
	if err != nil {
		t.Fatal(err)
	}
	model := fixture.Model(t, strings.NewReplacer("ISSUER", h.issuer.server.URL, "CLIENT", h.client, "SCOPE", h.scope,
		"  audiences: [api]\n", "  audiences: [api]\n  key_set: \"file:keys.json\"\n").Replace(resources))
	h.material.Providers["corporate"].KeySet = set
	h.View = h.Apply(model, h.material)
	if v := h.judge(h.issuer.token("alice")); v.Refusal != nil {
		t.Errorf("judged %+v", v.Refusal)
	}
	h.material.Providers = nil
	h.View = h.Apply(model, h.material)
	if v := h.judge(h.issuer.token("alice")); v.Refusal == nil || v.Refusal.Reason != reason.ProviderUnavailable {
		t.Errorf("without it: %+v", v)
	}
	if n := h.issuer.requests(keys) + h.issuer.requests(discovery); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

func TestKeySetsAreFetchedBeforeTheyAreNeeded(t *testing.T) {
	h := newHouse(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	eventually(t, "they were not fetched", func() bool {
		states := h.States().KeySets
		return len(states) == 1 && states[0].Set.KeySet != nil
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestWhatIsJudgedByAViewMeetsTheKeysAndTheIssuerOfNoOther(t *testing.T) {
	h := newHouse(t)
	before, leads, first := h.View, h.leads, h.issuer
	alice := first.token("alice")
	if v := h.judge(alice); v.Refusal != nil {
		t.Fatal(v.Refusal)
	}
	h.issuer = newIssuer(t) // another one of the same name, and somebody else's secret
	h.material = &inventory.Snapshot{
		Truststores: map[string]*inventory.Truststore{"issuers": {Name: "issuers", BundleHash: "2", Anchors: []*x509.Certificate{h.issuer.server.Certificate()}}},
		Providers:   map[string]*inventory.Provider{"corporate": {Name: "corporate", Secret: canary + "-next"}},
	}
	h.apply()
	bob := h.issuer.token("bob")
	after := h.View
	for name, one := range map[string]struct {
		by    *tokens.View
		token string
		taken bool
	}{"old by old": {before, alice, true}, "old by new": {after, alice, false}, "new by new": {after, bob, true}, "new by old": {before, bob, false}} {
		verdict := one.by.Judge(t.Context(), []string{"corporate"}, nil, one.token, time.Now())
		if (verdict.Refusal == nil) != one.taken {
			t.Errorf("%s: %+v", name, verdict)
		}
	}
	h.View, h.leads = before, leads
	if got, refused := h.goesOn(); got != "Bearer given" {
		t.Errorf("by the view of before: %q goes on, refused %q", got, refused)
	}
	if _, asked := first.form(); asked != nil {
		if _, secret, _ := asked.BasicAuth(); secret != canary {
			t.Errorf("the first issuer is shown the secret %q", secret)
		}
	}
	if n := h.issuer.requests(endpoint); n != 0 {
		t.Errorf("the other issuer was asked %d times", n)
	}
}

func TestWhatAnAuthorityHasVouchedForCountsNoLongerThanItDoes(t *testing.T) {
	h := newHouse(t)
	alice := h.issuer.token("alice")
	if v := h.judge(alice); v.Refusal != nil {
		t.Fatal(v.Refusal)
	}
	h.goesOn()
	stranger := fixture.NewAuthority(t, "other").Certificate()
	trust := func(bundle, all string, anchors ...*x509.Certificate) {
		h.material = &inventory.Snapshot{
			Truststores: map[string]*inventory.Truststore{"issuers": {Name: "issuers", BundleHash: bundle, Hash: all, Anchors: anchors}},
			Providers:   h.material.Providers,
		}
		h.apply()
	}
	trust("1", "with another list", h.issuer.server.Certificate()) // the same authorities
	if v := h.judge(alice); v.Refusal != nil || h.issuer.requests(keys) != 1 {
		t.Errorf("the key set is fetched %d times, refused %v", h.issuer.requests(keys), v.Refusal)
	}
	trust("2", "", stranger)
	if v := h.judge(alice); v.Refusal == nil || v.Refusal.Reason != reason.ProviderUnavailable {
		t.Errorf("judged %+v by keys that nobody vouches for", v)
	}
	if got, _ := h.goesOn(); got != "" {
		t.Errorf("%q goes on", got)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, otherwise string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !holds() {
		select {
		case <-time.After(5 * time.Millisecond):
		case <-deadline:
			t.Fatal(otherwise)
		}
	}
}
