package register

import (
	"cmp"
	"slices"
	"strings"
)

// lookup finds certificates without reading the whole register. Its zero value is empty.
type lookup struct {
	byDigest map[string]*Certificate
	// bySerial is by issuer and serial number, of which there is one.
	bySerial map[string]*Certificate
	// bySerialAlone, byKey and byConsumer are in the order in which the certificates were entered.
	bySerialAlone, byKey, byConsumer map[string][]*Certificate
}

func serialKey(certificate *Issued) string {
	return certificate.IssuerSHA256 + " " + certificate.Serial
}

func (l *lookup) add(certificate *Certificate) {
	if l.byDigest == nil {
		l.byDigest, l.bySerial = map[string]*Certificate{}, map[string]*Certificate{}
		l.bySerialAlone, l.byKey, l.byConsumer = map[string][]*Certificate{}, map[string][]*Certificate{}, map[string][]*Certificate{}
	}
	l.byDigest[certificate.CertificateSHA256] = certificate
	l.bySerial[serialKey(&certificate.Issued)] = certificate
	l.bySerialAlone[certificate.Serial] = append(l.bySerialAlone[certificate.Serial], certificate)
	l.byKey[certificate.SPKISHA256] = append(l.byKey[certificate.SPKISHA256], certificate)
	l.byConsumer[certificate.Consumer] = append(l.byConsumer[certificate.Consumer], certificate)
}

// find returns those of a name in lower-case hex, in the order in which they were entered, each once.
func (l *lookup) find(name string) []*Certificate {
	found := slices.Clone(l.byKey[name])
	if serial := strings.TrimLeft(name, "0"); serial != "" {
		found = append(found, l.bySerialAlone[serial]...)
	}
	if certificate := l.byDigest[name]; certificate != nil {
		found = append(found, certificate)
	}
	slices.SortFunc(found, func(a, b *Certificate) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return slices.Compact(found)
}
