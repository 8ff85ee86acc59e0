package integration

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSecurityARegisterThatIsNotWhatItWasIsFoundByItsHead rewrites an authority's register in every way, and holds it against
// the head that was published.
func TestSecurityARegisterThatIsNotWhatItWasIsFoundByItsHead(t *testing.T) {
	e := &estate{t: t, folder: shortFolder(t)}
	for _, name := range []string{"partners", "others"} {
		e.found(name)
		e.issue(name, "partner", name+"-1", "--consumer", "mapps")
	}
	home := []string{"ca", "partners"}
	register := func(file string) string { return filepath.Join(append(home, file)...) }
	early := e.read(register("register.jsonl"))
	e.issue("partners", "partner", "partners-2", "--consumer", "nsp")
	e.run("ca", "crl", "--ca", e.path(home...))
	e.write(e.path("published.head"), e.read(register("crl.pem.head")))
	e.issue("partners", "partner", "partners-3", "--consumer", "nsp")
	whole := e.read(register("register.jsonl"))
	lines := strings.SplitAfter(whole, "\n")

	verify := func() *program {
		return start(t, e.folder, "ca", "log", "verify", "--ca", e.path(home...), "--head", e.path("published.head"))
	}
	good := func(when string) {
		t.Helper()
		if p := verify(); p.wait(t) != 0 {
			t.Errorf("%s: %s", when, p.err.String())
		}
	}
	good("as it was, with an entry since")
	for name, content := range map[string]string{
		"rolled back":            early,
		"without its first":      strings.Join(lines[1:], ""),
		"without one within":     strings.Join(slices.Delete(slices.Clone(lines), 1, 2), ""),
		"with another's entries": e.read("ca", "others", "register.jsonl"),
		"with a name changed":    strings.Replace(whole, "nsp", "xsp", 1),
		"twice":                  whole + whole,
		"empty":                  "",
	} {
		e.write(e.path(register("register.jsonl")), content)
		if p := verify(); p.wait(t) == 0 {
			t.Errorf("%s: it passes for what it was: %s", name, p.out.String())
		}
		e.write(e.path(register("register.jsonl")), whole)
		good("after one " + name)
	}
}

// TestSecurityARoleIsForItsRoutesAlone takes the permission for one of two hosts from a role that had it for both.
func TestSecurityARoleIsForItsRoutesAlone(t *testing.T) {
	a := newAttacked(t)
	const other = "  - {routes: [strict], methods: [GET], paths: [\"/v1/allowed/{rest=**}\"]}\n"
	configuration := a.configuration()
	if !strings.Contains(configuration, other) {
		t.Fatal("the role has no second permission, so that there is nothing to test")
	}
	a.configure("edge.yaml", strings.Replace(configuration, other, "", 1))
	a.serve()
	pair := a.pair("mapps")
	for host, want := range map[string]int{"api.example.org": http.StatusOK, "strict.example.org": http.StatusForbidden} {
		statuses := a.raw(a.edgePort, host, &pair, strings.Replace(get("/v1/allowed/x"), "api.example.org", host, 1))
		if seen := a.api.take(); !slices.Equal(statuses, []int{want}) || len(seen) > 0 != (want == http.StatusOK) {
			t.Errorf("%s answers %v, want %d; at the API arrived %q", host, statuses, want, lines(seen))
		}
	}
}

// TestSecurityNothingListensThatWasNotAskedFor looks at the sockets of all our processes.
func TestSecurityNothingListensThatWasNotAskedFor(t *testing.T) {
	e := newEstate(t)
	for _, p := range []*program{e.startXDS(), e.startAuthz()} {
		e.listensAt(t, p.Process.Pid, e.portOf(p, "--health-listen"), map[string]int{"xds": e.xdsPort, "authz": e.authzPort}[e.roleOf(p)])
	}
	e.startEnvoy()
	for _, pid := range pidsOf(t, e.folder) {
		e.listensAt(t, pid, e.edgePort)
	}
	help := e.run("serve", "--help")
	for flag, address := range map[string]string{"--health-listen": "127.0.0.1:18002", "--admin-socket": "/run/sallyport/admin.sock"} {
		if !slices.ContainsFunc(strings.Split(help, "\n"), func(line string) bool {
			return strings.Contains(line, flag+" ") && strings.Contains(line, address)
		}) {
			t.Errorf("%s is not %s unless something else is asked for", flag, address)
		}
	}
}

func (e *estate) roleOf(p *program) string {
	return p.Args[slices.Index(p.Args, "--roles")+1]
}

func (e *estate) portOf(p *program, flag string) int {
	e.t.Helper()
	_, port, _ := strings.Cut(p.Args[slices.Index(p.Args, flag)+1], ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		e.t.Fatal(err)
	}
	return number
}

// listensAt demands that a process listens at ports of loopback, and nowhere else.
func (e *estate) listensAt(t *testing.T, pid int, ports ...int) {
	t.Helper()
	sockets := map[string]bool{}
	descriptors, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, descriptor := range descriptors {
		if target, err := os.Readlink(descriptor); err == nil {
			sockets[target] = true
		}
	}
	var want, found []string
	for _, port := range ports {
		want = append(want, fmt.Sprintf("0100007F:%04X", port)) // as the kernel writes 127.0.0.1
	}
	for _, table := range []string{"tcp", "tcp6"} {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			const address, state, listening, inode = 1, 3, "0A", 9
			if fields := strings.Fields(line); len(fields) > inode && fields[state] == listening && sockets["socket:["+fields[inode]+"]"] {
				found = append(found, fields[address])
			}
		}
	}
	slices.Sort(want)
	slices.Sort(found)
	if found = slices.Compact(found); !slices.Equal(found, want) {
		t.Errorf("process %d listens at %q, want %q", pid, found, want)
	}
}
