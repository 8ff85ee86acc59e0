package translate

import (
	"bytes"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/sallyport-project/sallyport/config"
)

// entrySecrets adds the secrets of an entry. It tells whether all are there that the entry cannot be served without.
//
// Where some truststores of several are missing, the others serve: callers whom only a missing one vouches for are
// turned away, and nobody is let in who would not be otherwise.
func (t *translation) entrySecrets(e *config.Entry) bool {
	if e.Certificate == nil {
		return true
	}
	subject := fmt.Sprintf("%s at %s", e.Name, ListenerName(e.Listener))
	if !t.certificate(e.Certificate) {
		t.problem(e.Origin, subject, "Certificate", e.Certificate.Name, "connections for its hostnames are refused")
		return false
	}
	if e.ClientAuth.Mode == config.ClientAuthNone {
		return true
	}
	var anchors [][]byte
	for _, truststore := range e.ClientAuth.Truststores {
		if found := t.material.Truststores[truststore.Name]; found != nil {
			anchors = append(anchors, found.PEM)
			continue
		}
		effect := "callers whom it vouches for are refused"
		if len(e.ClientAuth.Truststores) == 1 {
			effect = "connections for its hostnames are refused"
		}
		t.problem(e.Origin, subject, "Truststore", truststore.Name, effect)
	}
	if len(anchors) == 0 {
		return false
	}
	t.secret(validationContext(TruststoresName(e), bytes.Join(anchors, nil), e.ClientAuth.Explain))
	return true
}

// upstreamSecrets adds the secrets of an upstream. It tells whether all are there.
func (t *translation) upstreamSecrets(u *config.Upstream) bool {
	if u.TLS == nil {
		return true
	}
	complete := true
	subject := fmt.Sprintf("the Upstream %q", u.Name)
	const effect = "requests for it are answered 503"
	truststore := t.material.Truststores[u.TLS.Truststore.Name]
	if truststore == nil {
		t.problem(u.Origin, subject, "Truststore", u.TLS.Truststore.Name, effect)
		complete = false
	}
	if c := u.TLS.ClientCertificate; c != nil && t.material.Certificates[c.Name] == nil {
		t.problem(u.Origin, subject, "Certificate", c.Name, effect)
		complete = false
	}
	if !complete {
		return false
	}
	t.secret(validationContext(TruststoreName(u.TLS.Truststore), truststore.PEM, false))
	if u.TLS.ClientCertificate != nil {
		t.certificate(u.TLS.ClientCertificate)
	}
	return true
}

// certificate adds the secret of a Certificate, and tells whether it has material.
func (t *translation) certificate(c *config.Certificate) bool {
	pair := t.material.Certificates[c.Name]
	if pair == nil {
		return false
	}
	t.secret(&tlsv3.Secret{
		Name: CertificateName(c),
		Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(pair.CertificatePEM),
			PrivateKey:       inline(pair.PrivateKeyPEM),
		}},
	})
	return true
}

// validationContext makes the secret with which certificates are verified. What becomes of an untrusted one stands here
// and not in the listener, so that changing it drains no connection.
func validationContext(name string, anchors []byte, explain bool) *tlsv3.Secret {
	context := &tlsv3.CertificateValidationContext{TrustedCa: inline(anchors)}
	if explain {
		// The handshake succeeds, and the authorization service, which verifies every certificate again, answers 403.
		context.TrustChainVerification = tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED
	}
	return &tlsv3.Secret{Name: name, Type: &tlsv3.Secret_ValidationContext{ValidationContext: context}}
}

func inline(content []byte) *corev3.DataSource {
	return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: content}}
}

func (t *translation) secret(s *tlsv3.Secret) { t.resources.Secrets[s.GetName()] = s }

func (t *translation) problem(origin config.Origin, subject, kind, name, effect string) {
	t.resources.Problems = append(t.resources.Problems, Problem{
		Origin: origin, Subject: subject, Missing: fmt.Sprintf("%s %q", kind, name), Effect: effect,
	})
}
