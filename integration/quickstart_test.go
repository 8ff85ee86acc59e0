package integration

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const example = "../examples/partner-certificates"

// quickstarts are the examples that `sallyport dev` brings up by themselves, with what its table of cases must name: not every case may
// be turned away by the same reason.
var quickstarts = map[string]struct {
	directory string
	named     []string
}{
	"partners with certificates": {
		example, []string{"permission_granted", "permission_missing", "refused", "certificate_untrusted", "misdirected"},
	},
	"users with tokens": {
		exampleWithUsers, []string{"everyone", "scope_held", "scope_missing", "token_missing", "token_expired", "token_audience", "token_binding", "refused"},
	},
}

func TestTheQuickstartsCasesComeOutAsExpected(t *testing.T) {
	for name, quickstart := range quickstarts {
		t.Run(name, func(t *testing.T) {
			folder := shortFolder(t)
			text := succeed(t, folder, "dev", "--once", quickstart.directory)
			if !strings.Contains(text, fmt.Sprintf("\n%d passed, 0 failed\n", casesOf(t, quickstart.directory))) {
				t.Errorf("it prints:\n%s", text)
			}
			for _, expected := range quickstart.named {
				if !strings.Contains(text, expected) {
					t.Errorf("%s is nowhere in:\n%s", expected, text)
				}
			}
			if left := processesOf(t, folder); len(left) > 0 {
				t.Errorf("it left processes behind: %s", left)
			}
		})
	}
}

func TestTwoQuickstartsAtOnceDoNotMeet(t *testing.T) {
	for name, quickstart := range quickstarts {
		t.Run(name, func(t *testing.T) {
			first, second := start(t, shortFolder(t), "dev", "--once", quickstart.directory), start(t, shortFolder(t), "dev", "--once", quickstart.directory)
			if a, b := first.wait(t), second.wait(t); a != 0 || b != 0 {
				t.Errorf("exit codes %d and %d", a, b)
			}
		})
	}
}

func TestTheTestVerbAgreesWithTheRealEnvoys(t *testing.T) {
	for name, quickstart := range quickstarts {
		t.Run(name, func(t *testing.T) {
			folder := shortFolder(t)
			live, simulated := start(t, folder, "dev", "--once", quickstart.directory), start(t, folder, "test", quickstart.directory)
			if a, b := live.wait(t), simulated.wait(t); a != 0 || b != 0 {
				t.Fatalf("exit codes %d and %d", a, b)
			}
			a, b := outcomes(live.out.String()), outcomes(simulated.out.String())
			if len(a) < casesOf(t, quickstart.directory) || strings.Join(a, "\n") != strings.Join(b, "\n") {
				t.Errorf("real Envoys:\n%s\nsimulated:\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
			}
		})
	}
}

// casesOf is how many cases an example has.
func casesOf(t *testing.T, directory string) int {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(directory, "tests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return len(regexp.MustCompile(`(?m)^  - name: `).FindAll(content, -1))
}

// outcomes are the rows of a table of cases: mark, caller, request, what was expected and what came.
func outcomes(text string) []string {
	var rows []string
	for line := range strings.Lines(text) {
		fields := regexp.MustCompile(` {2,}`).Split(strings.TrimSpace(line), -1)
		if len(fields) >= 5 {
			rows = append(rows, strings.Join(fields[:5], " | "))
		}
	}
	return rows
}

func TestACaseThatComesOutOtherwiseFailsTheRun(t *testing.T) {
	folder := shortFolder(t)
	directory := copyExample(t, folder)
	edit(t, filepath.Join(directory, "tests.yaml"), "expect: {status: 403, reason: consumer_suspended}", "expect: {status: 200, upstream: integration-api}")
	for _, verb := range [][]string{{"test", directory}, {"dev", "--once", directory}} {
		p := start(t, folder, verb...)
		if code := p.wait(t); code != 1 {
			t.Errorf("%s: exit code %d, want 1", verb[0], code)
		}
		for _, expected := range []string{"FAIL", "tests.yaml:", "a suspended partner", "status 403, not 200"} {
			if !strings.Contains(p.out.String(), expected) {
				t.Errorf("%s does not say %q:\n%s", verb[0], expected, p.out.String())
			}
		}
	}
}

func TestAnEnvironmentFollowsEditsAndEndsWithoutATrace(t *testing.T) {
	folder := shortFolder(t)
	directory := copyExample(t, folder)
	p := start(t, folder, "dev", directory)
	eventually(t, "it is up", func() bool { return strings.Contains(p.out.String(), "Decisions:") })
	curl := curlAs(t, p, "mapps")
	if status := call(t, curl, "/v1/persons/1/alerts"); status != "200" {
		t.Errorf("the printed curl line gets %s", status)
	}
	if status := call(t, curlAs(t, p, "nsp"), "/v1/persons/1/alerts"); status != "403" {
		t.Errorf("nsp gets %s", status)
	}
	eventually(t, "the decision is printed", func() bool {
		return strings.Contains(p.out.String(), "403 GET /v1/persons/1/alerts  nsp  permission_missing")
	})

	// A route that was not there.
	edit(t, filepath.Join(directory, "routes.yaml"), "match: {exact: /v1/status, methods: [GET]}", "match: {exact: /v1/state, methods: [GET]}")
	took := eventually(t, "the new path is served", func() bool { return call(t, curl, "/v1/state") == "200" })
	t.Logf("an edit took effect after %v", took.Round(time.Millisecond))
	if status := call(t, curl, "/v1/status"); status != "404" {
		t.Errorf("the old path gets %s", status)
	}

	// A mistake changes nothing and is told with its place.
	edit(t, filepath.Join(directory, "consumers.yaml"), "roles: [person-reader, alerts-reader]", "roles: [person-reader, alert-reader]")
	eventually(t, "the mistake is told", func() bool {
		return strings.Contains(p.out.String(), `error: spec.roles[1]: there is no Role "alert-reader"; did you mean `+"`alerts-reader`?")
	})
	if !regexp.MustCompile(`consumers\.yaml:\d+:\d+: error`).MatchString(p.out.String()) {
		t.Errorf("the mistake has no place:\n%s", p.out.String())
	}
	if status := call(t, curl, "/v1/persons/1/alerts"); status != "200" {
		t.Errorf("after the mistake it gets %s", status)
	}

	// But a suspension counts at once, on connections that are open as well.
	edit(t, filepath.Join(directory, "consumers.yaml"), "  contact: integration-team@example.org", "  contact: integration-team@example.org\n  suspended: true")
	eventually(t, "the suspension takes effect", func() bool { return call(t, curl, "/v1/persons/1/alerts") == "403" })

	if took := p.end(t, syscall.SIGINT); took > 5*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if left := processesOf(t, folder); len(left) > 0 {
		t.Errorf("it left processes behind: %s", left)
	}
	sockets, _ := filepath.Glob(filepath.Join(folder, "sallyport-*"))
	if len(sockets) > 0 {
		t.Errorf("it left folders behind: %s", sockets)
	}
}

func TestAKilledEnvironmentLeavesNoEnvoy(t *testing.T) {
	for name, quickstart := range quickstarts {
		t.Run(name, func(t *testing.T) {
			folder := shortFolder(t)
			p := start(t, folder, "dev", quickstart.directory)
			eventually(t, "it is up", func() bool { return strings.Contains(p.out.String(), "Decisions:") })
			if len(processesOf(t, folder)) == 0 {
				t.Fatal("its Envoys cannot be seen")
			}
			p.end(t, syscall.SIGKILL)
			eventually(t, "its Envoys are gone", func() bool { return len(processesOf(t, folder)) == 0 })
		})
	}
}

func TestAnEnvironmentEndsWhenAnEnvoyDoes(t *testing.T) {
	for name, quickstart := range quickstarts {
		t.Run(name, func(t *testing.T) {
			folder := shortFolder(t)
			p := start(t, folder, "dev", quickstart.directory)
			eventually(t, "it is up", func() bool { return strings.Contains(p.out.String(), "Decisions:") })
			pids := pidsOf(t, folder)
			if len(pids) != 2 {
				t.Fatalf("it has %d Envoys", len(pids))
			}
			if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if code := p.wait(t); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !strings.Contains(p.err.String(), "envoy") {
				t.Errorf("it does not say why:\n%s", p.err.String())
			}
			if left := processesOf(t, folder); len(left) > 0 {
				t.Errorf("it left processes behind: %s", left)
			}
		})
	}
}

func TestASecondEnvironmentOnTheSameStateSaysWhatToDo(t *testing.T) {
	folder := shortFolder(t)
	first := start(t, folder, "dev", example)
	eventually(t, "it is up", func() bool { return strings.Contains(first.out.String(), "Decisions:") })
	second := start(t, folder, "dev", example)
	if code := second.wait(t); code == 0 || !strings.Contains(second.err.String(), "--state") {
		t.Errorf("exit code %d: %s", code, second.err.String())
	}
	// With a folder of its own it moves to free ports.
	third := start(t, folder, "dev", "--state", filepath.Join(folder, "third"), example)
	eventually(t, "the third is up", func() bool { return strings.Contains(third.out.String(), "Decisions:") })
	if !strings.Contains(third.out.String(), "is taken") {
		t.Errorf("it does not say that ports are taken:\n%s", third.out.String())
	}
}

func TestAnEnvironmentTakesARelativeStateFolderWithASpace(t *testing.T) {
	folder := shortFolder(t)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	relative, err := filepath.Rel(here, filepath.Join(folder, "the state"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, folder, "dev", "--state", relative, example)
	eventually(t, "it is up", func() bool { return strings.Contains(p.out.String(), "Decisions:") })
	if status := call(t, curlAs(t, p, "mapps"), "/v1/persons/1/alerts"); status != "200" {
		t.Errorf("the printed curl line gets %s", status)
	}
	closed := syscall.SIGHUP
	if signal.Ignored(closed) { // under nohup, which programs that it starts respect
		closed = syscall.SIGTERM
	}
	p.end(t, closed)
	if code := p.wait(t); code != 0 {
		t.Errorf("after its terminal was closed: exit code %d", code)
	}
	if left := processesOf(t, folder); len(left) > 0 {
		t.Errorf("it left processes behind: %s", left)
	}
}

func TestAStateFolderInsideOfTheConfigurationIsRefused(t *testing.T) {
	folder := shortFolder(t)
	directory := copyExample(t, folder)
	state := filepath.Join(directory, "state")
	p := start(t, folder, "dev", "--state", state, directory)
	if code := p.wait(t); code != 2 || !strings.Contains(p.err.String(), "--state") {
		t.Errorf("exit code %d: %s", code, p.err.String())
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("it was made all the same")
	}
}

func TestAConfigurationWithoutTestsFailsOnlyWhereTheyAreAskedFor(t *testing.T) {
	folder := shortFolder(t)
	directory := copyExample(t, folder)
	if err := os.Remove(filepath.Join(directory, "tests.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, verb := range [][]string{{"test", directory}, {"dev", "--once", directory}} {
		p := start(t, folder, verb...)
		if code := p.wait(t); code != 2 || p.err.String() != "sallyport: "+directory+" has no Test\n" {
			t.Errorf("%s: exit code %d: %s", verb[0], code, p.err.String())
		}
	}
	p := start(t, folder, "dev", directory)
	eventually(t, "it is up", func() bool { return strings.Contains(p.out.String(), "Decisions:") })
}

func TestACaseThatNoListenerCanTakeIsAMistake(t *testing.T) {
	folder := shortFolder(t)
	directory := copyExample(t, folder)
	edit(t, filepath.Join(directory, "tests.yaml"), `{method: DELETE, url: "https://`, `{method: DELETE, url: "http://`)
	for _, verb := range [][]string{{"test", directory}, {"dev", directory}} {
		p := start(t, folder, verb...)
		if code := p.wait(t); code != 2 || !regexp.MustCompile(`tests\.yaml:\d+:\d+: error: request\.url: .* no listener in plaintext`).MatchString(p.err.String()) {
			t.Errorf("%s: exit code %d: %s", verb[0], code, p.err.String())
		}
	}
}

func TestAnInterruptionBeforeItIsUpBlamesNobody(t *testing.T) {
	for name, script := range map[string]string{
		"while it looks for an Envoy": `: > "$STARTED"; exec sleep 600`,
		"while the Envoys start": `[ "$1" = --version ] && echo "envoy  version: 0000000000000000000000000000000000000000/1.40.0/Clean/RELEASE/BoringSSL" && exit
: > "$STARTED"; exec sleep 600`,
	} {
		t.Run(name, func(t *testing.T) {
			folder := shortFolder(t)
			fake, started := filepath.Join(folder, "envoy"), filepath.Join(folder, "started")
			if err := os.WriteFile(fake, []byte("#!/bin/sh\nSTARTED="+started+"\n"+script+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			t.Setenv("SALLYPORT_ENVOY", fake)
			p := start(t, folder, "dev", example)
			eventually(t, "it has come so far", func() bool { _, err := os.Stat(started); return err == nil })
			p.end(t, syscall.SIGINT)
			if code := p.wait(t); code != 130 || p.err.String() != "sallyport: interrupted\n" {
				t.Errorf("exit code %d: %s", code, p.err.String())
			}
		})
	}
}

// copyExample copies the example, so that it can be edited.
func copyExample(t *testing.T, folder string) string {
	t.Helper()
	directory := filepath.Join(folder, "configuration")
	if err := os.CopyFS(directory, os.DirFS(example)); err != nil {
		t.Fatal(err)
	}
	return directory
}

// edit replaces a text that stands once in a file.
func edit(t *testing.T, path, from, to string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(content), from) != 1 {
		t.Fatalf("%s has %q not once", path, from)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(content), from, to, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// curlAs is the command line that the environment prints for a consumer.
func curlAs(t *testing.T, p *program, consumer string) string {
	t.Helper()
	_, after, ok := strings.Cut(p.out.String(), "# as "+consumer+"\n")
	if !ok {
		t.Fatalf("no curl line for %s in:\n%s", consumer, p.out.String())
	}
	command, _, _ := strings.Cut(strings.ReplaceAll(after, "\\\n", ""), "\n")
	return command
}

// call runs a printed curl line with another path, and returns the status.
func call(t *testing.T, curl, path string) string {
	t.Helper()
	changed := regexp.MustCompile(`'(https?://[^/' ]+)[^']*'$`).ReplaceAllString(curl, "'${1}"+path+"'")
	content, err := exec.Command("sh", "-c", changed+" --silent --output /dev/null --write-out '%{http_code}'").Output()
	if err != nil {
		return err.Error()
	}
	return string(content)
}
