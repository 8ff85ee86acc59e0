package inventory

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"testing"

	"google.golang.org/protobuf/proto"

	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func publicPEM(t *testing.T, signer crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// name gives the truststore other signers, in a spec of its own as a new revision would.
func (f *fixture) name(signers ...string) {
	f.Helper()
	spec := proto.CloneOf[*sallyportv1.TruststoreSpec](f.specs.Truststores["partners"])
	spec.Signers = signers
	f.specs.Truststores["partners"] = spec
}

func TestSignersThatAreAddedCountAtOnce(t *testing.T) {
	f := newFixture(t, nil)
	signer, public := newSigner(t)
	stranger, good := f.authority("stranger", 0), f.authority("good", 0)
	f.write("signer.pem", public)
	f.write("partners.pem", stranger.CertificatePEM())
	f.specs.Truststores["partners"] = bundle("file:partners.pem")
	f.apply()
	f.wantAnchors("partners", stranger)

	spec := bundle("file:partners.pem")
	spec.Signers = []string{"file:signer.pem"}
	f.specs.Truststores["partners"] = spec
	f.apply()
	f.wantProblem(KindTruststore, "partners", "not accepted by a manifest of the signers that are named now")
	if f.Current().Truststores["partners"] != nil {
		t.Error("what no manifest vouches for is in force")
	}

	f.write("partners.pem", good.CertificatePEM())
	f.write("partners.pem.manifest", f.manifestOf(good.CertificatePEM(), 1, signer, nil))
	f.apply()
	f.wantNoProblem()
	f.wantAnchors("partners", good)
}

func TestWhatIsInForceStaysAsLongAsItsSignersDo(t *testing.T) {
	_, another := newSigner(t)
	for name, test := range map[string]struct {
		change func(*fixture, []byte)
		stays  bool
	}{
		"another key lies in its place": {func(f *fixture, _ []byte) { f.write("signer.pem", another) }, false},
		"a second key joins it":         {func(f *fixture, own []byte) { f.write("signer.pem", own, another) }, true},
		"it cannot be read":             {func(f *fixture, _ []byte) { f.remove("signer.pem") }, true},
		"it lies elsewhere": {func(f *fixture, own []byte) {
			f.write("moved.pem", own)
			f.name("file:moved.pem")
		}, true},
		"another is named that cannot be read": {func(f *fixture, _ []byte) {
			f.name("file:nowhere.pem")
		}, false},
		"another is named": {func(f *fixture, _ []byte) {
			f.write("another.pem", another)
			f.name("file:another.pem")
		}, false},
		"none is named any more": {func(f *fixture, _ []byte) {
			f.name()
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			f, first, signer := signedPartners(t, nil)
			f.remove("partners.pem")
			test.change(f, publicPEM(t, signer))
			f.apply()
			if !test.stays {
				if f.Current().Truststores["partners"] != nil {
					t.Error("it stays in force")
				}
				return
			}
			f.wantAnchors("partners", first)
		})
	}
}
