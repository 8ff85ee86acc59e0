package integration

import (
	"crypto/rand"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// abreast is how many callers there are at a time.
const abreast = 50

// crowd makes a number of calls, so many at a time, and counts the statuses that come back.
func (e *tokenEstate) crowd(t *testing.T, abreast, calls int, call func(i int) calling) map[int]int {
	t.Helper()
	client := e.clientFor(calling{}) // all of them share its connections
	statuses, next := make(map[int]int), atomic.Int64{}
	var counting sync.Mutex
	var callers sync.WaitGroup
	for range abreast {
		callers.Go(func() {
			for i := int(next.Add(1)) - 1; i < calls; i = int(next.Add(1)) - 1 {
				answer := exchange(t, client, e.request(t, call(i)))
				counting.Lock()
				statuses[answer.status]++
				counting.Unlock()
			}
		})
	}
	callers.Wait()
	return statuses
}

// TestTheIdentityProviderIsSparedWhateverCallersDo counts what it is asked.
func TestTheIdentityProviderIsSparedWhateverCallersDo(t *testing.T) {
	e := newTokenEstate(t)
	e.upstream("api", e.apiAddress(), "{user: {pass: true}}")
	e.upstream("acquired", e.apiAddress(), "{anonymous: {acquire: {provider: corporate}}}")
	e.upstream("exchanged", e.apiAddress(), `{user: {exchange: {provider: corporate, audience: "`+secondAPI+`"}}}`)
	e.route("edge", "api", rule("users", "api", "users"), rule("acquired", "acquired", "nobody"), rule("exchanged", "exchanged", "users"))
	e.serve()
	e.ready(t, calling{path: "/users/a", token: e.idp.Token(t, tokenOrder{})}, http.StatusOK)

	t.Run("1,000 anonymous requests at a cold start are one request for a token", func(t *testing.T) { acquiresOnce(t, e) })
	t.Run("10,000 random keys are one request for the key set in 30 seconds", func(t *testing.T) { randomKeys(t, e) })
	t.Run("1,000 users are an exchange each", func(t *testing.T) { exchangesOnceEach(t, e) })
}

// acquiresOnce: the provider is slow, so that all come before it has answered.
func acquiresOnce(t *testing.T, e *tokenEstate) {
	e.idp.ResetCounts()
	e.api.take()
	e.idp.Fault(idpSlow(300*time.Millisecond), idpToken)
	defer e.idp.Heal()
	const calls = 1000
	if statuses := e.crowd(t, abreast, calls, func(int) calling { return calling{path: "/acquired/a"} }); statuses[http.StatusOK] != calls {
		t.Errorf("answered %v", statuses)
	}
	if got := len(e.idp.Grants(clientCredentials)); got != 1 {
		t.Errorf("the provider was asked %d times", got)
	}
	arrived := map[string]int{}
	for _, r := range e.api.take() {
		arrived[bearerOf(r)]++
	}
	if len(arrived) != 1 || arrived[""] != 0 {
		t.Errorf("%d different tokens arrived, and %d requests without", len(arrived), arrived[""])
	}
}

// randomKeys are made up by a stranger; users pass all the while.
func randomKeys(t *testing.T, e *tokenEstate) {
	flood := newForge(t, e.idp.Issuer, "")
	signed := flood.token(t, nil, nil)
	claims, signature := partsOf(signed)
	good := e.idp.Token(t, tokenOrder{})
	e.idp.ResetCounts()
	e.api.take()
	const calls, users = 10_000, 100
	begin := time.Now()
	statuses := e.crowd(t, abreast, calls+users, func(i int) calling {
		if i%(calls/users) == 0 {
			return calling{path: "/users/a", token: good}
		}
		header := encodeURL([]byte(`{"alg":"RS256","typ":"at+jwt","kid":"` + rand.Text() + `"}`))
		return calling{path: "/users/a", token: header + "." + claims + "." + signature}
	})
	took := time.Since(begin)
	passed := calls/(calls/users) + 1
	if statuses[http.StatusUnauthorized] != calls+users-passed || statuses[http.StatusOK] != passed || len(e.api.take()) != passed {
		t.Errorf("answered %v, want 401 but for %d", statuses, passed)
	}
	most := 1 + int(took/(30*time.Second))
	if got := e.idp.Count(idpKeySet); got < 1 || got > most {
		t.Errorf("the key set was asked for %d times in %v, want %d at most", got, took, most)
	}
	if got := e.idp.Count(idpDiscovery); got > most {
		t.Errorf("the metadata was asked for %d times in %v", got, took)
	}
	t.Logf("%d tokens in %v, %d requests for the key set", calls, took.Round(time.Millisecond), e.idp.Count(idpKeySet))
}

// partsOf are the claims and the signature of a token, as they stand in it.
func partsOf(token string) (claims, signature string) {
	var dots []int
	for i, c := range token {
		if c == '.' {
			dots = append(dots, i)
		}
	}
	return token[dots[0]+1 : dots[1]], token[dots[1]+1:]
}

// exchangesOnceEach: each user calls three times, in no particular order.
func exchangesOnceEach(t *testing.T, e *tokenEstate) {
	const users, each = 1000, 3
	tokens := make([]string, users)
	for i := range tokens {
		tokens[i] = e.idp.Token(t, tokenOrder{Algorithm: "ES256"})
	}
	e.idp.ResetCounts()
	e.api.take()
	begin := time.Now()
	if statuses := e.crowd(t, abreast, users*each, func(i int) calling { return calling{path: "/exchanged/a", token: tokens[i%users]} }); statuses[http.StatusOK] != users*each {
		t.Errorf("answered %v", statuses)
	}
	t.Logf("%d requests in %v", users*each, time.Since(begin).Round(time.Millisecond))
	if got := len(e.idp.Grants(tokenExchange)); got != users {
		t.Errorf("%d exchanges were made for %d users", got, users)
	}
	arrived := map[string]int{}
	for _, r := range e.api.take() {
		arrived[bearerOf(r)]++
	}
	if len(arrived) != users {
		t.Errorf("%d different tokens arrived, want one for each of %d users", len(arrived), users)
	}
	for token, times := range arrived {
		if times != each {
			t.Errorf("a token arrived %d times, want %d", times, each)
			break
		}
		sets(t, e.claims(t, received{header: http.Header{"Authorization": {"Bearer " + token}}}), map[string]any{"sub": "clerk", "aud": secondAPI})
	}
}
