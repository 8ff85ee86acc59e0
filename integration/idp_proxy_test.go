package integration

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// idpEndpoint is one of a provider's addresses.
type idpEndpoint string

// The endpoints that are told apart.
const (
	idpDiscovery     idpEndpoint = "/.well-known/"
	idpKeySet        idpEndpoint = "/jwks"
	idpToken         idpEndpoint = "/token"
	idpIntrospection idpEndpoint = "/token/introspection"
)

func (e idpEndpoint) is(path string) bool {
	return path == string(e) || strings.HasSuffix(string(e), "/") && strings.HasPrefix(path, string(e))
}

// idpFault answers a request in the provider's stead. The channel is closed when another fault is set.
type idpFault func(p *idpProxy, w http.ResponseWriter, r *http.Request, changed <-chan struct{})

// idpProxy stands in front of a provider: it speaks https, counts, and answers wrongly when told to. It is safe for
// concurrent use.
type idpProxy struct {
	// URL is its address, an IP address of loopback.
	URL string

	target  atomic.Pointer[url.URL]
	forward http.Handler
	// elsewhere answers as the provider does, under another host's name.
	elsewhere *httptest.Server
	strays    atomic.Int64

	mu       sync.Mutex
	fault    idpFault
	faulty   []idpEndpoint
	changed  chan struct{}
	requests []idpRequest
}

// idpRequest is what is remembered of a request.
type idpRequest struct {
	path string
	form url.Values
}

func startIDPProxy(t testing.TB, pair ca.KeyPair, roots *x509.CertPool) *idpProxy {
	t.Helper()
	quiet := hclog.NewNullLogger().StandardLogger(nil)
	transport := &http.Transport{IdleConnTimeout: time.Second} // before Node closes them, after 5 s
	p := &idpProxy{changed: make(chan struct{})}
	p.forward = &httputil.ReverseProxy{
		Transport: transport,
		ErrorLog:  quiet,
		Rewrite:   p.rewrite,
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) {
			panic(http.ErrAbortHandler) // the provider is down
		},
	}
	serve := func(handler http.Handler) *httptest.Server {
		server := httptest.NewUnstartedServer(handler)
		server.Config.ErrorLog = quiet
		server.TLS = &tls.Config{
			Certificates: []tls.Certificate{{Certificate: [][]byte{pair.Certificate.Raw}, PrivateKey: pair.PrivateKey}},
			ClientAuth:   tls.VerifyClientCertIfGiven,
			ClientCAs:    roots,
			MinVersion:   tls.VersionTLS12,
		}
		server.StartTLS()
		return server
	}
	server := serve(p)
	p.URL = server.URL
	p.elsewhere = serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.strays.Add(1)
		p.forward.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		p.Heal() // which lets go of whoever is held
		for _, server := range []*httptest.Server{server, p.elsewhere} {
			server.CloseClientConnections()
			server.Close()
		}
		transport.CloseIdleConnections()
	})
	return p
}

// rewrite sends a request to the provider, which is told under which address it was called, and by which certificate.
func (p *idpProxy) rewrite(r *httputil.ProxyRequest) {
	r.SetURL(p.target.Load())
	r.SetXForwarded()
	r.Out.Header.Set("X-Forwarded-Host", strings.TrimPrefix(p.URL, "https://"))
	r.Out.Header.Del("X-Client-Certificate")
	if peers := r.In.TLS.PeerCertificates; len(peers) > 0 {
		encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: peers[0].Raw})
		r.Out.Header.Set("X-Client-Certificate", url.PathEscape(string(encoded)))
	}
}

// ServeHTTP answers as the provider does, or as the fault says.
func (p *idpProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body)) // what is no form is not looked at

	p.mu.Lock()
	p.requests = append(p.requests, idpRequest{r.URL.Path, form})
	fault, changed := p.fault, p.changed
	if len(p.faulty) > 0 && !slices.ContainsFunc(p.faulty, func(e idpEndpoint) bool { return e.is(r.URL.Path) }) {
		fault = nil
	}
	p.mu.Unlock()

	if fault == nil {
		p.forward.ServeHTTP(w, r)
		return
	}
	fault(p, w, r, changed)
}

// Fault makes some endpoints, or all if none is named, answer wrongly from now on. It replaces the fault before.
func (p *idpProxy) Fault(fault idpFault, endpoints ...idpEndpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault, p.faulty = fault, endpoints
	close(p.changed)
	p.changed = make(chan struct{})
}

// Heal ends the fault.
func (p *idpProxy) Heal() { p.Fault(nil) }

// Count returns how many requests an endpoint has had, however they were answered.
func (p *idpProxy) Count(endpoint idpEndpoint) (count int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, request := range p.requests {
		if endpoint.is(request.path) {
			count++
		}
	}
	return count
}

// Grants returns the forms of all requests for a token with a grant type (RFC 6749, section 4), the oldest first.
func (p *idpProxy) Grants(grantType string) (forms []url.Values) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, request := range p.requests {
		if idpToken.is(request.path) && request.form.Get("grant_type") == grantType {
			forms = append(forms, request.form)
		}
	}
	return forms
}

// Strays returns how many requests have followed a redirect to another host.
func (p *idpProxy) Strays() int { return int(p.strays.Load()) }

// ResetCounts forgets all requests so far.
func (p *idpProxy) ResetCounts() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
	p.strays.Store(0)
}

// idpDown closes the connection without an answer. Go's HTTP client then sends a GET again, where the connection was used
// before: such requests may count twice.
func idpDown(*idpProxy, http.ResponseWriter, *http.Request, <-chan struct{}) {
	panic(http.ErrAbortHandler)
}

// idpStuck gives no answer until another fault is set; then it closes the connection.
func idpStuck(_ *idpProxy, _ http.ResponseWriter, r *http.Request, changed <-chan struct{}) {
	select {
	case <-changed:
	case <-r.Context().Done():
	}
	panic(http.ErrAbortHandler)
}

// idpSlow answers as it should, but not a byte before the time has passed or another fault is set.
func idpSlow(after time.Duration) idpFault {
	return func(p *idpProxy, w http.ResponseWriter, r *http.Request, changed <-chan struct{}) {
		timer := time.NewTimer(after)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-changed:
		case <-r.Context().Done():
			panic(http.ErrAbortHandler)
		}
		p.forward.ServeHTTP(w, r)
	}
}

// idpBroken answers 500.
func idpBroken(_ *idpProxy, w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	http.Error(w, "internal error", http.StatusInternalServerError)
}

// idpGarbage answers 200 with what is no JSON, though it says so.
func idpGarbage(_ *idpProxy, w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, "<!doctype html>\x00\xff{") // the client may have gone
}

// idpElsewhere redirects to another host, which would answer well: Strays counts who goes there.
func idpElsewhere(p *idpProxy, w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
	_, port, _ := strings.Cut(strings.TrimPrefix(p.elsewhere.URL, "https://"), ":")
	http.Redirect(w, r, "https://localhost:"+port+r.URL.RequestURI(), http.StatusTemporaryRedirect)
}

// idpHuge answers as it should, with 50 MB more in front of it: a member that nobody knows.
func idpHuge(p *idpProxy, w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
	whole := httptest.NewRecorder()
	p.forward.ServeHTTP(whole, r)
	w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
	w.WriteHeader(whole.Code)
	_, _ = io.WriteString(w, `{"padding":"`)
	chunk := bytes.Repeat([]byte{'a'}, 1<<20)
	for range 50 {
		if _, err := w.Write(chunk); err != nil {
			return // the client has had enough
		}
	}
	_, _ = io.WriteString(w, `",`+strings.TrimPrefix(whole.Body.String(), "{"))
}
