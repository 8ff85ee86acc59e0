package expiry

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"github.com/sallyport-project/sallyport/authz/reason"
	"github.com/sallyport-project/sallyport/authz/sightings"
)

var noon = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// years before noon, so that a certificate's life is long.
const years = 3 * 365 * day

// certificate is one of which only what rows need is filled in.
func certificate(name string, end time.Time) *x509.Certificate {
	return &x509.Certificate{
		Raw: []byte(name), Subject: pkix.Name{CommonName: name}, Issuer: pkix.Name{CommonName: "root"}, SerialNumber: big.NewInt(31),
		NotBefore: noon.Add(-years), NotAfter: end,
	}
}

// sighting is of a consumer's certificate that ends in so long.
func sighting(consumer, sha256 string, in time.Duration) sightings.Sighting {
	return sightings.Sighting{
		Gateway: "edge", SHA256: sha256, Subject: "CN=" + consumer, Serial: "1f", NotBefore: noon.Add(-years), NotAfter: noon.Add(in),
		Consumer: consumer, Truststore: "partners", LastSeen: noon.Add(-time.Hour), Allowed: true, Reason: reason.PermissionGranted, Requests: 5,
	}
}
