package signingkey

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestKeysOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signing", "hop.json")
	schedule := schedules["as it comes"]
	first := at(t, Open(path), schedule, noon)
	if again := at(t, Open(path), schedule, noon.Add(24*time.Hour)); again.Hash != first.Hash {
		t.Error("the keys are others after a restart")
	}
	next := at(t, Open(path), schedule, noon.Add(schedule.RotateEvery-schedule.ahead()))
	if next.Signing.ID != first.Signing.ID || len(next.Published) != 2 {
		t.Errorf("%v", next)
	}
	rotated := at(t, Open(path), schedule, noon.Add(schedule.RotateEvery))
	if rotated.Signing.ID == first.Signing.ID || !published(next, rotated.Signing.ID) {
		t.Error("what was published is not what signs")
	}
	forgotten := at(t, Open(path), schedule, noon.Add(schedule.RotateEvery+time.Hour))
	if data, err := os.ReadFile(path); err != nil || len(forgotten.Published) != 1 || strings.Count(string(data), "BEGIN") != 1 {
		t.Errorf("the former key is still there: %v, %v", forgotten, err)
	}
}

func TestKeysAreForTheirOwnerAlone(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "signing")
	at(t, Open(filepath.Join(folder, "hop.json")), schedules["as it comes"], noon)
	files := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		files++
		return err
	})
	if err != nil || files != 3 { // the folder, the keys and their lock
		t.Errorf("%d files, %v", files, err)
	}
}

func TestProcessesThatShareAFileAgree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hop.json")
	schedule := schedules["as often as can be"]
	const processes = 4
	var rings [processes]*Ring
	for i := range rings {
		rings[i] = Open(path)
	}
	for now := noon; now.Before(noon.Add(12 * time.Hour)); now = now.Add(20 * time.Minute) {
		var hashes [processes]string
		var group sync.WaitGroup
		for i, ring := range rings {
			group.Go(func() {
				set, _, err := ring.At(schedule, now)
				if err != nil {
					hashes[i] = err.Error()
					return
				}
				hashes[i] = set.Hash
			})
		}
		group.Wait()
		for _, hash := range hashes[1:] {
			if hash != hashes[0] {
				t.Fatalf("at %s they differ: %v", now, hashes)
			}
		}
	}
}

func TestAFileThatIsDamagedIsNotWrittenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hop.json")
	schedule := schedules["as it comes"]
	at(t, Open(path), schedule, noon)
	at(t, Open(path), schedule, noon.Add(schedule.RotateEvery-time.Hour))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	weak := strings.Replace(string(good), `"begins":"2030-02`, `"begins":"2029-02`, 1)
	for name, damaged := range map[string]string{
		"empty":                       "",
		"cut off":                     string(good[:len(good)/2]),
		"no keys":                     `{"keys":[]}`,
		"something else":              `{"other":1}`,
		"no private key":              `{"keys":[{"begins":"2030-01-02T12:00:00Z","private_key":"x"}]}`,
		"no beginning":                strings.Replace(string(good), `"begins":`, `"begin":`, 1),
		"keys that are out of order":  weak,
		"a key that is another thing": strings.Replace(string(good), "BEGIN PRIVATE KEY", "BEGIN CERTIFICATE", 1),
	} {
		if damaged == string(good) {
			t.Fatalf("%s: nothing is damaged", name)
		}
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := Open(path).At(schedule, noon.Add(2*schedule.RotateEvery))
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "MIG") {
			t.Errorf("%s: the error holds a key", name)
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != damaged {
			t.Errorf("%s: it was changed: %v", name, err)
		}
	}
}

func TestWhoRemovesTheFileGetsNewKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "hop.json")
	ring := Open(path)
	schedule := schedules["as it comes"]
	before := at(t, ring, schedule, noon)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if after := at(t, ring, schedule, noon.Add(time.Minute)); published(after, before.Signing.ID) {
		t.Error("the key that was withdrawn is still published")
	}
}

func TestAFileThatCannotBeKeptMakesNoKeys(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ring := Open(filepath.Join(folder, "file", "hop.json"))
	if set, _, err := ring.At(schedules["as it comes"], noon); err == nil || set != nil {
		t.Errorf("%v, %v", set, err)
	}
}

func TestKeysAreNeverPrinted(t *testing.T) {
	set := at(t, Open(""), schedules["as it comes"], noon)
	secret := fmt.Sprint(set.Signing.Signer) // how Go prints a private key
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		for _, value := range []any{set, set.Signing, set.Published} {
			if printed := fmt.Sprintf(format, value); strings.Contains(printed, secret) || strings.Contains(printed, "{{0x") || len(printed) > 300 {
				t.Errorf("%s of %T: %s", format, value, printed)
			}
		}
	}
}
