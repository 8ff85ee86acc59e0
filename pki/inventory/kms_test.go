package inventory

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
	sallyportv1 "github.com/sallyport-project/sallyport/proto/sallyport/v1"
)

func TestAnAuthorityWhoseKeyStaysInAKMSIssues(t *testing.T) {
	folder := t.TempDir()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority, err := ca.CreateWith(ca.Options{CommonName: "kept away"}, key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "ca.pem"), authority.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	specs := Specs{
		Authorities: map[string]*sallyportv1.AuthoritySpec{"away": authorityMaterial("file:ca.pem", "awskms:alias/ca")},
		Certificates: map[string]*sallyportv1.CertificateSpec{"one": {Source: &sallyportv1.CertificateSpec_Issued{
			Issued: &sallyportv1.IssuedCertificate{Authority: "away", Profile: sallyportv1.CertificateProfile_CERTIFICATE_PROFILE_CLIENT, CommonName: "one"},
		}}},
	}
	asked := 0
	kms := func(_ context.Context, id string) (crypto.Signer, error) {
		asked++
		if id != "alias/ca" {
			return nil, errors.New("no such key")
		}
		return key, nil
	}
	keeper, err := New(Config{Base: folder, KMS: kms})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		snapshot := keeper.Apply(t.Context(), specs)
		if pair := snapshot.Certificates["one"]; pair == nil || pair.Leaf.CheckSignatureFrom(authority.Certificate()) != nil {
			t.Fatalf("not issued by it: %v", snapshot.Problems)
		}
	}
	if asked != 1 {
		t.Errorf("the KMS was asked %d times", asked)
	}

	allow, err := material.ParseAllowList([]string{"file:" + folder}, folder)
	if err != nil {
		t.Fatal(err)
	}
	limited, err := New(Config{Base: folder, KMS: kms, Store: material.NewStore(material.Config{Allow: allow})})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := limited.Apply(t.Context(), specs)
	if snapshot.Certificates["one"] != nil || len(snapshot.Problems) == 0 || !strings.Contains(snapshot.Problems[0].Error(), "--allow-material") {
		t.Errorf("a key that the allow-list does not name was used: %v", snapshot.Problems)
	}
}
