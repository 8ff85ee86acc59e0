package process_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/envoy/process"
)

// fakeEnvoy writes a script that prints a version as Envoy does, and returns its path.
func fakeEnvoy(t *testing.T, path, version string) string {
	t.Helper()
	return script(t, path, "echo; echo \""+path+"  version: 0123abcd/"+version+"/Clean/RELEASE/BoringSSL\"")
}

func script(t *testing.T, path, body string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind(t *testing.T) {
	// Each place holds the Envoy of the version given, or none where it is empty.
	for name, test := range map[string]struct {
		variable, onPath, installed string
		want                        string   // which of the places is found
		wantError                   []string // what the error says
	}{
		"the variable goes before everything":         {variable: "1.40.0", onPath: "1.40.1", installed: "1.40.2", want: "variable"},
		"the path goes before the installed one":      {onPath: "1.41.0-dev", installed: "1.40.0", want: "onPath"},
		"an old one on the path is passed over":       {onPath: "1.39.3", installed: "1.40.0", want: "installed"},
		"another major version is passed over":        {onPath: "2.0.0", installed: "1.40.0", want: "installed"},
		"the installed one is found from below":       {installed: "1.40.0", want: "installed"},
		"an old one by the variable is an error":      {variable: "1.39.3", onPath: "1.40.0", wantError: []string{"$SALLYPORT_ENVOY", "is Envoy 1.39.3", "1.40.0 or newer"}},
		"none at all says where it looked":            {wantError: []string{"$SALLYPORT_ENVOY is not set", "no envoy on the PATH", "no .tools/bin/envoy", "make tools"}},
		"old ones everywhere are named":               {onPath: "1.38.3", installed: "1.39.3", wantError: []string{"is Envoy 1.38.3", "is Envoy 1.39.3", "make tools"}},
		"an answer in other words is not from Envoy":  {variable: "unknown", wantError: []string{"does not answer as an Envoy does"}},
		"numbers that are too large are not believed": {variable: "99999999999999999999.0.0", wantError: []string{"value out of range"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			places := map[string]string{}
			put := func(place, path, version string) {
				if version != "" {
					places[place] = fakeEnvoy(t, filepath.Join(root, path), version)
				}
			}
			put("variable", "named/my-envoy", test.variable)
			put("onPath", "path/envoy", test.onPath)
			put("installed", ".tools/bin/envoy", test.installed)
			t.Setenv(process.EnvironmentVariable, places["variable"])
			t.Setenv("PATH", filepath.Join(root, "path")+":/bin:/usr/bin")
			below := filepath.Join(root, "envoy", "process")
			if err := os.MkdirAll(below, 0o755); err != nil {
				t.Fatal(err)
			}
			t.Chdir(below)

			got, err := process.Find(t.Context())
			if got != places[test.want] {
				t.Errorf("found %q, want %q (error: %v)", got, places[test.want], err)
			}
			if (err != nil) != (test.wantError != nil) {
				t.Errorf("error: %v", err)
			}
			for _, text := range test.wantError {
				if err != nil && !strings.Contains(err.Error(), text) {
					t.Errorf("the error lacks %q: %v", text, err)
				}
			}
		})
	}
}

func TestFindSaysWhenTheVariableNamesNothing(t *testing.T) {
	t.Setenv(process.EnvironmentVariable, filepath.Join(t.TempDir(), "absent"))
	if _, err := process.Find(t.Context()); err == nil || !strings.Contains(err.Error(), "$SALLYPORT_ENVOY") {
		t.Errorf("error: %v", err)
	}
}

func TestReadVersionKeepsOurEnvironmentFromTheChild(t *testing.T) {
	t.Setenv("SALLYPORT_CANARY", "secret")
	path := script(t, filepath.Join(t.TempDir(), "envoy"), `test -z "$SALLYPORT_CANARY" && echo "version: 00/1.40.7/Clean/RELEASE/BoringSSL"`)
	got, err := process.ReadVersion(t.Context(), path)
	if want := (process.Version{Major: 1, Minor: 40, Patch: 7}); err != nil || got != want {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}
