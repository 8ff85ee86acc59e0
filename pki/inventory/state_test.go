package inventory

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func kept(folder string) func(*Config) {
	return func(c *Config) { c.AllowDevelopment, c.StateDir = true, folder }
}

func applyDevelopment(f *fixture) {
	f.Helper()
	f.specs.Authorities["internal"] = developmentAuthority()
	f.specs.Truststores["internal"] = bundle("authority:internal")
	f.specs.Certificates["edge"] = issuedServer("internal", "api.example.org")
	f.apply()
}

func TestStateOutlivesTheProcess(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	first, second := newFixture(t, kept(folder)), newFixture(t, kept(folder))
	applyDevelopment(first)
	first.wantNoProblem()
	applyDevelopment(second)
	second.wantNoProblem()

	if first.Current().Truststores["internal"].Hash != second.Current().Truststores["internal"].Hash {
		t.Error("the authority is another after a restart")
	}
	if first.Current().Certificates["edge"].Hash != second.Current().Certificates["edge"].Hash {
		t.Error("the certificate was issued again after a restart")
	}

	late := newFixture(t, kept(folder))
	late.clock.advance(50 * time.Minute)
	applyDevelopment(late)
	if first.Current().Certificates["edge"].Hash == late.Current().Certificates["edge"].Hash {
		t.Error("a certificate that was due was not renewed after a restart")
	}
}

func TestStateIsLocked(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	applyDevelopment(newFixture(t, kept(folder)))
	files := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		public := filepath.Base(path) == "ca.pem"
		if info.Mode().Perm()&0o077 != 0 && !public {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		if strings.Contains(path, ".making-") {
			t.Errorf("%s was left behind", path)
		}
		if !entry.IsDir() {
			files++
		}
		return nil
	})
	if err != nil || files != 3 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestStateThatIsDamagedIsNotReplaced(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	applyDevelopment(newFixture(t, kept(folder)))
	files := ca.FilesIn(filepath.Join(folder, "authorities", "internal"), "ca")
	if err := os.Remove(files.PrivateKey); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, kept(folder))
	applyDevelopment(f)
	f.wantProblem(KindAuthority, "internal", "remove the folder")
	if len(f.Current().Certificates) != 0 || len(f.Current().Truststores) != 0 {
		t.Error("something is in force")
	}
	if _, err := os.Stat(files.Certificate); err != nil {
		t.Errorf("the certificate is gone: %v", err)
	}
}

func TestStateOfAnIssuedCertificateThatIsDamagedIsIssuedAgain(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	applyDevelopment(newFixture(t, kept(folder)))
	if err := os.WriteFile(filepath.Join(folder, "certificates", "edge.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := newFixture(t, kept(folder))
	applyDevelopment(f)
	f.wantNoProblem()
	f.wantTrusted(f.Current().Certificates["edge"].Leaf, "internal")
}

func TestStateIsSharedByTwoThatBeginAtOnce(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	const many = 4
	found := make(chan string, many)
	for range many {
		go func() {
			authority, err := state{folder}.developmentAuthority(developmentKey{ofAuthority, "internal"}, newClock().Now)
			if err != nil {
				found <- err.Error()
				return
			}
			found <- authority.Certificate().SerialNumber.String()
		}()
	}
	first := <-found
	for range many - 1 {
		if other := <-found; other != first {
			t.Errorf("two authorities: %s and %s", first, other)
		}
	}
}

func TestStateFolderIsNotLeft(t *testing.T) {
	for _, name := range []string{"", ".", "..", "../a", "a/b", "A", "-a"} {
		if _, err := (state{t.TempDir()}).developmentAuthority(developmentKey{ofAuthority, name}, newClock().Now); err == nil {
			t.Errorf("%q was taken for an authority", name)
		}
		if err := (state{t.TempDir()}).saveIssued(name, issuance{}); err == nil {
			t.Errorf("%q was taken for a certificate", name)
		}
	}
}

func TestDevelopmentAuthorityInMemoryIsTheSameWhenItComesBack(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.AllowDevelopment = true })
	applyDevelopment(f)
	before := f.Current().Truststores["internal"].Hash
	all := f.specs
	f.specs = Specs{}
	f.apply()
	f.specs = all
	f.apply()
	if f.Current().Truststores["internal"].Hash != before {
		t.Error("it is another")
	}
}
