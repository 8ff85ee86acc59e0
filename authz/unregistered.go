package authz

import "github.com/sallyport-project/sallyport/authz/identity"

// unregistered warns of a certificate that an authority has signed and its register does not know: it was issued behind the
// register's back, or somebody else has the authority's key.
func (c *Config) unregistered(alarm identity.Alarm) {
	certificate := alarm.Certificate
	c.Logger.Warn("a certificate was presented that its authority has signed and its register does not know: if nobody issued it, the authority's key is in other hands",
		"truststore", alarm.Truststore, "subject", certificate.Subject, "serial", certificate.Serial, "sha256", certificate.SHA256,
		"not_after", certificate.NotAfter, "refused", alarm.Refused)
}
