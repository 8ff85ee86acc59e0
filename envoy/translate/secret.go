package translate

import (
	"bytes"
	"crypto/x509"
	"fmt"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
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
	var present []*inventory.Truststore
	for _, truststore := range e.ClientAuth.Truststores {
		if found := t.material.Truststores[truststore.Name]; found != nil {
			present = append(present, found)
			continue
		}
		effect := "callers whom it vouches for are refused"
		if len(e.ClientAuth.Truststores) == 1 {
			effect = "connections for its hostnames are refused"
		}
		t.problem(e.Origin, subject, "Truststore", truststore.Name, effect)
	}
	if len(present) == 0 {
		return false
	}
	context := validationContext(present...)
	if e.ClientAuth.Explain {
		// The handshake succeeds, and the authorization service, which verifies every certificate again, answers 403.
		context.TrustChainVerification = tlsv3.CertificateValidationContext_ACCEPT_UNTRUSTED
	} else if lists := listsForCallers(present); len(lists) > 0 {
		context.Crl = inline(lists)
	}
	t.secret(&tlsv3.Secret{Name: TruststoresName(e), Type: &tlsv3.Secret_ValidationContext{ValidationContext: context}})
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
	switch {
	case truststore == nil:
		t.problem(u.Origin, subject, "Truststore", u.TLS.Truststore.Name, effect)
		complete = false
	case truststore.Revocation.Mode == inventory.RevocationRequired && len(truststore.Revocation.ProxyPEM) == 0:
		// Nobody but the proxy verifies an upstream, so without lists a revoked one would be trusted.
		t.problem(u.Origin, subject, "current revocation list of each authority of the Truststore", u.TLS.Truststore.Name, effect)
		complete = false
	}
	if c := u.TLS.ClientCertificate; c != nil && t.material.Certificates[c.Name] == nil {
		t.problem(u.Origin, subject, "Certificate", c.Name, effect)
		complete = false
	}
	if !complete {
		return false
	}
	context := validationContext(truststore)
	if lists := truststore.Revocation.ProxyPEM; len(lists) > 0 {
		context.Crl = inline(lists)
	}
	t.secret(&tlsv3.Secret{Name: TruststoreName(u.TLS.Truststore), Type: &tlsv3.Secret_ValidationContext{ValidationContext: context}})
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

// validationContext is that with which certificates are verified. What becomes of an untrusted one stands there and not in
// the listener, so that changing it drains no connection.
func validationContext(truststores ...*inventory.Truststore) *tlsv3.CertificateValidationContext {
	var anchors [][]byte
	for _, truststore := range truststores {
		anchors = append(anchors, truststore.PEM)
	}
	return &tlsv3.CertificateValidationContext{TrustedCa: inline(bytes.Join(anchors, nil))}
}

// listsForCallers are the revocation lists of all truststores of an entry, or none: with any list, Envoy wants one of every
// authority, and refuses the handshake of a good certificate where one is missing or has run out. So there are none where
// one has a grace, or takes authorities that are not known here. Either way callers' certificates are held against the
// lists by the authorization service, on each request.
func listsForCallers(truststores []*inventory.Truststore) []byte {
	var lists [][]byte
	authorities := make(map[string]*x509.Certificate)
	for _, truststore := range truststores {
		if len(truststore.Revocation.ProxyPEM) == 0 || truststore.Revocation.Grace > 0 || truststore.Intermediates.FromCaller {
			return nil
		}
		for _, anchor := range truststore.Anchors {
			// Envoy finds an authority's list by the authority's name.
			subject := string(anchor.RawSubject)
			if other := authorities[subject]; other != nil && !bytes.Equal(other.RawSubjectPublicKeyInfo, anchor.RawSubjectPublicKeyInfo) {
				return nil
			}
			authorities[subject] = anchor
		}
		lists = append(lists, truststore.Revocation.ProxyPEM)
	}
	return bytes.Join(lists, nil)
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
