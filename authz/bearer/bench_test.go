package bearer_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/authz/bearer"
	"github.com/sallyport-project/sallyport/authz/jose"
	"github.com/sallyport-project/sallyport/authz/reason"
)

// typical is a token as issuers write them, of somewhat more than 1 KiB.
func typical(k key, n int) string {
	return sign(k, object{"kid": k.id}, object{
		"iss": corporateIssuer, "sub": fmt.Sprintf("f:6f1f7d86-17b1-4a7c-9f0e-0d8a4a1c9e11:%d", n), "aud": []string{"api", "account"},
		"exp": noon.Add(time.Hour).Unix(), "iat": noon.Unix(), "nbf": noon.Unix(), "jti": fmt.Sprintf("0b9f7a0e-1f32-4e51-a4b2-%012d", n),
		"sid": fmt.Sprintf("2b9f7a0e-1f32-4e51-a4b2-%012d", n), "client_id": "registry-app", "azp": "registry-app", "scope": "openid profile read write",
		"realm_access": object{"roles": []string{"reader", "writer", "offline_access"}}, "roles": []string{"captain", "mate"},
		"name": "Anna Example", "email": "anna@example.org", "company_id": "4711",
	})
}

// BenchmarkJudge is a token's judgement: remembered whole; of which no more is remembered than its signature; anew; and the check of
// the signature alone to compare with.
func BenchmarkJudge(b *testing.B) {
	for _, k := range []key{rsaKey(), oneKey()} {
		token := typical(k, 0)
		read := must(jose.Parse(token))
		public := must(jose.NewKey(k.private.Public()))
		algorithm := read.Header.Algorithm
		h := newBench(b, corporate())
		judge := func(b *testing.B, v *verifier, token string) {
			if got := reasonOf(v.Judge(b.Context(), []string{"corporate"}, nil, token, noon)); got != good {
				b.Fatal(got)
			}
		}
		b.Run(algorithm+"/remembered", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				judge(b, h.verifier, token)
			}
		})
		b.Run(algorithm+"/signature-remembered", func(b *testing.B) {
			other := typical(k, 1)
			v := newVerifier(b, h, 10) // one whole token
			v.Apply(corporates())
			judge(b, v, token)
			judge(b, v, other)
			b.ReportAllocs()
			for b.Loop() {
				judge(b, v, token)
				judge(b, v, other)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(2*b.N), "ns/token")
		})
		b.Run(algorithm+"/anew", func(b *testing.B) {
			tokens := [3]string{typical(k, 0), typical(k, 1), typical(k, 2)}
			v := newVerifier(b, h, 1)
			v.Apply(corporates())
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				judge(b, v, tokens[i%len(tokens)])
			}
		})
		b.Run(algorithm+"/signature-alone", func(b *testing.B) {
			for b.Loop() {
				if err := read.Verify(public); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFlood is tokens that a stranger makes up, each for the first time: by a signature that is no good, and by an unknown key.
func BenchmarkFlood(b *testing.B) {
	token := typical(rsaKey(), 0)
	signed := token[:strings.LastIndexByte(token, '.')+1]
	signature := []byte(token[len(signed):])
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	for name, one := range map[string]struct {
		head string
		want reason.Reason
	}{
		"bad-signature": {signed, reason.TokenSignature},
		"unknown-key":   {strings.Replace(signed, signed[:strings.IndexByte(signed, '.')], encode([]byte(`{"alg":"RS256","kid":"x"}`)), 1), reason.TokenKeyUnknown},
	} {
		b.Run(name, func(b *testing.B) {
			h := newBench(b, corporate())
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				for i, rest := 0, n; i < 4; i, rest = i+1, rest/len(letters) {
					signature[i] = letters[rest%len(letters)]
				}
				if got := reasonOf(h.judge(b, one.head+string(signature))); got != one.want {
					b.Fatal(got)
				}
			}
		})
	}
}

// BenchmarkHeap is what remembering 100,000 tokens takes.
func BenchmarkHeap(b *testing.B) {
	const count = bearer.DefaultCacheSize
	for b.Loop() {
		h := newBench(b)
		v := newVerifier(b, h, 0)
		v.Apply(corporates())
		before := heap()
		for n := range count {
			if got := reasonOf(v.Judge(b.Context(), []string{"corporate"}, nil, typical(edKey(), n), noon)); got != good {
				b.Fatal(got)
			}
		}
		b.ReportMetric(float64(heap()-before)/(1<<20), "MB")
		runtime.KeepAlive(v)
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
