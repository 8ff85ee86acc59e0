package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// EnvironmentVariable names the Envoy to run, before any other place is looked at.
const EnvironmentVariable = "SALLYPORT_ENVOY"

// installed is where `make tools` puts the pinned Envoy, below the root of the work tree.
var installed = filepath.Join(".tools", "bin", "envoy")

// versionTimeout bounds how long a binary may take to print its version; a cold start from disk takes a second or two.
const versionTimeout = 20 * time.Second

// Version is the version of an Envoy.
type Version struct{ Major, Minor, Patch int }

// Oldest is the oldest Envoy that is driven: the one that the generated configuration is tested with.
var Oldest = Version{Major: 1, Minor: 40}

// String is the version as Envoy's releases are named, such as 1.40.0.
func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Suits reports whether an Envoy of this version can be driven: the major version of Oldest, and not before it.
func (v Version) Suits() bool {
	if v.Major != Oldest.Major {
		return false
	}
	return v.Minor > Oldest.Minor || v.Minor == Oldest.Minor && v.Patch >= Oldest.Patch
}

// versionText matches what `envoy --version` prints, such as
// "envoy  version: 9e55…/1.40.0/Clean/RELEASE/BoringSSL"; a build between releases says 1.41.0-dev.
var versionText = regexp.MustCompile(`version: [0-9a-f]*/([0-9]+)\.([0-9]+)\.([0-9]+)[^/]*/`)

// ReadVersion asks a binary for its version. It runs the binary, for at most 20 seconds.
func ReadVersion(ctx context.Context, binary string) (Version, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, binary, "--version")
	command.Env = environment()
	// A script in Envoy's place may leave a child that holds the pipe open.
	command.WaitDelay = time.Second
	output, err := command.Output()
	if err != nil {
		return Version{}, fmt.Errorf("run %s --version: %w", binary, err)
	}
	match := versionText.FindStringSubmatch(string(output))
	if match == nil {
		return Version{}, fmt.Errorf("%s --version does not answer as an Envoy does", binary)
	}
	var version Version
	for i, part := range []*int{&version.Major, &version.Minor, &version.Patch} {
		if *part, err = strconv.Atoi(match[i+1]); err != nil {
			return Version{}, fmt.Errorf("read the version of %s: %w", binary, err)
		}
	}
	return version, nil
}

// Find returns the path of the Envoy to run. It looks at $SALLYPORT_ENVOY, which alone counts if it is set; then for
// envoy on the PATH; then for .tools/bin/envoy in the working directory and each one above it. An Envoy that does not
// suit is passed over. The error lists what was looked at and says what to do.
func Find(ctx context.Context) (string, error) {
	if named := os.Getenv(EnvironmentVariable); named != "" {
		path, err := exec.LookPath(named)
		if err == nil {
			err = check(ctx, path)
		}
		if err != nil {
			return "", fmt.Errorf("$%s: %w; set it to the path of an Envoy %s or newer, or unset it", EnvironmentVariable, err, Oldest)
		}
		return filepath.Abs(path)
	}
	looked := []string{"$" + EnvironmentVariable + " is not set"}
	if path, err := exec.LookPath("envoy"); err != nil {
		looked = append(looked, "there is no envoy on the PATH")
	} else if err := check(ctx, path); err != nil {
		looked = append(looked, "on the PATH, "+err.Error())
	} else {
		return filepath.Abs(path)
	}
	path, err := findInstalled()
	if err == nil {
		if err = check(ctx, path); err == nil {
			return path, nil
		}
	}
	looked = append(looked, err.Error())
	return "", fmt.Errorf("no Envoy %s or newer was found: %s; run `make tools` in the work tree, or set $%s to the path of one",
		Oldest, strings.Join(looked, "; "), EnvironmentVariable)
}

func check(ctx context.Context, binary string) error {
	version, err := ReadVersion(ctx, binary)
	if err != nil {
		return err
	}
	if !version.Suits() {
		return fmt.Errorf("%s is Envoy %s", binary, version)
	}
	return nil
}

func findInstalled() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	for {
		candidate := filepath.Join(directory, installed)
		if info, err := os.Stat(candidate); err == nil && info.Mode().IsRegular() {
			return candidate, nil
		}
		parent := filepath.Dir(directory)
		if parent == directory {
			return "", errors.New("there is no " + installed + " in the working directory or above it")
		}
		directory = parent
	}
}

// environment is what a child is given of our own environment. Material may come from variables (`env:` references),
// and a proxy has no business with it.
func environment() []string {
	kept := []string{}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "TZ", "LANG", "LD_LIBRARY_PATH"} {
		if value, found := os.LookupEnv(name); found {
			kept = append(kept, name+"="+value)
		}
	}
	return kept
}
