package scenario

import (
	"crypto/tls"
	"encoding/pem"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/routing"
)

// What a proxy does besides choosing a route: the TLS handshake, the question to the authorization service, and what
// becomes of the headers.

// handshake tells what the gateway makes of the caller's certificate: the certificate as the authorization service is
// told of it ("" for none), or why the handshake is refused.
func (s *Simulator) handshake(h hop) (certificate, refused string) {
	entry := h.listener.EntryFor(h.request.SNI)
	if entry == nil || entry.ClientAuth.Mode == config.ClientAuthNone {
		return "", ""
	}
	if h.certificate == nil {
		if entry.ClientAuth.Mode == config.ClientAuthRequired {
			return "", "a certificate is required"
		}
		return "", ""
	}
	certificate = encode(h.certificate)
	if entry.ClientAuth.Explain {
		return certificate, ""
	}
	names := make([]string, len(entry.ClientAuth.Truststores))
	for i, t := range entry.ClientAuth.Truststores {
		names[i] = t.Name
	}
	verdict := s.verifier.Verify(certificate, identity.NewTrust(entry.ClientAuth, s.keeper.Current()), s.clock())
	if _, refusal := verdict.Vouchers(names); refusal != nil {
		return "", string(refusal.Reason)
	}
	return certificate, ""
}

// encode is a certificate as Envoy tells of it: the leaf alone, URL-encoded PEM (AttributeContext.Peer.certificate).
func encode(certificate *tls.Certificate) string {
	text := url.QueryEscape(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})))
	return strings.ReplaceAll(text, "+", "%20")
}

// check is what Envoy asks the authorization service.
func check(h hop, chosen routing.Decision, extensions map[string]string, certificate string) *authv3.CheckRequest {
	headers := map[string]string{":authority": chosen.Host, ":method": h.request.Method, ":path": chosen.Path, ":scheme": "https"}
	for name, values := range h.request.Headers {
		headers[name] = strings.Join(values, ",")
	}
	attributes := &authv3.AttributeContext{
		ContextExtensions: extensions,
		Source:            &authv3.AttributeContext_Peer{Certificate: certificate, Address: &corev3.Address{}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: strconv.FormatUint(uint64(len(chosen.Path)), 10), Method: h.request.Method, Path: chosen.Path, Host: chosen.Host, Headers: headers, Scheme: "https",
		}},
	}
	if h.request.SNI != "" {
		attributes.TlsSession = &authv3.AttributeContext_TLSSession{Sni: h.request.SNI}
	}
	return &authv3.CheckRequest{Attributes: attributes}
}

// forwarded are the headers that go on to the upstream: what the caller sent without its own word on certificates, and
// with what the authorization service removes and sets.
func forwarded(sent http.Header, allowed *authv3.OkHttpResponse) http.Header {
	headers := http.Header{}
	for name, values := range sent {
		if name != "x-forwarded-client-cert" { // forward_client_cert_details SANITIZE
			headers[name] = values
		}
	}
	for _, name := range allowed.GetHeadersToRemove() {
		delete(headers, strings.ToLower(name))
	}
	for _, option := range allowed.GetHeaders() {
		headers[strings.ToLower(option.GetHeader().GetKey())] = []string{option.GetHeader().GetValue()}
	}
	return headers
}

// presented is the certificate that a gateway presents to an upstream, or nil.
func (s *Simulator) presented(u *config.Upstream) *tls.Certificate {
	if u.TLS == nil || u.TLS.ClientCertificate == nil {
		return nil
	}
	own := s.keeper.Current().Certificates[u.TLS.ClientCertificate.Name]
	if own == nil {
		return nil
	}
	pair, err := tls.X509KeyPair(own.CertificatePEM, own.PrivateKeyPEM)
	if err != nil {
		return nil
	}
	return &pair
}
