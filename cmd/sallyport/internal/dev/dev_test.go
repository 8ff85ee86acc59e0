package dev

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/config"
)

func TestAStateFolderIsAbsoluteAndOutsideOfWhatIsWatched(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	t.Setenv("XDG_STATE_HOME", filepath.Join(root, "state"))
	if err := os.MkdirAll("config/below", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(root, "config"), "link"); err != nil {
		t.Fatal(err)
	}
	for named, want := range map[string]string{
		"":              filepath.Join(root, "state", "sallyport", "dev"),
		"relative":      filepath.Join(root, "relative"),
		"config-beside": filepath.Join(root, "config-beside"),
		"..config":      filepath.Join(root, "..config"),
		"config":        "", "config/new": "", "config/below/new/newer": "", "link/new": "", "link": "",
	} {
		got, err := StateFolder(named, "config")
		if want == "" {
			if err == nil || !strings.Contains(err.Error(), "--state") {
				t.Errorf("%q gives %s, %v", named, got, err)
			}
			continue
		}
		if err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%q gives %s, %v, want %s", named, got, err, want)
		}
	}
	if _, err := StateFolder(filepath.Join(root, "config", "new"), "link"); err == nil {
		t.Error("a folder inside of one that was named by a link is taken")
	}
	if _, err := os.Stat("relative"); err == nil {
		t.Error("it was made")
	}
}

func TestAPortThatCannotBeHadIsExplained(t *testing.T) {
	busy, err := new(net.ListenConfig).Listen(t.Context(), "tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	free, err := new(net.ListenConfig).Listen(t.Context(), "tcp", loopback+":0")
	if err != nil {
		t.Fatal(err)
	}
	taken, open := portOf(t, busy), portOf(t, free)
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	a := newAddresses(nil, nil)
	for _, claim := range []struct {
		port     uint32
		what     string
		expected string
	}{
		{taken, "the listener a", " is taken by another program: the listener a is on 127.0.0.1:"},
		{taken, "the listener a", " is taken by another program: "}, // not by ourselves
		{open, "the listener b", ""},
		{open, "the listener c", " is that of the listener b already: the listener c is on 127.0.0.1:"},
	} {
		listener, err := a.claim(t.Context(), claim.port, claim.what)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		if moved := strings.Join(a.takeMoved(), "\n"); claim.expected == "" && moved != "" || !strings.Contains(moved, claim.expected) {
			t.Errorf("port %d for %s: %q", claim.port, claim.what, moved)
		}
	}
	other := newAddresses(nil, nil)
	listener, err := other.claim(t.Context(), open, "the listener d")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if moved := strings.Join(other.takeMoved(), "\n"); !strings.Contains(moved, "is taken by another `sallyport dev`") {
		t.Errorf("another environment is told %q", moved)
	}
	for _, mark := range append(a.held, other.held...) {
		_ = mark.Close()
	}
}

func portOf(t *testing.T, listener net.Listener) uint32 {
	t.Helper()
	_, text, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(port)
}

func TestWithoutConsumersEachEntryThatNeedsNoCertificateIsCalledWithoutOne(t *testing.T) {
	model, problems, err := config.Load("../scenario/testdata/ports")
	if err != nil || model == nil {
		t.Fatal(err, problems)
	}
	got := strings.Join(anonymousLines(model, estate.AsConfigured, "/a state/ca.pem"), "\n")
	want := `# without a certificate
curl --cacert '/a state/ca.pem' \
  --resolve x.example.org:8443:0.0.0.0 'https://x.example.org:8443/a%2Fb'
# without a certificate
curl --cacert '/a state/ca.pem' \
  --resolve x.example.org:80:0.0.0.0 'https://x.example.org:80/a%2Fb'
# without a certificate
curl --path-as-is --globoff --resolve x.example.org:8080:0.0.0.0 'http://x.example.org:8080/a/{b}/../c'`
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestAWildcardIsCalledByANameThatItTakes(t *testing.T) {
	for name, want := range map[string]string{"*.example.org": "any.example.org", "api.example.org": "api.example.org"} {
		if got := callable(&config.Entry{Name: name, Certificate: &config.Certificate{}}); got != want {
			t.Errorf("%s is called %s, want %s", name, got, want)
		}
	}
}

func TestAQuotedWordIsOneWordForAShell(t *testing.T) {
	for _, word := range []string{"/plain/path.pem", "/with space/x", "it's", "$HOME `id` \"\\", "*", "a\nb", ""} {
		output, err := exec.Command("sh", "-c", "printf %s "+quoted(word)).Output()
		if err != nil || string(output) != word {
			t.Errorf("%q becomes %q, %v", word, output, err)
		}
	}
}
