package inventory

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatCannotBeReadIsMovedAsideAndTold(t *testing.T) {
	for _, file := range []string{"partners.json", "partners.lists.json"} {
		t.Run(file, func(t *testing.T) {
			folder := filepath.Join(t.TempDir(), "state")
			f, _, _ := between(t, kept(folder))
			path := filepath.Join(folder, "seen", file)
			if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // in each process that follows, until somebody has seen to it
				f = f.again(folder)
				f.apply()
				if problem := f.findProblem(KindTruststore, "partners", "could not be read"); !problem.InForce || !strings.Contains(problem.Error(), file+asideMark) {
					t.Errorf("the problem is %v", problem)
				}
				f.apply()
				f.wantProblem(KindTruststore, "partners", "could not be read")
			}
			aside, err := filepath.Glob(path + asideMark + "*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("moved aside: %v, %v", aside, err)
			}
			if data, err := os.ReadFile(aside[0]); err != nil || string(data) != "rubbish" {
				t.Errorf("it holds %q, %v", data, err)
			}
			if data, err := os.ReadFile(path); err != nil || string(data) == "rubbish" {
				t.Errorf("in its place there is %q, %v", data, err)
			}
			if err := os.Remove(aside[0]); err != nil {
				t.Fatal(err)
			}
			f.apply()
			f.wantNoProblem()
		})
	}
}

func TestWhatCannotBeMovedAsideIsNotOverwritten(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "state")
	f, authority, _, _ := partners(t, kept(folder))
	path := filepath.Join(folder, "seen", "partners.json")
	if err := os.WriteFile(path, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+asideMark+"20300102T120000.000000000Z", []byte("older rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	next := f.again(folder)
	next.write("partners.crl", f.list(authority, 7))
	next.apply()
	next.apply()
	next.wantProblem(KindTruststore, "partners", errStillThere.Error())
	if data, err := os.ReadFile(path); err != nil || string(data) != "rubbish" {
		t.Errorf("in its place there is %q, %v", data, err)
	}
}
