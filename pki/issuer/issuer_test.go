package issuer

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/register"
)

const day = 24 * time.Hour

// A certificate's whole life, as an operator leads it.
func TestTheLifeOfACertificate(t *testing.T) {
	h := newHome(t, nil)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(h.Bundle())

	issued, err := h.Issue(t.Context(), Order{Consumer: "mapps", Request: signingRequest(t, "somebody else"), RequestedBy: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	first := issued.Pair.Certificate
	if first.Subject.CommonName != "mapps" || issued.Pair.PrivateKey != nil || issued.Entry.Issued.Consumer != "mapps" || issued.Entry.Issued.RequestedBy != "ops" {
		t.Errorf("issued %s, entry %+v", issued.Pair, issued.Entry.Issued)
	}
	intermediates := x509.NewCertPool()
	for _, certificate := range issued.Pair.Chain {
		intermediates.AddCert(certificate)
	}
	if _, err := first.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: h.clock.Now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}); err != nil {
		t.Errorf("verify: %v", err)
	}

	if made := h.mustPublish(t); made.Number != 1 || len(made.Objects) != 3 || len(made.Warnings) != 0 {
		t.Errorf("published %+v", made)
	}
	if !h.index(t).Knows(digest(first)) || isListed(h.lists(t)["Partners issuing"], first) {
		t.Error("the index does not know it, or it is listed as revoked")
	}

	h.clock.forward(300 * day)
	h.mustPublish(t)
	renewed, err := h.Renew(t.Context(), Renewal{Consumer: "mapps", Request: signingRequest(t, ""), Overlap: 7 * day, RequestedBy: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	second := renewed.Pair.Certificate
	if renewed.Replaced == nil || renewed.Replaced.StatusAt(h.clock.Now()) != register.Scheduled || renewed.Entry.Issued.Replaces != digest(first) {
		t.Errorf("replaced %+v", renewed.Replaced)
	}
	h.mustPublish(t)
	due, err := h.Due(t.Context())
	if err != nil || due.At.Sub(h.clock.Now()) > day {
		t.Errorf("due %+v, %v", due, err)
	}
	if isListed(h.lists(t)["Partners issuing"], first) {
		t.Error("it is listed before its time")
	}

	h.clock.forward(7 * day)
	if _, was, err := h.PublishIfDue(t.Context()); err != nil || !was {
		t.Errorf("published %v, %v", was, err)
	}
	if list := h.lists(t)["Partners issuing"]; !isListed(list, first) || isListed(list, second) {
		t.Error("the old one alone should be listed")
	}

	revoked, err := h.Revoke(t.Context(), Revocation{Consumer: "mapps", Reason: ca.KeyCompromise, RequestedBy: "ops"})
	if err != nil || len(revoked) != 2 {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	if _, was, err := h.PublishIfDue(t.Context()); err != nil || !was {
		t.Errorf("published %v, %v", was, err)
	}
	list := h.lists(t)["Partners issuing"]
	if !isListed(list, second) || list.CheckSignatureFrom(issued.Pair.Chain[0]) != nil {
		t.Error("the new one is not listed, or not by its issuer")
	}
	if _, was, err := h.PublishIfDue(t.Context()); err != nil || was {
		t.Errorf("published again: %v, %v", was, err)
	}
}

func TestNothingIsHandedOutThatTheRegisterDoesNotHold(t *testing.T) {
	h := newHome(t, nil)
	if err := os.WriteFile(filepath.Join(h.dir, "register.jsonl"), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, issuer := range []*Issuer{h.Issuer, h.again(t)} {
		if issued, err := issuer.Issue(t.Context(), Order{Consumer: "mapps"}); err == nil || issued.Pair.Certificate != nil {
			t.Errorf("issued %s, %v", issued.Pair, err)
		}
	}
}

func TestARegisterWhoseEndIsMissingStopsEverything(t *testing.T) {
	h := newHome(t, nil)
	path := filepath.Join(h.dir, "register.jsonl")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	issued := h.mustIssue(t, "mapps")
	if err := os.WriteFile(path, before, 0o600); err != nil {
		t.Fatal(err)
	}
	again := h.again(t)
	for name, attempt := range map[string]func() error{
		"issue": func() error { _, err := again.Issue(t.Context(), Order{Consumer: "nsp"}); return err },
		"revoke": func() error {
			_, err := again.Revoke(t.Context(), Revocation{Certificate: digest(issued.Pair.Certificate)})
			return err
		},
		"publish": func() error { _, err := again.Publish(t.Context()); return err },
		"read":    func() error { _, err := again.Register(t.Context()); return err },
	} {
		if err := attempt(); err == nil || !strings.Contains(err.Error(), "end is missing") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPublishedHeadTellsOfALostRegister(t *testing.T) {
	h := newHome(t, nil)
	path := filepath.Join(h.dir, "register.jsonl")
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h.mustIssue(t, "mapps")
	h.mustPublish(t)
	// Whoever cuts the register may as well remove what the home remembers.
	if err := errors.Join(os.WriteFile(path, before, 0o600), os.Remove(filepath.Join(h.dir, stateFile))); err != nil {
		t.Fatal(err)
	}
	if _, err := h.again(t).Publish(t.Context()); err == nil || !strings.Contains(err.Error(), "end is missing") {
		t.Errorf("error %v", err)
	}
}

func TestTwoIssuersOnOneHome(t *testing.T) {
	h := newHome(t, nil)
	issuers := []*Issuer{h.Issuer, h.again(t), h.again(t)}
	var group sync.WaitGroup
	var mu sync.Mutex
	var issued []*x509.Certificate
	numbers := map[uint64]bool{}
	for n, issuer := range issuers {
		group.Go(func() {
			for round := range 4 {
				one, err := issuer.Issue(t.Context(), Order{Consumer: fmt.Sprintf("partner-%d-%d", n, round)})
				if err != nil {
					t.Error(err)
					return
				}
				made, err := issuer.Publish(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if numbers[made.Number] {
					t.Errorf("the number %d was given twice", made.Number)
				}
				numbers[made.Number] = true
				issued = append(issued, one.Pair.Certificate)
				mu.Unlock()
			}
		})
	}
	group.Wait()
	index := h.index(t)
	for _, certificate := range issued {
		if !index.Knows(digest(certificate)) {
			t.Errorf("%s is not in what was published last", certificate.Subject)
		}
	}
	if loaded, err := h.Register(t.Context()); err != nil || loaded.Head().Count != uint64(len(issued)+1) {
		t.Errorf("%+v, %v", loaded.Head(), err)
	}
}

func TestIssueRefusesAKeyThatIsNotTheConsumers(t *testing.T) {
	h := newHome(t, nil)
	request := signingRequest(t, "mapps")
	issued, err := h.Issue(t.Context(), Order{Consumer: "mapps", Request: request})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Issue(t.Context(), Order{Consumer: "nsp", Request: request}); err == nil || !strings.Contains(err.Error(), `"mapps"`) {
		t.Errorf("another's key: %v", err)
	}
	if _, err := h.Issue(t.Context(), Order{Consumer: "mapps", Request: request}); err != nil {
		t.Errorf("its own key: %v", err)
	}
	if _, err := h.Revoke(t.Context(), Revocation{Certificate: digest(issued.Pair.Certificate), Reason: ca.KeyCompromise}); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Issue(t.Context(), Order{Consumer: "mapps", Request: request}); err == nil || !strings.Contains(err.Error(), "compromised") {
		t.Errorf("a compromised key: %v", err)
	}
}

func TestRenewRefuses(t *testing.T) {
	h := newHome(t, nil)
	first, second, gone := h.mustIssue(t, "mapps"), h.mustIssue(t, "mapps"), h.mustIssue(t, "nsp")
	if _, err := h.Revoke(t.Context(), Revocation{Certificate: gone.Entry.Issued.Serial, Reason: ca.Superseded}); err != nil {
		t.Fatal(err)
	}
	authority, _ := h.Register(t.Context())
	for name, order := range map[string]Renewal{
		"one of two":             {Consumer: "mapps"},
		"nobody's":               {Consumer: "unknown"},
		"nothing":                {},
		"a revoked one":          {Certificate: gone.Entry.Issued.Serial},
		"another's":              {Certificate: first.Entry.Issued.Serial, Consumer: "nsp"},
		"a negative overlap":     {Certificate: first.Entry.Issued.Serial, Overlap: -1},
		"two keys":               {Certificate: first.Entry.Issued.Serial, SameKey: true, Request: signingRequest(t, "")},
		"an authority":           {Certificate: authority.Certificates(nil)[0].Serial},
		"another consumer's key": {Certificate: first.Entry.Issued.Serial, Request: &x509.CertificateRequest{PublicKey: gone.Pair.Certificate.PublicKey}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := h.Renew(t.Context(), order); err == nil {
				t.Error("want an error")
			}
		})
	}
	renewed, err := h.Renew(t.Context(), Renewal{Certificate: second.Entry.Issued.Serial, SameKey: true})
	if err != nil {
		t.Fatal(err)
	}
	if !ca.Matches(renewed.Pair.Certificate, second.Pair.PrivateKey) || renewed.Replaced.StatusAt(h.clock.Now()) != register.RevokedNow {
		t.Errorf("renewed %s, replaced %+v", renewed.Pair, renewed.Replaced)
	}
}

func TestRevokeRefusesAndRepeats(t *testing.T) {
	h := newHome(t, nil)
	issued := h.mustIssue(t, "mapps")
	for name, order := range map[string]Revocation{
		"nothing":         {},
		"both":            {Certificate: "1", Consumer: "mapps"},
		"unknown":         {Certificate: "abcdef"},
		"unknown partner": {Consumer: "nsp"},
		"a hold":          {Consumer: "mapps", Reason: ca.CertificateHold},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := h.Revoke(t.Context(), order); err == nil {
				t.Error("want an error")
			}
		})
	}
	order := Revocation{Certificate: issued.Entry.Issued.Serial, Reason: ca.Superseded, At: h.clock.Now().Add(day)}
	for range 2 {
		if revoked, err := h.Revoke(t.Context(), order); err != nil || len(revoked) != 1 || revoked[0].StatusAt(h.clock.Now()) != register.Scheduled {
			t.Errorf("%+v, %v", revoked, err)
		}
	}
	order.At = time.Time{}
	if revoked, err := h.Revoke(t.Context(), order); err != nil || revoked[0].StatusAt(h.clock.Now()) != register.RevokedNow {
		t.Errorf("sooner: %+v, %v", revoked, err)
	}
	loaded, err := h.Register(t.Context())
	if err != nil || loaded.Head().Count != 4 { // the authority, the certificate, two revocations
		t.Errorf("%+v, %v", loaded.Head(), err)
	}
}

func TestKeysAreEncryptedAndForTheirOwnerAlone(t *testing.T) {
	h := newHome(t, func(options *Options) {
		options.RootPassphrase, options.IssuingPassphrase = []byte(passphrase), []byte(passphrase)
	})
	h.mustIssue(t, "mapps") // with the passphrase that the configuration gives
	err := filepath.WalkDir(h.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if info.Mode().Perm() != 0o700 {
				t.Errorf("%s has the mode %s", path, info.Mode())
			}
			return nil
		}
		data, err := os.ReadFile(path)
		if strings.HasSuffix(path, "-key.pem") {
			if info.Mode().Perm() != 0o600 || !bytes.Contains(data, []byte("ENCRYPTED PRIVATE KEY")) {
				t.Errorf("%s: mode %s", path, info.Mode())
			}
			return err
		}
		if bytes.Contains(data, []byte("PRIVATE KEY")) || bytes.Contains(data, []byte(passphrase)) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	mute := configOf(h.dir, h.clock)
	mute.Passphrase = nil
	silent, err := Open(mute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := silent.Issue(t.Context(), Order{Consumer: "nsp"}); !errors.Is(err, ca.ErrEncrypted) {
		t.Errorf("without a passphrase: %v", err)
	}
}

func TestAKeyThatEverybodyMayReadIsNotUsed(t *testing.T) {
	h := newHome(t, nil)
	if err := os.Chmod(filepath.Join(h.dir, "1", "issuing-key.pem"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.again(t).Issue(t.Context(), Order{Consumer: "mapps"}); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("error %v", err)
	}
}

func TestARootAloneIssues(t *testing.T) {
	h := newHome(t, func(options *Options) { options.RootOnly = true })
	issued := h.mustIssue(t, "mapps")
	if len(issued.Pair.Chain) != 0 || issued.Pair.Certificate.Issuer.CommonName != "Partners" {
		t.Errorf("issued by %s", issued.Pair.Certificate.Issuer)
	}
	if _, err := h.Revoke(t.Context(), Revocation{Consumer: "mapps", Reason: ca.CessationOfOperation}); err != nil {
		t.Fatal(err)
	}
	h.mustPublish(t)
	if lists := h.lists(t); len(lists) != 1 || !isListed(lists["Partners"], issued.Pair.Certificate) {
		t.Errorf("lists %v", lists)
	}
}

func TestInitOverwritesNothing(t *testing.T) {
	h := newHome(t, nil)
	if _, err := Init(t.Context(), configOf(h.dir, h.clock), Options{Settings: Settings{Name: "Another"}}); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("error %v", err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), configOf(empty, h.clock), Options{Settings: Settings{Name: "Another"}}); err != nil {
		t.Errorf("an empty folder: %v", err)
	}
	refused := filepath.Join(t.TempDir(), "refused")
	if _, err := Init(t.Context(), configOf(refused, h.clock), Options{Settings: Settings{Name: strings.Repeat("x", 100)}}); err == nil {
		t.Error("want an error")
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(refused), "*")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestDescribeTellsOfEverythingWithoutAKey(t *testing.T) {
	h := newHome(t, func(options *Options) { options.RootPassphrase = []byte(passphrase) })
	h.mustIssue(t, "mapps")
	if err := os.Remove(filepath.Join(h.dir, "1", "root-key.pem")); err != nil {
		t.Fatal(err)
	}
	description, err := h.Describe(t.Context())
	if err != nil || description.Last != nil || description.Due.At.After(h.clock.Now()) {
		t.Errorf("%+v, %v", description, err)
	}
	h.mustPublish(t)
	description, err = h.Describe(t.Context())
	if err != nil || len(description.Generations) != 1 || description.Last == nil || description.Certificates[register.Active] != 2 {
		t.Fatalf("%+v, %v", description, err)
	}
	generation := description.Generations[0]
	if !generation.Active || len(generation.Authorities) != 2 || !generation.RootListUntil.After(h.clock.Now().Add(364*day)) {
		t.Errorf("%+v", generation)
	}
	root, issuing := generation.Authorities[0], generation.Authorities[1]
	if root.KeyHere || !issuing.KeyHere || root.Key != "ECDSA P-256" || root.PathLength != 1 || issuing.PathLength != 0 {
		t.Errorf("root %+v, issuing %+v", root, issuing)
	}
}
