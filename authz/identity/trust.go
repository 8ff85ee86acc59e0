package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

// Trust is the truststores of one TLS entry with their present anchors. It is immutable.
type Trust struct {
	truststores []truststore
	// key tells what is trusted here from what is trusted elsewhere or at another time.
	key [sha256.Size]byte
}

type truststore struct {
	name string
	// missing is set where the truststore never was good.
	missing bool
	// anchors by their subject in DER.
	anchors map[string][]anchor
}

type anchor struct {
	certificate *x509.Certificate
	pool        *x509.CertPool // of this one
	forClients  bool
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
		if found == nil || len(found.Anchors) == 0 {
			t.truststores = append(t.truststores, truststore{name: named.Name, missing: true})
			write(named.Name)
			write("")
			continue
		}
		t.truststores = append(t.truststores, newTruststore(named.Name, found.Anchors))
		write(named.Name)
		write(found.Hash)
	}
	content.Sum(t.key[:0])
	return t
}

func newTruststore(name string, anchors []*x509.Certificate) truststore {
	t := truststore{name: name, anchors: make(map[string][]anchor, len(anchors))}
	for _, certificate := range anchors {
		pool := x509.NewCertPool()
		pool.AddCert(certificate)
		subject := string(certificate.RawSubject)
		t.anchors[subject] = append(t.anchors[subject], anchor{certificate: certificate, pool: pool, forClients: forClients(certificate)})
	}
	return t
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
