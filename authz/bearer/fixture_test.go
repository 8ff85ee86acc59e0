package bearer_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/idp"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/config"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

// noon is when tokens are judged, unless a test says otherwise.
var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	corporateIssuer = "https://login.example.org/tenant"
	edgeIssuer      = "https://edge.example.org"
)

// key signs tokens by the algorithm of its type. Its kid can be any.
type key struct {
	private crypto.Signer
	id      string
}

func (k key) named(id string) key { return key{k.private, id} }

var (
	rsaKey  = sync.OnceValue(func() key { return key{must(rsa.GenerateKey(rand.Reader, 2048)), "rsa"} })
	oneKey  = sync.OnceValue(func() key { return newKey("one") })
	twoKey  = sync.OnceValue(func() key { return newKey("two") })
	edKey   = sync.OnceValue(func() key { _, private, err := ed25519.GenerateKey(rand.Reader); return key{must(private, err), "ed"} })
	edgeKey = sync.OnceValue(func() key { return newKey("edge") })
)

func newKey(id string) key {
	return key{must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)), id}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// object is JSON.
type object = map[string]any

// with changes a copy of an object: a nil value takes a member away.
func with(base object, changes ...object) object {
	changed := maps.Clone(base)
	for _, change := range changes {
		for name, value := range change {
			if value == nil {
				delete(changed, name)
			} else {
				changed[name] = value
			}
		}
	}
	return changed
}

// sign makes a token of whatever is given, right or wrong. The header has the key's alg and kid unless it says otherwise.
func sign(k key, header, claims object) string {
	algorithm := "EdDSA"
	switch k.private.Public().(type) {
	case *rsa.PublicKey:
		algorithm = "RS256"
	case *ecdsa.PublicKey:
		algorithm = "ES256"
	}
	whole := with(object{"alg": algorithm, "kid": k.id, "typ": "at+jwt"}, header)
	signed := encode(must(json.Marshal(whole))) + "." + encode(must(json.Marshal(claims)))
	return signed + "." + encode(k.signature([]byte(signed)))
}

func (k key) signature(signed []byte) []byte {
	digest := sha256.Sum256(signed)
	switch private := k.private.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, private, digest[:])
		return append(must(r, err).FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case ed25519.PrivateKey:
		return ed25519.Sign(private, signed)
	default:
		return must(k.private.Sign(rand.Reader, digest[:], crypto.SHA256))
	}
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// claims are those of a good token of the corporate Provider.
func claims(changes ...object) object {
	return with(object{
		"iss": corporateIssuer, "sub": "alice", "aud": "api", "exp": noon.Add(time.Hour).Unix(), "iat": noon.Add(-time.Minute).Unix(),
		"jti": "id-1", "sid": "session-1", "client_id": "app", "scope": "read write", "roles": []string{"captain", "admin"},
	}, changes...)
}

// corporate is a Provider with an issuer of its own.
func corporate(changes ...func(*config.Provider)) *config.Provider {
	return provider("corporate", append([]func(*config.Provider){func(p *config.Provider) {
		p.Issuers, p.Audiences = []string{corporateIssuer}, []string{"api", "other-api"}
	}}, changes...)...)
}

// edge is an issuer of our own.
func edge(class sallyportv1.TokenClass) *config.Provider {
	return provider("edge", func(p *config.Provider) {
		p.Issuers, p.Mint = []string{edgeIssuer}, &config.Mint{Class: class, Lifetime: 2 * time.Minute}
		p.Algorithms, p.Types = []string{"ES256", "ES384", "RS256", "EdDSA"}, []string{p.Mint.Type()}
	})
}

func provider(name string, changes ...func(*config.Provider)) *config.Provider {
	p := &config.Provider{
		Header: config.Header{Name: name}, Algorithms: []string{"RS256", "PS256", "ES256", "EdDSA"}, Types: []string{"at+jwt", "jwt", ""},
		Leeway: 30 * time.Second, Roles: map[string]bool{"captain": true, "mate": true}, Scopes: map[string]bool{"read": true, "write": true},
		Claims: config.ProviderClaims{
			Subject: []config.ClaimName{"sub"}, Roles: []config.ClaimName{"roles"}, Scopes: []config.ClaimName{"scope", "scp"},
			ClientID: []config.ClaimName{"client_id", "azp"},
		},
	}
	for _, change := range changes {
		change(p)
	}
	return p
}

func introspects(p *config.Provider) {
	p.Introspection = &config.Introspection{Cache: 30 * time.Second}
	p.Client = &config.ProviderClient{ID: "edge"}
}

// keys are key sets in force, and those that the Providers have by now.
type keys struct {
	mu             sync.Mutex
	force, present map[string]keyset.Set
	missed         int
}

func newKeys() *keys {
	return &keys{force: make(map[string]keyset.Set), present: make(map[string]keyset.Set)}
}

// put brings keys into force.
func (k *keys) put(provider string, set ...key) { k.store(k.force, provider, setOf(set...)) }

// publish lets a Provider have other keys, which somebody has to ask for.
func (k *keys) publish(provider string, set ...key) { k.store(k.present, provider, setOf(set...)) }

func (k *keys) store(sets map[string]keyset.Set, provider string, set keyset.Set) {
	k.mu.Lock()
	defer k.mu.Unlock()
	sets[provider] = set
}

func setOf(set ...key) keyset.Set {
	written := object{"keys": []object{}}
	list := []object{}
	for _, one := range set {
		public := must(jose.NewKey(one.private.Public()))
		var parsed struct{ Keys []object }
		if err := json.Unmarshal(must(jose.MarshalKeySet([]jose.Key{public})), &parsed); err != nil {
			panic(err)
		}
		jwk := parsed.Keys[0]
		if jwk["kid"] = one.id; one.id == "" {
			delete(jwk, "kid")
		}
		list = append(list, jwk)
	}
	written["keys"] = list
	parsed, _, err := jose.ParseKeySet(must(json.Marshal(written)))
	return keyset.Set{KeySet: must(parsed, err)}
}

func (k *keys) Keys(provider string) (keyset.Set, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	set, known := k.force[provider]
	return set, known
}

func (k *keys) Missing(_ context.Context, provider, _ string) (keyset.Set, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.missed++
	if set, known := k.present[provider]; known {
		return set, true
	}
	set, known := k.force[provider]
	return set, known
}

// says is an Introspector of given answers, which counts its questions.
type says struct {
	mu      sync.Mutex
	answers map[string]*idp.Introspection // by token
	fails   error
	asked   map[string]int // by Provider
}

func (s *says) Introspect(_ context.Context, provider, token string) (*idp.Introspection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked == nil {
		s.asked = make(map[string]int)
	}
	s.asked[provider]++
	if s.fails != nil {
		return nil, s.fails
	}
	if found := s.answers[token]; found != nil {
		return found, nil
	}
	return &idp.Introspection{}, nil
}

func (s *says) set(token string, found *idp.Introspection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.answers == nil {
		s.answers = make(map[string]*idp.Introspection)
	}
	s.answers[token] = found
}

// active is a good answer.
func active(changes ...object) *idp.Introspection {
	base := claims(object{"exp": noon.Add(time.Hour).Unix(), "iat": nil, "roles": []string{"captain"}, "active": true})
	read, err := jose.ParseClaims(must(json.Marshal(with(base, changes...))))
	return &idp.Introspection{Active: true, Claims: must(read, err)}
}

// The key sets of the program are such Keys.
var _ bearer.Keys = (*keyset.View)(nil)

// verifier judges by the Providers that were applied to it last.
type verifier struct {
	of   *bearer.Verifier
	keys bearer.Keys
	says bearer.Introspector
	view atomic.Pointer[bearer.View]
}

func (v *verifier) Apply(providers []*config.Provider) {
	v.view.Store(v.of.View(providers, v.keys, v.says))
}

func (v *verifier) Judge(ctx context.Context, providers, audiences []string, token string, now time.Time) *bearer.Verdict {
	return v.view.Load().Judge(ctx, providers, audiences, token, now)
}

// bench is a verifier with its fakes.
type bench struct {
	*verifier
	keys *keys
	says *says
}

// newBench judges by the Providers given; the corporate one has oneKey, the edge edgeKey.
func newBench(t testing.TB, providers ...*config.Provider) bench {
	t.Helper()
	b := bench{keys: newKeys(), says: &says{}}
	b.keys.put("corporate", oneKey(), rsaKey(), edKey())
	b.keys.put("edge", edgeKey())
	b.verifier = newVerifier(t, b, 100)
	b.Apply(providers)
	return b
}

func newVerifier(t testing.TB, b bench, size int) *verifier {
	t.Helper()
	return asks(t, b.keys, b.says, size)
}

// asks is a verifier that asks an Introspector, which may be nil.
func asks(t testing.TB, k bearer.Keys, says bearer.Introspector, size int) *verifier {
	t.Helper()
	v, err := bearer.NewVerifier(bearer.Config{Clock: func() time.Time { return noon }, CacheSize: size})
	if err != nil {
		t.Fatal(err)
	}
	made := &verifier{of: v, keys: k, says: says}
	made.Apply(nil)
	return made
}

// judge asks the corporate Provider at noon.
func (b bench) judge(t testing.TB, token string) *bearer.Verdict {
	t.Helper()
	return b.Judge(t.Context(), []string{"corporate"}, nil, token, noon)
}

func corporates() []*config.Provider { return []*config.Provider{corporate()} }
