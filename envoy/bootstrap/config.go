package bootstrap

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sallyport-project/sallyport/pki/spiffe"
)

// DefaultMaxConnections is Config.MaxConnections where that is 0.
const DefaultMaxConnections = 50_000

// LongestSocketPath is the length that the path of a Unix socket may have, in bytes (sun_path of unix(7), without the
// zero byte at its end).
const LongestSocketPath = 107

// Config says what one proxy is told at its start. Paths are absolute and as that proxy sees them.
type Config struct {
	// Identity is the proxy's own, as in the URI SAN of its certificate. The control plane and the authorization service
	// must be of the same trust domain.
	Identity spiffe.Identity
	// XDSAddress is the control plane, as host:port. It is spoken to by mTLS.
	XDSAddress string
	// AuthzAddress is the authorization service: host:port by mTLS, or unix:/path of a socket, without TLS.
	AuthzAddress string

	// CertificatePath and KeyPath are PEM files in one folder: the proxy's chain, leaf first, and its private key.
	CertificatePath, KeyPath string
	// CAPath is a PEM file with the anchors of the proxies' CA.
	//
	// All three are read again when a file is moved into their folder, or its symbolic link is swapped; a file that is
	// written in place goes unnoticed.
	CAPath string

	// Directory is where the proxy will find the files of this bootstrap. They may be written elsewhere first.
	Directory string
	// AdminSocket is where Envoy puts its admin interface: a Unix socket of mode 0600.
	AdminSocket string
	// MaxConnections limits the downstream connections of the whole proxy; those above it are closed at once. 0 means
	// DefaultMaxConnections.
	MaxConnections uint32
}

// check finds everything that is wrong at once.
func (c Config) check() error {
	return errors.Join(
		c.checkIdentity(),
		checkHostPort("control plane's address", c.XDSAddress),
		c.checkAuthzAddress(),
		checkPath("certificate's path", c.CertificatePath),
		checkPath("private key's path", c.KeyPath),
		c.checkOneFolder(),
		checkPath("CA's path", c.CAPath),
		checkPath("bootstrap's directory", c.Directory),
		checkSocket("admin socket", c.AdminSocket),
	)
}

func (c Config) checkIdentity() error {
	if err := c.Identity.Validate(); err != nil {
		return fmt.Errorf("the proxy's identity: %w", err)
	}
	if c.Identity.Kind != spiffe.Proxy {
		return fmt.Errorf("the identity %s is a %s, and must be a proxy", c.Identity, c.Identity.Kind)
	}
	return nil
}

// checkOneFolder holds because Envoy watches one folder for the pair (TlsCertificate.watched_directory).
func (c Config) checkOneFolder() error {
	if filepath.Dir(c.CertificatePath) != filepath.Dir(c.KeyPath) {
		return fmt.Errorf("the certificate %s and its private key %s must be in one folder, so that they are replaced together",
			c.CertificatePath, c.KeyPath)
	}
	return nil
}

func (c Config) checkAuthzAddress() error {
	const what = "authorization service's address"
	if path, isSocket := c.authzSocket(); isSocket {
		return checkSocket(what, path)
	}
	return checkHostPort(what, c.AuthzAddress)
}

// authzSocket returns the path of the authorization service's socket, if it is reached by one.
func (c Config) authzSocket() (string, bool) {
	return strings.CutPrefix(c.AuthzAddress, "unix:")
}

func checkSocket(what, path string) error {
	if err := checkPath(what, path); err != nil {
		return err
	}
	if len(path) > LongestSocketPath {
		return fmt.Errorf("the %s has %d bytes, and a Unix socket's path may have %d; choose a shorter folder: %s",
			what, len(path), LongestSocketPath, path)
	}
	return nil
}

func checkPath(what, path string) error {
	switch {
	case !filepath.IsAbs(path) || filepath.Clean(path) != path:
		return fmt.Errorf("the %s %q must be an absolute path without . and .. in it", what, path)
	case !utf8.ValidString(path) || strings.ContainsRune(path, 0):
		return fmt.Errorf("the %s %q must be UTF-8 without zero bytes", what, path)
	}
	return nil
}

func checkHostPort(what, address string) error {
	if _, _, err := splitHostPort(address); err != nil {
		return fmt.Errorf("the %s %q must be host:port: %w", what, address, err)
	}
	return nil
}

// splitHostPort reads host:port, where the host is an IP address or a DNS name and the port is a number other than 0.
func splitHostPort(address string) (host string, port uint32, err error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, err
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil || number == 0 {
		return "", 0, fmt.Errorf("the port %q is not a number from 1 to 65535", text)
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip.Zone() != "" {
			return "", 0, fmt.Errorf("the address %s has a zone", ip)
		}
		return host, uint32(number), nil
	}
	if !isDNSName(host) {
		return "", 0, fmt.Errorf("%q is neither an IP address nor a DNS name", host)
	}
	return host, uint32(number), nil
}

// isDNSName accepts letters, digits, hyphens and underscores in labels of 1 to 63 bytes, 253 bytes in all (RFC 1035,
// section 2.3.4; underscores are common in the names of containers).
func isDNSName(name string) bool {
	const longestName, longestLabel = 253, 63
	if len(name) > longestName {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > longestLabel {
			return false
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
