package translate

import "github.com/sallyport-project/sallyport/config"

// ListenerName is the name of a listener as a resource.
func ListenerName(l *config.Listener) string { return l.Gateway.Name + "/" + l.Name }

// RoutesName is the name of an entry's route configuration.
func RoutesName(e *config.Entry) string { return ListenerName(e.Listener) + "/" + e.Name }

// ClusterName is the name of an upstream's cluster, and of its endpoints.
func ClusterName(u *config.Upstream) string { return "upstream/" + u.Name }

// CertificateName is the name of the secret that holds a Certificate.
func CertificateName(c *config.Certificate) string { return "certificate/" + c.Name }

// TruststoresName is the name of the secret that holds the trust anchors of an entry. It belongs to the entry and not to
// its Truststores, because the anchors of several stand in one validation context.
func TruststoresName(e *config.Entry) string { return "truststores/" + RoutesName(e) }

// TruststoreName is the name of the secret that holds the trust anchors by which upstreams are verified.
func TruststoreName(t *config.Truststore) string { return "truststore/" + t.Name }
