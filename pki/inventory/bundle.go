package inventory

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

// Bundle is what a truststore's PEM file was found to hold.
type Bundle struct {
	// Anchors are the good ones, sorted by their SHA-256, each once.
	Anchors []*x509.Certificate
	// LeftOut says what else was found, one error for each block, in the order of the file.
	LeftOut []error
}

var (
	errPrivateKey = errors.New("it holds a private key, so it is refused as a whole: a truststore is public")
	errNoAnchor   = errors.New("it holds no certificate authority that can be trusted now")
)

var pemBegin = []byte("-----BEGIN ")

// ParseBundle reads trust anchors in PEM. Text between the blocks is passed over. A block that is malformed, no
// certificate, a leaf's, too weak, expired at the time given, or has a critical extension that nobody here understands is
// left out, with the reason. An anchor that is not valid yet is kept, since verifiers look at the date.
//
// A private key anywhere makes the whole bundle an error, and so does a bundle in which nothing is good; LeftOut is
// returned with the latter.
func ParseBundle(data []byte, now time.Time) (Bundle, error) {
	var bundle Bundle
	seen := make(map[[sha256.Size]byte]bool)
	for number, segment := range pemSegments(data) {
		if isPrivateKey(segment) {
			return Bundle{}, errPrivateKey
		}
		anchor, err := parseAnchor(segment, now)
		if err != nil {
			bundle.LeftOut = append(bundle.LeftOut, fmt.Errorf("certificate %d is left out: %w", number+1, err))
			continue
		}
		if sum := sha256.Sum256(anchor.Raw); !seen[sum] {
			seen[sum] = true
			bundle.Anchors = append(bundle.Anchors, anchor)
		}
	}
	if len(bundle.Anchors) == 0 {
		return bundle, errNoAnchor
	}
	slices.SortFunc(bundle.Anchors, compareAnchors)
	return bundle, nil
}

// pemSegments cuts data before each line that begins a block, because pem.Decode passes silently over what it cannot
// decode.
func pemSegments(data []byte) [][]byte {
	var segments [][]byte
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, pemBegin) {
			segments = append(segments, nil)
		}
		if last := len(segments) - 1; last >= 0 {
			segments[last] = append(segments[last], line...)
		}
	}
	return segments
}

// isPrivateKey looks at the first line alone, so that a malformed key is found too.
func isPrivateKey(segment []byte) bool {
	line, _, _ := bytes.Cut(segment, []byte("\n"))
	return bytes.Contains(line, []byte("PRIVATE KEY"))
}

func parseAnchor(segment []byte, now time.Time) (*x509.Certificate, error) {
	block, _ := pem.Decode(segment)
	if block == nil {
		return nil, errors.New("it is not well-formed PEM")
	}
	if block.Type != "CERTIFICATE" {
		return nil, fmt.Errorf("it is a PEM block of type %q", block.Type)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	if err := checkAnchor(certificate, now); err != nil {
		return nil, fmt.Errorf("%q: %w", certificate.Subject, err)
	}
	return certificate, nil
}

func checkAnchor(certificate *x509.Certificate, now time.Time) error {
	if err := ca.CheckAuthority(certificate); err != nil {
		return err
	}
	if now.After(certificate.NotAfter) {
		return fmt.Errorf("it expired at %s", certificate.NotAfter.UTC().Format(time.RFC3339))
	}
	if len(certificate.UnhandledCriticalExtensions) > 0 {
		return fmt.Errorf("it has the critical extension %s, which is not understood", certificate.UnhandledCriticalExtensions[0])
	}
	return nil
}

func compareAnchors(a, b *x509.Certificate) int {
	sumA, sumB := sha256.Sum256(a.Raw), sha256.Sum256(b.Raw)
	return bytes.Compare(sumA[:], sumB[:])
}
