package truststore

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/internal/terminal"
	"github.com/sallyport-project/sallyport/pki/ca"
)

// EndsSoon is how long before an authority's end Lint warns of it: those whom it has certified need that time.
const EndsSoon = 90 * 24 * time.Hour

// Severity says what a Finding means for publishing.
type Severity string

// The severities.
const (
	// Error is what must not be published.
	Error Severity = "error"
	// Warning is what somebody should look at.
	Warning Severity = "warning"
)

// Finding is something about a bundle that people should know.
type Finding struct {
	Severity Severity `json:"severity"`
	// Number of the PEM block, 1 for the first; 0 for the bundle as a whole.
	Number int `json:"number,omitempty"`
	// Subject of the certificate, if it could be read. Like Message, it is fit for a terminal.
	Subject string `json:"subject,omitempty"`
	// Message says what is wrong and what to do. It holds nothing of a private key.
	Message string `json:"message"`
}

// String is the finding in one line.
func (f Finding) String() string {
	switch {
	case f.Number == 0:
		return fmt.Sprintf("%s: %s", f.Severity, f.Message)
	case f.Subject == "":
		return fmt.Sprintf("%s: certificate %d: %s", f.Severity, f.Number, f.Message)
	}
	return fmt.Sprintf("%s: certificate %d (%s): %s", f.Severity, f.Number, f.Subject, f.Message)
}

// Errors are those findings that keep a bundle from being published.
func Errors(findings []Finding) []Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f Finding) bool { return f.Severity != Error })
}

// Lint judges a bundle in PEM, in the order of its blocks. A bundle with a private key gets that finding alone.
func Lint(bundle []byte, now time.Time) []Finding {
	l := &linter{now: now, certificates: make(map[[sha256.Size]byte]int), keys: make(map[string]int)}
	blocks, after := split(bundle)
	if bytes.Contains(bundle, []byte("PRIVATE KEY-----")) {
		return []Finding{{Severity: Error, Message: "it holds a private key: a truststore is public. Nothing was published; if anybody else has seen the file, replace that key"}}
	}
	for i, block := range blocks {
		l.number = i + 1
		l.block(block)
	}
	l.number, l.subject = 0, ""
	if l.authorities == 0 {
		l.add(Error, "it holds no certificate authority that can be trusted")
	}
	if len(bytes.TrimSpace(after)) > 0 {
		l.add(Warning, "there is text after the last certificate; was the file cut, or joined with another?")
	}
	return l.findings
}

// split cuts a bundle before each line that begins a block, so that none is passed over for being malformed, and returns
// what stands behind the end of the last one.
func split(bundle []byte) (blocks [][]byte, after []byte) {
	begin := []byte("-----BEGIN ")
	for line := range bytes.Lines(bundle) {
		if bytes.HasPrefix(line, begin) {
			blocks = append(blocks, nil)
		}
		if last := len(blocks) - 1; last >= 0 {
			blocks[last] = append(blocks[last], line...)
		}
	}
	if len(blocks) > 0 {
		if block, rest := pem.Decode(blocks[len(blocks)-1]); block != nil {
			after = rest
		}
	}
	return blocks, after
}

// linter collects findings about the blocks that came so far.
type linter struct {
	now         time.Time
	findings    []Finding
	number      int
	subject     string
	authorities int
	// certificates and keys (with the subject) by the number of the first block that has them.
	certificates map[[sha256.Size]byte]int
	keys         map[string]int
}

func (l *linter) add(severity Severity, format string, arguments ...any) {
	l.findings = append(l.findings, Finding{
		Severity: severity, Number: l.number, Subject: l.subject, Message: terminal.Safe(fmt.Sprintf(format, arguments...)),
	})
}

func (l *linter) block(data []byte) {
	l.subject = ""
	block, _ := pem.Decode(data)
	switch {
	case block == nil:
		l.add(Error, "it is not well-formed PEM; was the file cut?")
		return
	case block.Type != "CERTIFICATE":
		l.add(Error, "it is a PEM block of type %q; a truststore holds certificates and nothing else", block.Type)
		return
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		l.add(Error, "it cannot be read: %v", err)
		return
	}
	l.subject = terminal.Safe(certificate.Subject.String())
	sum := sha256.Sum256(certificate.Raw)
	if first := l.certificates[sum]; first != 0 {
		l.add(Warning, "it is the same as certificate %d: remove one", first)
		return
	}
	l.certificates[sum] = l.number
	l.certificate(certificate)
}

// certificate judges one that is not a duplicate.
func (l *linter) certificate(certificate *x509.Certificate) {
	before := len(Errors(l.findings))
	l.authority(certificate)
	l.dates(certificate)
	if len(certificate.UnhandledCriticalExtensions) > 0 {
		l.add(Error, "it has the critical extension %s, which nobody here understands", certificate.UnhandledCriticalExtensions[0])
	}
	same := string(certificate.RawSubject) + "\x00" + string(certificate.RawSubjectPublicKeyInfo)
	if first := l.keys[same]; first != 0 {
		l.add(Warning, "it has the subject and the key of certificate %d: keep both only while one takes the other's place", first)
	} else {
		l.keys[same] = l.number
	}
	if len(Errors(l.findings)) == before {
		l.authorities++
	}
}

func (l *linter) authority(certificate *x509.Certificate) {
	switch {
	case !certificate.BasicConstraintsValid || !certificate.IsCA:
		l.add(Error, "it is not a certificate authority's (basic constraints lack CA:TRUE): put in the authority that issued it")
		return
	case certificate.KeyUsage != 0 && certificate.KeyUsage&x509.KeyUsageCertSign == 0:
		l.add(Error, "its key usage lacks keyCertSign: it may not issue certificates")
		return
	}
	if err := ca.CheckAuthority(certificate); err != nil {
		l.add(Error, "%v", err)
		return
	}
	if usages := certificate.ExtKeyUsage; len(usages)+len(certificate.UnknownExtKeyUsage) > 0 &&
		!slices.Contains(usages, x509.ExtKeyUsageClientAuth) && !slices.Contains(usages, x509.ExtKeyUsageAny) {
		l.add(Warning, "its extended key usage lacks clientAuth: it vouches for no client")
	}
	if ca.IsDevelopment(certificate) {
		l.add(Warning, "it is a development authority, which gateways refuse unless they were told to accept such")
	}
}

func (l *linter) dates(certificate *x509.Certificate) {
	const day = 24 * time.Hour
	switch end := certificate.NotAfter.UTC(); {
	case l.now.After(end):
		l.add(Error, "it expired at %s: take it out", end.Format(time.RFC3339))
	case end.Sub(l.now) < EndsSoon:
		l.add(Warning, "it expires at %s, in %d days: put the one that follows it beside it", end.Format(time.RFC3339), int(end.Sub(l.now)/day))
	}
	if begin := certificate.NotBefore.UTC(); l.now.Before(begin) {
		l.add(Warning, "it is valid only from %s on", begin.Format(time.RFC3339))
	}
}

// Refused is the errors among findings as one error, nil if there are none.
func Refused(findings []Finding) error {
	wrong := Errors(findings)
	if len(wrong) == 0 {
		return nil
	}
	texts := make([]error, len(wrong))
	for i, f := range wrong {
		texts[i] = errors.New(f.String())
	}
	return fmt.Errorf("the bundle must not be published:\n%w", errors.Join(texts...))
}
