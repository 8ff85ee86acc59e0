package integration

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	exampleInS3 = "../examples/partner-certificates-s3"
	walkthrough = exampleInS3 + "/walkthrough.sh"
	// walkthroughPatience bounds the whole script.
	walkthroughPatience = 5 * time.Minute
)

func TestTheWalkthroughRunsFromTheFirstAuthorityToARevokedProxy(t *testing.T) {
	script, err := filepath.Abs(walkthrough)
	if err != nil {
		t.Fatal(err)
	}
	work := filepath.Join(shortFolder(t), "work")
	ctx, cancel := context.WithTimeout(t.Context(), walkthroughPatience)
	defer cancel()
	command := exec.CommandContext(ctx, script)
	// The script ends what it has started.
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 30 * time.Second
	command.Env = append(os.Environ(), "WORK="+work, "SALLYPORT_BIN="+binary, "SALLYPORT_ENVOY="+envoy, "AWS_ENDPOINT_URL=")
	for _, port := range []string{"S3_PORT", "XDS_PORT", "AUTHZ_PORT", "HEALTH_PORT", "ENROL_PORT", "EDGE_PORT", "API_PORT"} {
		command.Env = append(command.Env, port+"="+strconv.Itoa(freePort(t)))
	}
	begin := time.Now()
	said, err := command.CombinedOutput()
	t.Logf("%v:\n%s", time.Since(begin).Round(time.Second), said)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(said), "all as they should be") {
		t.Error("it ends without its last line")
	}
	if left := processesOf(t, work); len(left) > 0 {
		t.Errorf("it left processes behind: %s", left)
	}
	checkKeysAreOurs(t, work)
}

func TestTheCasesOfTheExampleInS3NeedNoS3(t *testing.T) {
	folder := shortFolder(t)
	for _, verb := range [][]string{{"test", exampleInS3}, {"dev", "--once", exampleInS3}} {
		if said := succeed(t, folder, verb...); !strings.Contains(said, " passed, 0 failed\n") {
			t.Errorf("sallyport %s prints:\n%s", strings.Join(verb, " "), said)
		}
	}
}

// checkKeysAreOurs fails where a file with a private key can be read by others.
func checkKeysAreOurs(t *testing.T, folder string) {
	t.Helper()
	keys := 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(content, []byte("PRIVATE KEY-----")) {
			return err
		}
		keys++
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 && filepath.Base(path) != "careless.pem" { // made by the script on purpose
			t.Errorf("%s holds a private key and has the mode %s", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if keys < 10 {
		t.Errorf("%d files with private keys were looked at: not those of the walk-through", keys)
	}
}
