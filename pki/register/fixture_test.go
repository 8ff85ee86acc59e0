package register

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

func atNoon() time.Time { return noon }

// estate is an authority and some certificates of its, made once because keys take time.
type estate struct {
	authority    *ca.Authority
	other        *ca.Authority
	certificates []*x509.Certificate
}

var theEstate = sync.OnceValue(func() estate {
	authority := mustCreate("partners")
	made := estate{authority: authority, other: mustCreate("others")}
	for i := range 12 {
		pair, err := authority.Issue(ca.Request{Profile: ca.Client, Subject: pkix.Name{CommonName: fmt.Sprintf("partner-%d", i)}, URIs: []string{"https://example.org/p"}})
		if err != nil {
			panic(err)
		}
		made.certificates = append(made.certificates, pair.Certificate)
	}
	return made
})

func mustCreate(name string) *ca.Authority {
	authority, err := ca.Create(ca.Options{CommonName: name, Clock: atNoon})
	if err != nil {
		panic(err)
	}
	return authority
}

// issued is the record of one of the estate's certificates.
func issued(i int) Record {
	made := theEstate()
	record := NewIssued(made.certificates[i], made.authority.Certificate())
	record.Consumer, record.Profile, record.RequestedBy = fmt.Sprintf("partner-%d", i), "client", "ops <on call>"
	return Record{Issued: record}
}

func revoked(i int, at time.Time) Record {
	return Record{Revoked: NewRevoked(issued(i).Issued, "superseded", at, "ops")}
}

// lines is a register of records, as it is written.
func lines(t *testing.T, records ...Record) []byte {
	t.Helper()
	_, data, err := (&Register{}).extend(records, noon)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustRead(t *testing.T, data []byte) *Register {
	t.Helper()
	register, err := Read(data)
	if err != nil {
		t.Fatal(err)
	}
	return register
}

func split(data []byte) []string {
	return strings.SplitAfter(strings.TrimSuffix(string(data), "\n"), "\n")
}
