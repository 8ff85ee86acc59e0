package idp

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
)

// The most bytes of an answer that are read.
const (
	maxDocument = 256 << 10 // metadata and key sets
	maxAnswer   = 64 << 10  // tokens and introspection
)

// maxRedirects is how many redirects are followed for a document, all of them within one host.
const maxRedirects = 2

// newDocumentClient asks for what anybody may read.
func newDocumentClient(config Config) *http.Client {
	return &http.Client{
		Transport:     &strict{base: newTransport(config), limit: maxDocument},
		CheckRedirect: withinHost,
	}
}

// newSecretClient sends what only the provider may read. It presents our certificate, and follows no redirect.
func newSecretClient(config Config) *http.Client {
	transport := newTransport(config)
	if config.ClientCertificate != nil {
		transport.TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if certificate := config.ClientCertificate(); certificate != nil {
				return certificate, nil
			}
			return &tls.Certificate{}, nil // none, as crypto/tls wants it said
		}
	}
	return &http.Client{
		Transport:     &strict{base: transport, limit: maxAnswer, json: true},
		CheckRedirect: func(request *http.Request, _ []*http.Request) error { return redirects(request) },
	}
}

func newTransport(config Config) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: config.Roots},
		DisableCompression:     true, // the limit is on what is sent
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           8,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        90 * time.Second,
	}
}

// withinHost keeps redirects of documents on the host, and the scheme, that was asked first.
func withinHost(request *http.Request, via []*http.Request) error {
	switch {
	case origin(request.URL) != origin(via[0].URL):
		return redirects(request)
	case len(via) > maxRedirects:
		return badAnswer("it redirects more than %d times", maxRedirects)
	}
	return nil
}

func redirects(request *http.Request) *Error {
	return badAnswer("it redirects to %q, which is not followed: configure that address itself if it is the right one", origin(request.URL))
}

// strict reads answers whole, and lets none pass that is too large or compressed: it was asked for neither. Its errors are
// Errors.
type strict struct {
	base  http.RoundTripper
	limit int64 // bytes
	json  bool  // a success must be JSON
}

// RoundTrip implements http.RoundTripper. The response's body is in memory.
func (s *strict) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := s.base.RoundTrip(request)
	if err != nil {
		return nil, failure("", err)
	}
	defer func() { _ = response.Body.Close() }() // only read from
	if encoding := response.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		return nil, badAnswer("the answer is compressed, which was not asked for")
	}
	if s.json && response.StatusCode == http.StatusOK && !isJSON(response.Header) {
		return nil, badAnswer("the answer is no application/json")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, s.limit+1))
	if int64(len(body)) > s.limit {
		return nil, badAnswer("the answer is larger than the %d bytes that are read at most", s.limit)
	}
	if err != nil {
		return nil, failure("", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// CloseIdleConnections is what http.Client calls by this name.
func (s *strict) CloseIdleConnections() {
	if closer, can := s.base.(interface{ CloseIdleConnections() }); can {
		closer.CloseIdleConnections()
	}
}

func isJSON(header http.Header) bool {
	content, _, err := mime.ParseMediaType(header.Get("Content-Type"))
	return err == nil && (content == "application/json" || strings.HasSuffix(content, "+json"))
}

// answer is a response that was read whole.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// get asks for a document.
func (p *Provider) get(ctx context.Context, doing, address, etag string) (*answer, *Error) {
	ctx, cancel := context.WithTimeout(ctx, p.config.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, misconfigured("%s: the address cannot be asked", doing)
	}
	request.Header.Set("Accept", "application/json")
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	return send(p.documents, doing, request)
}

func send(client *http.Client, doing string, request *http.Request) (*answer, *Error) {
	response, err := client.Do(request)
	if err != nil {
		return nil, failure(doing, err)
	}
	defer func() { _ = response.Body.Close() }() // it is in memory
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, failure(doing, err)
	}
	return &answer{status: response.StatusCode, header: response.Header, body: body}, nil
}
