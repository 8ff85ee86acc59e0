package enrolment

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

var edge = spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.Proxy, Group: "edge", Name: "edge-1"}

func TestATokenIsReadAsItWasWritten(t *testing.T) {
	want := Token{ID: "0011223344556677", Secret: []byte(strings.Repeat("s", secretSize)), Server: "sallyport.internal:18003", Authority: sha256.Sum256([]byte("a"))}
	got, err := ParseToken(" " + want.Text() + "\n")
	if err != nil || fmt.Sprint(got.ID, got.Server, got.Authority, string(got.Secret)) != fmt.Sprint(want.ID, want.Server, want.Authority, string(want.Secret)) {
		t.Errorf("got %v, %v", got, err)
	}
	for _, shown := range []string{want.String(), fmt.Sprintf("%#v", want), fmt.Sprintf("%+v", want)} {
		if strings.Contains(shown, "ssss") {
			t.Errorf("the secret is shown: %s", shown)
		}
	}
}

func TestParseTokenRefuses(t *testing.T) {
	good := Token{ID: "0011223344556677", Secret: make([]byte, secretSize), Server: "a:1"}.Text()
	for name, text := range map[string]string{
		"nothing":        "",
		"another secret": "hunter2hunter2",
		"half a token":   good[:len(good)/2],
		"no server":      Token{ID: "0011223344556677", Secret: make([]byte, secretSize)}.Text(),
		"a short secret": Token{ID: "0011223344556677", Secret: make([]byte, 4), Server: "a:1"}.Text(),
		"a path as ID":   Token{ID: "../../etc", Secret: make([]byte, secretSize), Server: "a:1"}.Text(),
		"too long":       good + strings.Repeat("A", maxToken),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseToken(text)
			if err == nil {
				t.Fatal("it was taken")
			}
			if len(text) > 8 && strings.Contains(err.Error(), text) {
				t.Error("the error quotes the token")
			}
		})
	}
}

// clock is a time that tests set.
type clock struct{ now atomic.Int64 }

func (c *clock) Now() time.Time        { return time.Unix(c.now.Load(), 0) }
func (c *clock) Pass(by time.Duration) { c.now.Add(int64(by / time.Second)) }

func openBook(t *testing.T, path string) (*Book, *clock) {
	t.Helper()
	c := &clock{}
	c.now.Store(1_900_000_000)
	book, err := Open(path, c.Now)
	if err != nil {
		t.Fatal(err)
	}
	return book, c
}

func accept(spiffe.Identity, string) error { return nil }

func TestATokenIsGoodForOneCertificate(t *testing.T) {
	book, _ := openBook(t, "")
	token, expires, err := book.Give(edge, "an operator", 0)
	if err != nil || !expires.Equal(book.clock().Add(DefaultLifetime)) {
		t.Fatalf("expires %s, %v", expires, err)
	}
	var used atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			_ = book.Redeem(token.ID, token.Secret, func(identity spiffe.Identity, by string) error {
				if identity != edge || by != "an operator" {
					t.Errorf("redeemed as %s, asked for by %q", identity, by)
				}
				used.Add(1)
				return nil
			})
		})
	}
	group.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
}

func TestRedeemRefuses(t *testing.T) {
	book, clock := openBook(t, "")
	token, _, err := book.Give(edge, "", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := book.Give(edge, "", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for name, attempt := range map[string]func() error{
		"an unknown token":       func() error { return book.Redeem("0000000000000000", token.Secret, accept) },
		"another token's secret": func() error { return book.Redeem(token.ID, other.Secret, accept) },
		"no secret":              func() error { return book.Redeem(token.ID, nil, accept) },
	} {
		if err := attempt(); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	clock.Pass(time.Minute)
	if err := book.Redeem(token.ID, token.Secret, accept); !errors.Is(err, ErrRefused) {
		t.Errorf("a token out of date: %v", err)
	}
	if err := book.Redeem(other.ID, other.Secret, accept); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestATokenGoesBackWhenItsUseFails(t *testing.T) {
	book, _ := openBook(t, "")
	token, _, err := book.Give(edge, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	fault := errors.New("no authority")
	if err := book.Redeem(token.ID, token.Secret, func(spiffe.Identity, string) error { return fault }); !errors.Is(err, fault) {
		t.Errorf("got %v", err)
	}
	if err := book.Redeem(token.ID, token.Secret, accept); err != nil {
		t.Error(err)
	}
}

func TestTheBookOutlivesTheProcessAndHoldsNoSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	book, _ := openBook(t, path)
	kept, _, err := book.Give(edge, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	used, _, err := book.Give(edge, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := book.Redeem(used.ID, used.Secret, accept); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	secret, _ := json.Marshal(kept.Secret)
	if strings.Contains(string(content), string(secret)) {
		t.Error("the book holds a secret")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, _ := openBook(t, path)
	if err := again.Redeem(used.ID, used.Secret, accept); !errors.Is(err, ErrRefused) {
		t.Errorf("a used token: %v", err)
	}
	if err := again.Redeem(kept.ID, kept.Secret, accept); err != nil {
		t.Errorf("the other: %v", err)
	}
}

func TestCheckServerWantsTheAuthorityOfTheToken(t *testing.T) {
	authority := func() *ca.Authority {
		made, err := ca.Create(ca.Options{CommonName: "proxies"})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	leaf := func(by *ca.Authority, profile ca.Profile) *x509.Certificate {
		request := ca.Request{Profile: profile, Subject: pkix.Name{CommonName: "a"}, DNSNames: []string{"a.example.org"}}
		switch profile {
		case ca.Service:
			request.URIs = []string{"spiffe://example.org/control-plane/one"}
		case ca.Proxy:
			request.URIs = []string{edge.String()}
		}
		pair, err := by.Issue(request)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Certificate
	}
	ours, others := authority(), authority()
	token := Token{Authority: sha256.Sum256(ours.Certificate().Raw)}
	for name, test := range map[string]struct {
		presented []*x509.Certificate
		good      bool
	}{
		"the authority and its control plane":   {[]*x509.Certificate{leaf(ours, ca.Service), ours.Certificate()}, true},
		"the leaf alone":                        {[]*x509.Certificate{leaf(ours, ca.Service)}, false},
		"nothing":                               {nil, false},
		"another authority's":                   {[]*x509.Certificate{leaf(others, ca.Service), others.Certificate()}, false},
		"another's leaf, with our authority":    {[]*x509.Certificate{leaf(others, ca.Service), ours.Certificate()}, false},
		"a leaf behind which both are sent":     {[]*x509.Certificate{leaf(others, ca.Service), others.Certificate(), ours.Certificate()}, false},
		"the authority's own certificate alone": {[]*x509.Certificate{ours.Certificate()}, false},
		"a proxy of the authority":              {[]*x509.Certificate{leaf(ours, ca.Proxy), ours.Certificate()}, false},
		"a server without an identity":          {[]*x509.Certificate{leaf(ours, ca.Server), ours.Certificate()}, false},
		"a client's certificate of ours":        {[]*x509.Certificate{leaf(ours, ca.Client), ours.Certificate()}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := token.CheckServer(test.presented, x509.VerifyOptions{}); (err == nil) != test.good {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTwoProcessesTakeATokenOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.json")
	one, _ := openBook(t, path)
	other, _ := openBook(t, path)
	token, _, err := one.Give(edge, "", 0) // after the other has opened the book
	if err != nil {
		t.Fatal(err)
	}
	var used atomic.Int32
	var group sync.WaitGroup
	for range 10 {
		for _, book := range []*Book{one, other} {
			group.Go(func() {
				if book.Redeem(token.ID, token.Secret, accept) == nil {
					used.Add(1)
				}
			})
		}
	}
	group.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
}

func TestAWithdrawnTokenIsGoodForNothing(t *testing.T) {
	book, _ := openBook(t, "")
	token, _, err := book.Give(edge, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	other := edge
	other.Name = "edge-2"
	stays, _, err := book.Give(other, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if withdrawn, err := book.Withdraw(edge); withdrawn != 1 || err != nil {
		t.Errorf("%d withdrawn, %v", withdrawn, err)
	}
	if err := book.Redeem(token.ID, token.Secret, accept); !errors.Is(err, ErrRefused) {
		t.Errorf("the withdrawn one: %v", err)
	}
	if err := book.Redeem(stays.ID, stays.Secret, accept); err != nil {
		t.Errorf("another proxy's: %v", err)
	}
}
