package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Trust is the truststores of one TLS entry with their present anchors, lists and registers. It is immutable.
type Trust struct {
	truststores []truststore
	names       []string
	// takesChain is set where one of them takes intermediates from callers.
	takesChain bool
	// key tells what is trusted here from what is trusted elsewhere or at another time.
	key [sha256.Size]byte
}

type truststore struct {
	name string
	// material is nil where the truststore never was good.
	material *inventory.Truststore
	// anchors by their subject in DER.
	anchors map[string][]anchor
	// pool is of all anchors; nil where no intermediates are taken.
	pool *x509.CertPool
}

type anchor struct {
	certificate *x509.Certificate
	pool        *x509.CertPool // of this one
	forClients  bool
	// issuers are those other anchors that have signed this one.
	issuers []*x509.Certificate
}

// NewTrust takes the truststores of a TLS entry as they are in a snapshot.
func NewTrust(auth config.ClientAuth, material *inventory.Snapshot) *Trust {
	t := &Trust{}
	content := sha256.New()
	write := func(text string) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		content.Write(length[:])
		content.Write([]byte(text))
	}
	for _, named := range auth.Truststores {
		found := material.Truststores[named.Name]
		t.names = append(t.names, named.Name)
		write(named.Name)
		if found == nil || len(found.Anchors) == 0 {
			t.truststores = append(t.truststores, truststore{name: named.Name})
			write("")
			continue
		}
		t.truststores = append(t.truststores, newTruststore(named.Name, found))
		t.takesChain = t.takesChain || found.Intermediates.FromCaller
		write(found.Hash)
	}
	content.Sum(t.key[:0])
	return t
}

// Names are those of the truststores, in the order of the TLS entry. Do not change them.
func (t *Trust) Names() []string { return t.names }

// TakesChain tells whether the certificates that a caller sends beside its own are of any use.
func (t *Trust) TakesChain() bool { return t.takesChain }

func newTruststore(name string, material *inventory.Truststore) truststore {
	t := truststore{name: name, material: material, anchors: make(map[string][]anchor, len(material.Anchors))}
	if material.Intermediates.FromCaller {
		t.pool = x509.NewCertPool()
	}
	for _, certificate := range material.Anchors {
		pool := x509.NewCertPool()
		pool.AddCert(certificate)
		if t.pool != nil {
			t.pool.AddCert(certificate)
		}
		subject := string(certificate.RawSubject)
		t.anchors[subject] = append(t.anchors[subject], anchor{
			certificate: certificate, pool: pool, forClients: forClients(certificate), issuers: issuersOf(certificate, material.Anchors),
		})
	}
	return t
}

// issuersOf finds the other anchors that have signed one.
func issuersOf(certificate *x509.Certificate, anchors []*x509.Certificate) []*x509.Certificate {
	var issuers []*x509.Certificate
	for _, candidate := range anchors {
		if bytes.Equal(candidate.RawSubject, certificate.RawIssuer) && !candidate.Equal(certificate) &&
			certificate.CheckSignatureFrom(candidate) == nil {
			issuers = append(issuers, candidate)
		}
	}
	return issuers
}

// forClients tells whether a certificate's extended key usage lets its holder be a client: it is absent, or holds
// clientAuth or anyExtendedKeyUsage (RFC 5280, section 4.2.1.12). An authority that is limited otherwise vouches for no
// client either, as BoringSSL has it.
func forClients(certificate *x509.Certificate) bool {
	if len(certificate.ExtKeyUsage) == 0 && len(certificate.UnknownExtKeyUsage) == 0 {
		return true
	}
	for _, usage := range certificate.ExtKeyUsage {
		if usage == x509.ExtKeyUsageClientAuth || usage == x509.ExtKeyUsageAny {
			return true
		}
	}
	return false
}
