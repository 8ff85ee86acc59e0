package estate

import (
	"crypto/tls"
	"encoding/pem"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"

	"github.com/sallyport-project/sallyport/authz/identity"
	"github.com/sallyport-project/sallyport/authz/request"
	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/routing"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// What a proxy does besides choosing a route: the TLS handshake, the question to the authorization service, and what
// becomes of the headers.

// Handshake tells what a gateway makes of a caller's certificate at a TLS entry, which is nil where none has the server name:
// the caller as the authorization service is told of it, or why the handshake is refused.
func (e *Estate) Handshake(entry *config.Entry, shown Credentials) (told Credentials, refused string) {
	switch {
	case entry == nil || entry.ClientAuth.Mode == config.ClientAuthNone:
		return shown.withheld(), ""
	case !shown.presented():
		if entry.ClientAuth.Mode == config.ClientAuthRequired {
			return Credentials{}, "a certificate is required"
		}
		return shown, ""
	case entry.ClientAuth.Explain:
		return shown, ""
	}
	names := make([]string, len(entry.ClientAuth.Truststores))
	for i, t := range entry.ClientAuth.Truststores {
		names[i] = t.Name
	}
	if _, refusal := e.verify(shown, entry).Vouchers(names); refusal != nil {
		return Credentials{}, string(refusal.Reason)
	}
	return shown, ""
}

// verify judges the caller's certificate as Envoy does.
func (e *Estate) verify(caller Credentials, entry *config.Entry) *identity.Verdict {
	if caller.Certificate == nil {
		return caller.Hypothesis.Presumed.Verdict(e.trust[entry], caller.Hypothesis.At)
	}
	presented := identity.Presented{Certificate: encode(caller.Certificate)}
	if e.trust[entry].TakesChain() {
		presented.Chain = encodeChain(caller.Certificate)
	}
	return e.verifier.Verify(presented, e.trust[entry], e.Clock())
}

// encode is a certificate as Envoy tells of it: the leaf alone, URL-encoded PEM (AttributeContext.Peer.certificate). It is
// empty for none.
func encode(certificate *tls.Certificate) string {
	if certificate == nil {
		return ""
	}
	return encodeAll(certificate.Certificate[:1])
}

// encodeChain is all that a caller presents, as Envoy tells of it in x-forwarded-client-cert; empty for none.
func encodeChain(certificate *tls.Certificate) string {
	if certificate == nil {
		return ""
	}
	return encodeAll(certificate.Certificate)
}

func encodeAll(certificates [][]byte) string {
	var text []byte
	for _, der := range certificates {
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return strings.ReplaceAll(url.QueryEscape(string(text)), "+", "%20")
}

// check is what Envoy asks the authorization service.
func check(h Hop, chosen routing.Decision, extensions map[string]string, caller Credentials) *authv3.CheckRequest {
	headers := map[string]string{":authority": chosen.Host, ":method": h.Request.Method, ":path": chosen.Path, ":scheme": "https"}
	for name, values := range h.Request.Headers {
		headers[name] = strings.Join(values, ",")
	}
	delete(headers, request.ForwardedCertificate)
	if entry := h.Listener.EntryFor(h.Request.SNI); entry != nil && entry.ClientAuth.TakesChain() && caller.Certificate != nil {
		headers[request.ForwardedCertificate] = `Chain="` + encodeChain(caller.Certificate) + `"`
	}
	attributes := &authv3.AttributeContext{
		ContextExtensions: extensions,
		Source:            &authv3.AttributeContext_Peer{Certificate: encode(caller.Certificate), Address: &corev3.Address{}},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Id: strconv.FormatUint(uint64(len(chosen.Path)), 10), Method: h.Request.Method, Path: chosen.Path, Host: chosen.Host, Headers: headers, Scheme: "https",
		}},
	}
	if h.Request.SNI != "" {
		attributes.TlsSession = &authv3.AttributeContext_TLSSession{Sni: h.Request.SNI}
	}
	return &authv3.CheckRequest{Attributes: attributes}
}

// forwarded are the headers that go on to the upstream: what the caller sent without its own word on certificates, and
// with what the authorization service removes and sets.
func forwarded(sent http.Header, allowed *authv3.OkHttpResponse) http.Header {
	headers := http.Header{}
	for name, values := range sent {
		if name != request.ForwardedCertificate { // forward_client_cert_details SANITIZE
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

// answered are the headers of an answer: those that the proxy sets, and those that the authorization service does, in an answer
// of its own or in the upstream's.
func answered(proxys http.Header, response *authv3.CheckResponse) http.Header {
	headers := http.Header{}
	set := response.GetOkResponse().GetResponseHeadersToAdd()
	if denied := response.GetDeniedResponse(); denied != nil {
		set = denied.GetHeaders()
	}
	for _, option := range set {
		name := strings.ToLower(option.GetHeader().GetKey())
		headers[name] = append(headers[name], option.GetHeader().GetValue())
	}
	maps.Copy(headers, proxys)
	return headers
}

// own are the certificates that gateways present, without their keys: nobody signs anything here.
func own(material *inventory.Snapshot) map[string]*tls.Certificate {
	certificates := map[string]*tls.Certificate{}
	for name, pair := range material.Certificates {
		var chain tls.Certificate
		for block, rest := pem.Decode(pair.CertificatePEM); block != nil; block, rest = pem.Decode(rest) {
			chain.Certificate = append(chain.Certificate, block.Bytes)
		}
		certificates[name] = &chain
	}
	return certificates
}

// Presented is what a gateway presents to an upstream.
func (e *Estate) Presented(u *config.Upstream) Credentials {
	if u.TLS == nil || u.TLS.ClientCertificate == nil {
		return Credentials{}
	}
	return Credentials{Certificate: e.own[u.TLS.ClientCertificate.Name]}
}
