package devissuer_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/devissuer"
)

const (
	provider = "corporate"
	audience = "api://vessels"
	redirect = "https://app.example.org:8443/"
	verifier = "a-verifier-of-at-least-forty-three-characters-0"
	// challenge is the SHA-256 of the verifier (RFC 7636, section 4.2).
	challenge = "S6xMLfJrdwhXm9EJRqmQw6nyYWcpLlPsCEOqmhPUIcs"
)

var start = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

// corporate is the issuer of most tests.
func corporate() devissuer.Issuer {
	return devissuer.Issuer{
		Name: provider, Audiences: []string{audience, "api://second"},
		Roles: []string{"vessel.write", "vessel.read"}, Scopes: []string{"vessels.own", "vessels.all"},
		ClientID: "edge", ClientSecret: "edge's secret: 100%",
	}
}

// started is a running server whose clock the test moves.
type started struct {
	*devissuer.Server
	t   *testing.T
	now *time.Time
	// http follows no redirects.
	http *http.Client
}

func run(t *testing.T, config devissuer.Config) *started {
	t.Helper()
	now := start
	config.Clock = func() time.Time { return now }
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if config.Address == "" {
		config.Address = listener.Addr().String()
	}
	server, err := devissuer.New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return &started{Server: server, t: t, now: &now, http: &http.Client{
		Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return members
}

func (s *started) do(request *http.Request) answer {
	s.t.Helper()
	response, err := s.http.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(body)}
}

func (s *started) get(address string) answer {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodGet, address, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(request)
}

// post sends a form; with a client id, authenticated by Basic.
func (s *started) post(path string, form url.Values, clientID, secret string) answer {
	s.t.Helper()
	request, err := http.NewRequest(http.MethodPost, s.URL(provider)+path, strings.NewReader(form.Encode()))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if clientID != "" {
		request.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(secret))
	}
	return s.do(request)
}

// asEdge asks the token endpoint as the Provider's client.
func (s *started) asEdge(form url.Values) answer {
	s.t.Helper()
	return s.post("/token", form, "edge", corporate().ClientSecret)
}

// authorization is an authorization request of the app, changed by pairs of names and values; an empty value takes away.
func (s *started) authorization(changes ...string) string {
	query := url.Values{
		"response_type": {"code"}, "client_id": {devissuer.AppClient}, "redirect_uri": {redirect}, "scope": {"openid"},
		"state": {"some state"}, "nonce": {"some nonce"}, "code_challenge": {challenge}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(changes); i += 2 {
		query.Set(changes[i], changes[i+1])
		if changes[i+1] == "" {
			query.Del(changes[i])
		}
	}
	return s.URL(provider) + "/authorize?" + query.Encode()
}

var hiddenRequest = regexp.MustCompile(`name="request" value="([^"]+)"`)

// signIn goes from the authorization request through the login page, and returns what leads back.
func (s *started) signIn(user string, changes ...string) url.Values {
	s.t.Helper()
	shown := s.get(s.authorization(changes...))
	if shown.status != http.StatusFound {
		s.t.Fatalf("the authorization request is answered %d %s", shown.status, shown.body)
	}
	page := s.get(shown.header.Get("Location"))
	found := hiddenRequest.FindStringSubmatch(page.body)
	if page.status != http.StatusOK || found == nil {
		s.t.Fatalf("the login page is %d %s", page.status, page.body)
	}
	back := s.post("/login", url.Values{"request": {found[1]}, "user": {user}}, "", "")
	if back.status != http.StatusSeeOther {
		s.t.Fatalf("the choice of a user is answered %d %s", back.status, back.body)
	}
	location, err := url.Parse(back.header.Get("Location"))
	if err != nil {
		s.t.Fatal(err)
	}
	if got := location.Scheme + "://" + location.Host + location.Path; got != redirect {
		s.t.Fatalf("the sign-in leads to %s", got)
	}
	return location.Query()
}

// redeem brings a code to the token endpoint.
func (s *started) redeem(code, verifier string) answer {
	s.t.Helper()
	return s.post("/token", url.Values{
		"grant_type": {"authorization_code"}, "client_id": {devissuer.AppClient}, "redirect_uri": {redirect}, "code": {code},
		"code_verifier": {verifier},
	}, "", "")
}

// verified are header and claims of a token that a key of the published set signed.
func (s *started) verified(token any) (header, claims map[string]any) {
	s.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(s.get(s.URL(provider)+"/keys").body), &set); err != nil {
		s.t.Fatal(err)
	}
	text, _ := token.(string)
	header, claims, err := check(text, set)
	if err != nil {
		s.t.Fatalf("the token %q: %v", text, err)
	}
	return header, claims
}

// check verifies a token by a key set.
func check(token string, set jose.JSONWebKeySet) (header, claims map[string]any, err error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{
		jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
	})
	if err != nil {
		return nil, nil, err
	}
	payload, err := signed.Verify(set)
	if err != nil {
		return nil, nil, err
	}
	first, _, _ := strings.Cut(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(first)
	if err != nil {
		return nil, nil, err
	}
	if err := json.Unmarshal(decoded, &header); err != nil {
		return nil, nil, err
	}
	err = json.Unmarshal(payload, &claims)
	return header, claims, err
}
