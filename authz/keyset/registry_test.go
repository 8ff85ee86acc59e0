package keyset

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAConfigurationThatNamesTheSameProviderKeepsItsSet(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Spec)
		keeps  bool
	}{
		"nothing changes":  {func(*Spec) {}, true},
		"another source":   {func(s *Spec) { s.Source = &provider{err: errAway} }, true},
		"a longer life":    {func(s *Spec) { s.MaxStale = 48 * time.Hour }, true},
		"another issuer":   {func(s *Spec) { s.Identity = "https://other.example.org" }, false},
		"material instead": {func(s *Spec) { s.Static = []byte("{}") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry(t, "", "a")
				r.Missing(t.Context(), "idp", "a")
				before, watch := r.want("a"), r.Watch()
				spec := r.spec()
				test.change(&spec)
				r.Apply([]Spec{spec})
				if changed(watch) == test.keeps {
					t.Errorf("a change was told: %v", !test.keeps)
				}
				if !test.keeps {
					r.want()
					return
				}
				if after := r.want("a"); after.Generation != before.Generation {
					t.Errorf("generation %d, then %d", before.Generation, after.Generation)
				}
			})
		})
	}
}

func TestAnotherIssuerNeverHasAGenerationThatWasThereBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		seen := make(map[uint64]bool)
		for _, identity := range []string{"1", "2", "1", "2"} {
			spec := r.spec()
			spec.Identity = identity
			r.Apply([]Spec{spec})
			got, _ := r.Missing(t.Context(), "idp", "a")
			if got.Generation == 0 || seen[got.Generation] {
				t.Errorf("generation %d", got.Generation)
			}
			seen[got.Generation] = true
		}
	})
}

func TestAShorterLifeCountsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.Missing(t.Context(), "idp", "a")
		pass(time.Hour)
		spec := r.spec()
		spec.MaxStale = time.Minute
		r.Apply([]Spec{spec})
		r.want()
	})
}

func TestANewConfigurationOfAFailingProviderIsTriedSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.fail(errAway)
		defer r.run()()
		pass(10 * time.Minute)
		spec := r.spec()
		spec.Source = &provider{data: set("a"), maxAge: -1}
		r.Apply([]Spec{spec})
		pass(retryFirst)
		r.want("a")
	})
}

func TestAProviderThatIsNoLongerConfiguredHasNoKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		defer r.run()()
		watch := r.Watch()
		r.Apply(nil)
		if _, found := r.Keys("idp"); found || !changed(watch) {
			t.Error("it still has")
		}
		asked := r.count()
		pass(time.Hour)
		if r.count() != asked {
			t.Error("it is still asked")
		}
	})
}

func TestAViewOfBeforeHasTheKeysThatItsProviderHadThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		r.Missing(t.Context(), "idp", "a")
		before := r.View
		other := r.spec()
		other.Identity, other.Source = "https://other.example.org", &provider{data: set("b"), maxAge: -1}
		r.Apply([]Spec{other})
		r.Missing(t.Context(), "idp", "b")
		r.want("b")
		if got, _ := before.Missing(t.Context(), "idp", "b"); !slices.Equal(got.KeySet.KeyIDs(), []string{"a"}) {
			t.Errorf("by the view of before: %v", got.KeySet.KeyIDs())
		}
		same := r.View
		r.Apply([]Spec{other})
		r.Registry.Apply(nil)
		if got, found := same.Keys("idp"); !found || got.KeySet.Len() != 1 {
			t.Errorf("got %+v", got)
		}
	})
}

func TestMaterialIsASetThatIsNeverFetchedNorKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, t.TempDir())
		static := func(data []byte) {
			spec := r.spec()
			spec.Static = data
			r.Apply([]Spec{spec})
		}
		static([]byte("garbage"))
		if got := r.want(); !strings.Contains(got.Problem, "material") {
			t.Errorf("got %+v", got)
		}
		static(set("a"))
		defer r.run()()
		first := r.want("a")
		if first.Problem != "" || first.Stale || !first.Until.IsZero() {
			t.Errorf("got %+v", first)
		}
		pass(30 * 24 * time.Hour)
		if got, _ := r.Missing(t.Context(), "idp", "b"); got.Generation != first.Generation || got.KeySet == nil {
			t.Errorf("got %+v", got)
		}
		static(set("b"))
		second := r.want("b")
		if second.Generation == first.Generation {
			t.Error("the generation is the same")
		}
		static([]byte("garbage"))
		if got := r.want("b"); !got.Stale || got.Generation != second.Generation {
			t.Errorf("got %+v", got)
		}
		static(set("b"))
		if got := r.want("b"); got.Stale || got.Problem != "" {
			t.Errorf("got %+v", got)
		}
		if r.count() != 0 {
			t.Errorf("fetched %d times", r.count())
		}
		if files, err := os.ReadDir(r.folder); err != nil || len(files) != 0 {
			t.Errorf("kept: %v, %v", files, err)
		}
	})
}

func TestAColdStartBeginsWithTheSetOnDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, filepath.Join(t.TempDir(), "keysets"), "a")
		stop := r.run()
		pass(time.Hour) // in which it was found unchanged several times
		stop()
		last := r.want("a")
		r.fail(errAway)
		pass(23 * time.Hour)
		r.restart()
		cold := r.want("a")
		if !cold.Fetched.Equal(last.Fetched) || !cold.Until.Equal(last.Until) {
			t.Errorf("kept %+v, restored %+v", last, cold)
		}
		if state := r.States()[0]; !state.FromDisk {
			t.Errorf("got %+v", state)
		}
		defer r.run()()
		if got := r.want("a"); !got.Stale {
			t.Errorf("got %+v", got)
		}
		pass(time.Until(last.Until))
		r.want()
	})
}

func TestWhatLiesOnDiskIsUsedForWhatItWasKeptForAlone(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, r *registry, file string)
		want   []string
	}{
		"as it was":        {func(*testing.T, *registry, string) {}, []string{"a"}},
		"too old":          {func(*testing.T, *registry, string) { pass(DefaultMaxStale) }, nil},
		"garbage":          {func(t *testing.T, _ *registry, file string) { write(t, file, "garbage") }, nil},
		"of another form":  {func(t *testing.T, _ *registry, file string) { write(t, file, `{"format":2}`) }, nil},
		"of another":       {func(t *testing.T, _ *registry, file string) { replace(t, file, "idp.example.org", "evil.example.org") }, nil},
		"of the future":    {func(t *testing.T, _ *registry, file string) { replace(t, file, `"fetched":"2000`, `"fetched":"2001`) }, nil},
		"huge":             {func(t *testing.T, _ *registry, file string) { write(t, file, strings.Repeat(" ", 2<<20)) }, nil},
		"a folder":         {func(t *testing.T, _ *registry, file string) { removeAndMake(t, file) }, nil},
		"without any keys": {func(_ *testing.T, r *registry, _ string) { r.keep.save("idp", r.spec().Identity, set(), time.Now()) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegistry(t, t.TempDir(), "a")
				r.Missing(t.Context(), "idp", "a")
				synctest.Wait()
				file := r.keep.path("idp", r.spec().Identity)
				if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
					t.Fatalf("got %v, %v", info, err)
				}
				test.change(t, r, file)
				r.restart()
				r.want(test.want...)
				r.Missing(t.Context(), "idp", "a")
				r.want("a")
				synctest.Wait() // for the disk
			})
		})
	}
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func replace(t *testing.T, file, what, by string) {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(content), what) {
		t.Fatalf("%s has no %q", content, what)
	}
	write(t, file, strings.ReplaceAll(string(content), what, by))
}

func removeAndMake(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
		t.Fatal(err)
	}
}

func TestAFolderThatCannotBeWrittenChangesNothingInForce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		write(t, file, "")
		r := newRegistry(t, filepath.Join(file, "keysets"), "a")
		r.Missing(t.Context(), "idp", "a")
		r.want("a")
		synctest.Wait() // for the disk
	})
}

func TestStatusTellsSinceWhenAndUntilWhen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegistry(t, "", "a")
		other := Spec{Name: "another", Identity: "m", Static: set("m")}
		r.Apply([]Spec{r.spec(), other})
		defer r.run()()
		began := time.Now()
		states := r.States()
		if len(states) != 2 || states[0].Name != "another" || !states[0].Static || !states[0].Next.IsZero() {
			t.Fatalf("got %+v", states)
		}
		if got := states[1]; !slices.Equal(got.KeyIDs, []string{"a"}) || !got.Since.Equal(began) || !got.Next.Equal(began.Add(DefaultRefresh)) || got.FromDisk {
			t.Errorf("got %+v", got)
		}
		pass(time.Minute)
		if got := r.States()[1]; !got.Since.Equal(began) {
			t.Errorf("since %v", got.Since)
		}
		r.fail(errAway)
		pass(DefaultRefresh + time.Hour)
		if got := r.States()[1]; !got.Since.Equal(began.Add(DefaultRefresh)) || !got.Set.Stale || got.Set.Problem != errAway.Error() || !got.Set.Until.Equal(began.Add(DefaultMaxStale)) {
			t.Errorf("got %+v", got)
		}
		r.change(func() {
			r.err = nil
			r.data = []byte(strings.Replace(string(set("a")), `{"keys":[`, `{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"b"},`, 1))
		})
		pass(retryLast)
		if got := r.States()[1]; got.Set.Stale || len(got.LeftOut) != 1 || !strings.Contains(got.LeftOut[0], `"b"`) || !got.Since.After(began.Add(DefaultRefresh)) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestJitterShortensByAQuarterAtMost(t *testing.T) {
	for range 1000 {
		if got := sooner(time.Minute); got < 45*time.Second || got > time.Minute {
			t.Fatalf("got %v", got)
		}
	}
}
