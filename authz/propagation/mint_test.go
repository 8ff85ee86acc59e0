package propagation_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/policy"
	"github.com/sallyport-project/sallyport/authz/propagation"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

const edge = "spiffe://example.org/edge"

var minting = config.TokenDisposal{Kind: config.DisposalMint, Provider: hops, Audience: "api", BoundTo: edge}

// presents makes a decision that of a caller with a certificate.
func presents(d *policy.Decision, fingerprint string) *policy.Decision {
	d.Truststore = "partners"
	d.Certificate = &identity.Certificate{SHA256: fingerprint, Subject: "CN=mapps", Issuer: "CN=partners", Serial: "1f", NotAfter: time.Now().Add(time.Hour)}
	return d
}

func TestATokenOfOursSaysWhoCallsWhomAndThroughWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, minting)
		h.want(anonymous(), "Bearer minted-1")
		c := h.minter.claims[0]
		if c.Subject != "anonymous" || c.Audience != "api" || c.Actor != edge || c.Confirmation.URI != edge || c.Confirmation.CertificateSHA256 != "" {
			t.Errorf("says %+v", c)
		}
		if c.Certificate != nil || !c.NotAfter.IsZero() || len(c.Roles)+len(c.Scopes)+len(c.Extra) != 0 {
			t.Errorf("says of an anonymous caller %+v", c)
		}

		partner := presents(anonymous(), "ab")
		partner.Consumer = "mapps"
		h.want(partner, "Bearer minted-2")
		c = h.minter.claims[1]
		if c.Subject != "consumer:mapps" || c.Certificate == nil || c.Certificate.Truststore != "partners" || c.Certificate.Serial != "1f" || time.Until(c.NotAfter) != time.Hour {
			t.Errorf("says of a partner %+v", c)
		}
	})
}

func TestClaimsOfTheCallersTokenAreTakenOverByNameAlone(t *testing.T) {
	filled := func(b *bearer.Token) {
		b.Provider = &config.Provider{Header: config.Header{Name: "corporate"}, Claims: config.ProviderClaims{Roles: []config.ClaimName{"realm.roles"}}}
		b.Roles, b.Scopes = []string{"reader"}, []string{"vessels"}
		b.Claims = map[string]any{
			"realm": map[string]any{"roles": []any{"reader", "admin"}, "site": "north"}, "scope": "vessels everything",
			"company": "shipping", "secret": "canary", "a.b": "whole",
		}
	}
	synctest.Test(t, func(t *testing.T) {
		taking := minting
		taking.Claims = []string{"realm.roles", "scope", "company", "realm.site", "a.b", "absent", "company.deeper"}
		h := newHouse(t, taking)
		h.want(user("alice", filled), "Bearer minted-1")
		c := h.minter.claims[0]
		if !slices.Equal(c.Roles, []string{"reader"}) || !slices.Equal(c.Scopes, []string{"vessels"}) {
			t.Errorf("roles %v, scopes %v", c.Roles, c.Scopes)
		}
		if got := fmt.Sprint(c.Extra); got != "map[a.b:whole company:shipping realm.site:north]" {
			t.Errorf("takes over %s", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, minting)
		h.want(user("alice", filled), "Bearer minted-1")
		if c := h.minter.claims[0]; len(c.Roles)+len(c.Scopes)+len(c.Extra) != 0 {
			t.Errorf("takes over %+v", c)
		}
	})
}

func TestRequestsShareATokenOfOursOnlyIfItSaysTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		taking := minting
		taking.Claims = []string{"roles"}
		h := newHouse(t, taking)
		h.want(anonymous(), "Bearer minted-1")
		h.want(anonymous(), "Bearer minted-1")
		for i, d := range []*policy.Decision{
			presents(anonymous(), "ab"), presents(anonymous(), "cd"), user("alice"), user("bob"),
			user("alice", func(b *bearer.Token) { b.Roles = []string{"reader"} }),
			user("alice", func(b *bearer.Token) { b.Expires = time.Now().Add(time.Minute) }),
			presents(user("alice"), "ab"),
		} {
			for range 2 {
				h.want(d, fmt.Sprintf("Bearer minted-%d", i+2))
			}
		}
		h.version = "2" // another key signs
		h.apply()
		h.want(anonymous(), "Bearer minted-9")
	})
}

func TestATokenOfOursIsSharedForTheFirstHalfOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, minting)
		h.want(anonymous(), "Bearer minted-1")
		pass(time.Minute - 1)
		h.want(anonymous(), "Bearer minted-1")
		pass(1)
		onward := h.want(anonymous(), "Bearer minted-2")
		if in := time.Until(onward.Expires); in != 2*time.Minute {
			t.Errorf("ends in %s", in)
		}
	})
}

func TestWhoGetsNothingGetsNothing(t *testing.T) {
	nowhere := anonymous()
	nowhere.Request.Upstream = ""
	unknown := anonymous()
	unknown.Request.Upstream = "removed"
	plain := anonymous()
	plain.Request.Upstream = "plain"
	denied := anonymous()
	denied.Allowed = false
	for name, d := range map[string]*policy.Decision{"an answer of ours": nowhere, "an unknown upstream": unknown, "an upstream without token": plain, "a denial": denied} {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, minting)
			if onward, refusal := h.ask(t.Context(), d); refusal != nil || onward.Kind != propagation.Remove || onward.Authorization != "" || len(h.minter.claims) != 0 {
				t.Errorf("%s: %v, refused %v, minted %d", name, onward, refusal, len(h.minter.claims))
			}
		})
	}
}

func TestACallersTokenIsPassedOnWhereItWasVerified(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, config.TokenDisposal{Kind: config.DisposalPass})
		if onward := h.want(user("alice"), ""); onward.Kind != propagation.Pass {
			t.Errorf("%v goes on", onward)
		}
		h.refused(anonymous(), reason.TokenUnavailable)
	})
}

func TestATokenIsNotPrinted(t *testing.T) {
	onward := propagation.Onward{Kind: propagation.Set, Authorization: "Bearer canary", How: config.DisposalAcquire, Provider: "corporate"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if text := fmt.Sprintf(verb, onward); text != "a token acquired from corporate" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestNoTokenOfOursIsMadeForATokenWithinItsLeeway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, minting)
		h.refused(user("late", func(b *bearer.Token) { b.Expires = time.Now() }), reason.TokenExpired)
		h.want(user("alice"), "Bearer minted-1")
	})
}
