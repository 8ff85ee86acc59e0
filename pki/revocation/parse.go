package revocation

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
)

// blockType is the type of PEM block of a revocation list (RFC 7468, section 6).
const blockType = "X509 CRL"

// maxLists is how many lists may stand in one file: more than a truststore has authorities, and each is verified.
const maxLists = 64

var pemBegin = []byte("-----BEGIN ")

// Parse reads revocation lists: one in DER, or one or more in PEM, with text between them passed over. One that is not
// whole, is for a part of the certificates only, or has something critical in it that is not understood is an error, and
// so is anything else among them. Dates are not judged, and nobody's signature is verified.
func Parse(data []byte) ([]*List, error) {
	encoded, err := blocks(data)
	if err != nil {
		return nil, err
	}
	lists := make([]*List, 0, len(encoded))
	for i, der := range encoded {
		list, err := parseOne(der)
		if err != nil {
			return nil, fmt.Errorf("list %d of %d: %w", i+1, len(encoded), err)
		}
		lists = append(lists, list)
	}
	return lists, nil
}

// blocks cuts data into lists in DER.
func blocks(data []byte) ([][]byte, error) {
	// A SEQUENCE whose length needs more than a byte, as that of every list does: no text begins so.
	if len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80 {
		return [][]byte{data}, nil
	}
	var found [][]byte
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != blockType {
			return nil, fmt.Errorf("a PEM block of type %q stands where only revocation lists belong", block.Type)
		}
		found = append(found, block.Bytes)
	}
	switch begun := countBlocks(data); {
	case begun != len(found):
		return nil, fmt.Errorf("%d of %d PEM blocks are not well-formed", begun-len(found), begun)
	case len(found) == 0:
		return nil, errors.New("it holds no revocation list, in PEM or DER")
	case len(found) > maxLists:
		return nil, fmt.Errorf("it holds %d revocation lists, and %d are the most", len(found), maxLists)
	}
	return found, nil
}

// countBlocks counts the lines that begin a block: pem.Decode passes silently over what it cannot decode.
func countBlocks(data []byte) int {
	count := 0
	for line := range bytes.Lines(data) {
		if bytes.HasPrefix(line, pemBegin) {
			count++
		}
	}
	return count
}

func parseOne(der []byte) (*List, error) {
	parsed, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("it cannot be parsed: %w", err)
	}
	if len(parsed.Raw) != len(der) {
		return nil, errors.New("something follows the list")
	}
	return newList(parsed)
}

// The extensions of lists and their entries that are known here (RFC 5280, sections 5.2 and 5.3).
var (
	oidAuthorityKeyID           = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidListNumber               = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidDeltaList                = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidReasonCode               = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidCertificateIssuer        = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// checkExtensions refuses lists that do not say by themselves, and of all certificates of their authority, which are
// revoked. The extensions that limit a list are refused also where they are not marked critical, as they must be.
func checkExtensions(parsed *x509.RevocationList) error {
	seen := make(map[string]bool, len(parsed.Extensions))
	for _, extension := range parsed.Extensions {
		id := extension.Id.String()
		if seen[id] {
			return fmt.Errorf("it has the extension %s twice", id)
		}
		seen[id] = true
		switch {
		case extension.Id.Equal(oidDeltaList):
			return errors.New("it is a delta list, which only says what has changed: a full one is wanted")
		case extension.Id.Equal(oidIssuingDistributionPoint):
			return errors.New("it is limited to a part of the certificates (issuing distribution point): a full one without that extension is wanted")
		case extension.Critical && !extension.Id.Equal(oidAuthorityKeyID) && !extension.Id.Equal(oidListNumber):
			return fmt.Errorf("it has the critical extension %s, which is not understood", id)
		}
	}
	return nil
}

func checkEntry(entry x509.RevocationListEntry) error {
	for _, extension := range entry.Extensions {
		switch {
		case extension.Id.Equal(oidCertificateIssuer):
			return errors.New("it is an indirect list, with certificates of other authorities: each authority's own is wanted")
		case criticalUnknown(extension):
			return fmt.Errorf("an entry has the critical extension %s, which is not understood", extension.Id)
		}
	}
	return nil
}

func criticalUnknown(extension pkix.Extension) bool {
	return extension.Critical && !extension.Id.Equal(oidReasonCode)
}

// EncodePEM writes lists as PEM blocks, in their order.
func EncodePEM(lists ...Verified) []byte {
	var encoded []byte
	for _, list := range lists {
		encoded = append(encoded, pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: list.Raw})...)
	}
	return encoded
}
