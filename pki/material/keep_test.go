package material

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
)

func TestWhatProvedGoodOutlivesTheProcess(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "kept")
	poll(t, folder, func(p *polling) {
		p.place.set(bundle, "good")
		p.follow(bundle)
		p.accept(p.reference(bundle), []byte("good"))
		p.place.set(bundle, "truncat")
		p.pass(DefaultRefresh) // fetched, and never accepted
		p.expect(bundle, "truncat")
	})
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d files, %v", len(entries), err)
	}
	info, err := entries[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 || strings.Contains(info.Name(), "partners") {
		t.Errorf("%s has mode %v, %v", info.Name(), info.Mode(), err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
	poll(t, folder, func(p *polling) {
		p.place.err = errors.New("500")
		p.follow(bundle)
		p.expectError(bundle, "500")
		if good, found := p.lastGood(p.reference(bundle)); !found || string(good) != "good" {
			t.Errorf("the last good is %q", good)
		}
	})
	poll(t, folder, func(p *polling) {
		p.watch(t.Context(), []Source{{Reference: p.reference(bundle), ExpectedOwner: "123456789012"}})
		synctest.Wait()
		if good, found := p.lastGood(p.reference(bundle)); found {
			t.Errorf("with another owner, %q is taken for good", good)
		}
	})
}

func TestSecretsAreNeverKept(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "kept")
	poll(t, folder, func(p *polling) {
		p.place.set("secretsmanager:edge", `{"key":"canary-1234"}`)
		p.follow("secretsmanager:edge#key")
		p.expect("secretsmanager:edge#key", "canary-1234")
		p.accept(p.reference("secretsmanager:edge#key"), []byte("canary-1234"))
		p.accept(p.reference("secretsmanager:edge"), []byte("canary-1234"))
		if _, found := p.lastGood(p.reference("secretsmanager:edge")); found {
			t.Error("the secret is kept")
		}
	})
	if entries, err := os.ReadDir(folder); err == nil && len(entries) > 0 {
		t.Errorf("%d files", len(entries))
	}
}

func TestWhatWasKeptAndIsBrokenIsPassedOver(t *testing.T) {
	folder := t.TempDir()
	place := Reference{S3, "//partners/bundle.pem"}
	k := keep{folder: folder, logger: NewStore(Config{}).config.Logger}
	largest := bytes.Repeat([]byte("a"), MaxSize)
	k.save(place, "", largest)
	if got := k.load(place, ""); !bytes.Equal(got, largest) {
		t.Fatalf("%d bytes of the largest", len(got))
	}
	other := Reference{S3, "//partners/other.pem"}
	if err := os.Rename(k.path(place, ""), k.path(other, "")); err != nil {
		t.Fatal(err)
	}
	if got := k.load(other, ""); got != nil {
		t.Error("what was kept for one place is taken for another's")
	}
	if err := os.WriteFile(k.path(place, ""), []byte(`{"place":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := k.load(place, ""); got != nil {
		t.Errorf("half a file is taken for %q", got)
	}
}
