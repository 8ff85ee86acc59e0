package bearer_test

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/keyset"
	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/config"
)

// pick is one of some.
func pick[T any](random *rand.Rand, some ...T) T { return some[random.IntN(len(some))] }

// randomTokens are good and bad ones around noon.
func randomTokens(random *rand.Rand, count int) []string {
	signers := []key{oneKey(), twoKey(), rsaKey(), edKey(), twoKey().named("one"), oneKey().named(""), twoKey().named("")}
	tokens := make([]string, count)
	for i := range tokens {
		header := object{"typ": pick[any](random, "at+jwt", "at+jwt", "at+jwt", "jwt", "x", nil)}
		k := pick(random, signers...)
		if k.id == "" {
			header["kid"] = nil
		}
		minutes := func(from, count int) int64 {
			return noon.Add(time.Duration(from+random.IntN(count)) * time.Minute).Unix()
		}
		tokens[i] = sign(k, header, claims(object{
			"iss": pick[any](random, corporateIssuer, corporateIssuer, partnerIssuer, "https://nobody.example.org"),
			"aud": pick[any](random, "api", "api", "other-api", []string{"x", "api"}, "x"),
			"exp": minutes(1, 5), "nbf": minutes(-3, 4), "iat": pick[any](random, nil, minutes(-3, 3)),
			"sub": pick[any](random, "alice", "bob", nil), "jti": pick[any](random, "id-1", "id-2", nil), "nonce": pick[any](random, nil, nil, nil, "n"),
			"tenant": pick[any](random, nil, "t"), "roles": pick[any](random, "captain", []string{"mate", "admin"}, 7, nil),
		}))
		if random.IntN(20) == 0 {
			tokens[i] = tokens[i][:len(tokens[i])-random.IntN(60)-1]
		}
	}
	return tokens
}

// randomRules are Providers that differ in whatever a judgement goes by.
func randomRules(random *rand.Rand) []*config.Provider {
	change := func(p *config.Provider) {
		p.Audiences = pick(random, []string{"api"}, []string{"api", "other-api"}, []string{"x"})
		p.Leeway = pick(random, 0, 30*time.Second, time.Minute)
		p.AcceptIDTokens = random.IntN(2) == 0
		p.Algorithms = pick(random, p.Algorithms, []string{"ES256"}, []string{"RS256"})
		p.RequiredClaims = pick(random, nil, nil, []config.ClaimName{"tenant"})
		p.Revoked = pick(random, nil, nil, []config.RevokedToken{{ID: "id-1"}}, []config.RevokedToken{{Subject: "bob", IssuedBefore: noon.Add(-time.Minute)}})
		p.Roles = pick(random, p.Roles, nil, map[string]bool{"captain": true})
	}
	all := []*config.Provider{corporate(change), partner(change)}
	if random.IntN(3) == 0 {
		all[1].Issuers = append(all[1].Issuers, corporateIssuer) // two of one issuer
	}
	return all[:1+random.IntN(2)]
}

// A verifier that remembers little and forgets often is held against one that has never seen a token, at random moments, while keys and
// rules change.
func TestARememberedVerdictIsTheOneThatWouldBeReachedAnew(t *testing.T) {
	const seed = 20300105
	random := rand.New(rand.NewPCG(seed, seed))
	tokens := randomTokens(random, 150)
	b := newBench(t)
	remembering := newVerifier(t, b, 40)
	var applied []*config.Provider
	outcomes := map[reason.Reason]int{}
	for step := range 20_000 {
		if step%50 == 0 {
			applied = randomRules(random)
			remembering.Apply(applied)
		}
		if step%20 == 0 {
			for _, name := range []string{"corporate", "partner"} {
				set := setOf(pick(random, []key{oneKey(), twoKey(), rsaKey(), edKey()}, []key{oneKey()}, []key{twoKey().named("one"), rsaKey()}, []key{twoKey().named(""), edKey()})...)
				set = pick(random, set, set, set, keyset.Set{})
				set.Stale = random.IntN(4) == 0
				b.keys.store(b.keys.force, name, set)
				b.keys.store(b.keys.present, name, pick(random, set, set, setOf(oneKey(), twoKey())))
			}
		}
		fresh := newVerifier(t, b, 1)
		fresh.Apply(applied)
		token := pick(random, tokens...)
		at := noon.Add(time.Duration(random.IntN(14)-6)*30*time.Second + time.Duration(random.IntN(3)-1)) // moments around those at which something changes
		named := pick(random, []string{"corporate"}, []string{"corporate", "partner"}, []string{"partner", "corporate"})
		audiences := pick(random, nil, nil, []string{"api"}, []string{"other-api", "x"})
		got, want := remembering.Judge(t.Context(), named, audiences, token, at), fresh.Judge(t.Context(), named, audiences, token, at)
		if !same(got, want) {
			t.Fatalf("seed %d, step %d, %s, %v: remembered %+v %+v, anew %+v %+v", seed, step, at, named, got.Token, got.Refusal, want.Token, want.Refusal)
		}
		outcomes[reasonOf(want)]++
	}
	for _, want := range []reason.Reason{
		good, reason.TokenMalformed, reason.TokenIssuer, reason.TokenKeyUnknown, reason.TokenSignature, reason.TokenExpired, reason.TokenNotYetValid,
		reason.TokenAudience, reason.TokenType, reason.TokenClaimMissing, reason.TokenRevoked, reason.ProviderUnavailable,
	} {
		if outcomes[want] < 20 {
			t.Errorf("%q came out %d times in 20000: the test says little of it", want, outcomes[want])
		}
	}
}

// same tells whether two verdicts are equal in everything.
func same(a, b *bearer.Verdict) bool {
	if a.Token == nil || b.Token == nil {
		return a.Token == b.Token && *a.Refusal == *b.Refusal
	}
	return a.Refusal == nil && b.Refusal == nil && a.Token.Provider == b.Token.Provider && fields(a.Token) == fields(b.Token)
}

func TestTokensAreJudgedWhileRulesAndKeysChange(t *testing.T) {
	b := newBench(t, corporate(), partner())
	b.says.set(opaque, active())
	tokens := append(randomTokens(rand.New(rand.NewPCG(1, 1)), 30), opaque)
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(worker)))
			for range 300 {
				switch random.IntN(20) {
				case 0:
					b.Apply([]*config.Provider{corporate(introspects), partner()})
				case 1:
					b.keys.put("corporate", pick(random, oneKey(), twoKey()))
				default:
					verdict := b.Judge(t.Context(), []string{"corporate", "partner"}, nil, pick(random, tokens...), noon)
					if (verdict.Token == nil) == (verdict.Refusal == nil) {
						t.Errorf("verdict %+v", verdict)
					}
				}
			}
		})
	}
	all.Wait()
}
