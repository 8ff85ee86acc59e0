package mint

import (
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/signingkey"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

const (
	edge        = "spiffe://example.org/gateway/edge"
	certificate = "a3f1c0de00112233445566778899aabbccddeeff00112233445566778899aabb"
	thumbprint  = "o_HA3gARIjNEVWZ3iJmqu8zd7v8AESIzRFVmd4iZqrs"
)

func named(name string) config.Header { return config.Header{Name: name} }

// hops mints tokens for the next of our own, partners those of the token endpoint.
func hops() *config.Provider {
	return &config.Provider{
		Header: named("hops"), Issuers: []string{"https://edge.example.org/hops"},
		Mint: &config.Mint{Class: sallyportv1.TokenClass_TOKEN_CLASS_HOP, Lifetime: 2 * time.Minute},
	}
}

var (
	reader = &config.Role{Header: named("reader")}
	mapps  = &config.Consumer{Header: named("mapps"), Roles: []*config.Role{reader}}
	nsp    = &config.Consumer{Header: named("nsp")}
	other  = &config.Consumer{Header: named("other")}
)

func partners() *config.Provider {
	return &config.Provider{
		Header: named("partners"), Issuers: []string{"https://edge.example.org/partners"},
		Mint: &config.Mint{
			Class: sallyportv1.TokenClass_TOKEN_CLASS_PARTNER, Lifetime: 5 * time.Minute,
			Grants: []*config.TokenGrant{
				{Consumers: []*config.Consumer{mapps, nsp}, Audiences: []string{"visits", "prisons"}, Scopes: []string{"visits:read"}},
				{Roles: []*config.Role{reader}, Audiences: []string{"prisons"}, Scopes: []string{"prisons:read", "visits:read"}},
			},
		},
	}
}

func newIssuer(t testing.TB, p *config.Provider) *Issuer {
	t.Helper()
	keys, _, err := signingkey.Open("").At(signingkey.Schedule{RotateEvery: time.Hour, Lifetime: MaxLifetime}, noon)
	if err != nil {
		t.Fatal(err)
	}
	i, err := NewIssuer(p, keys)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// verify reads a token as somebody does who has the issuer's key set.
func verify(t testing.TB, i *Issuer, token string) *jose.Token {
	t.Helper()
	parsed, err := jose.Parse(token)
	if err != nil {
		t.Fatal(err)
	}
	set, leftOut, err := jose.ParseKeySet(i.KeySet())
	if err != nil || len(leftOut) > 0 {
		t.Fatalf("%v, left out %v", err, leftOut)
	}
	keys := set.Find(parsed.Header.KeyID, jose.Algorithm(parsed.Header.Algorithm))
	if len(keys) != 1 {
		t.Fatalf("%d keys are called %s", len(keys), parsed.Header.KeyID)
	}
	if err := parsed.Verify(keys[0]); err != nil {
		t.Fatal(err)
	}
	return parsed
}

// hop is what the edge says of a caller with a certificate.
func hop() Claims {
	return Claims{
		Subject: "consumer:mapps", ClientID: edge, Audience: "visits-api", Actor: edge, Confirmation: Confirmation{URI: edge},
		Certificate: &identity.Reference{Truststore: "partners", SHA256: certificate, Issuer: "CN=Partners,O=Example", Serial: "1f00"},
	}
}
