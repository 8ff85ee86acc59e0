package bootstrap_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/envoy/bootstrap"
	"github.com/sallyport-project/sallyport/pki/spiffe"
)

var update = flag.Bool("update", false, "write the golden files anew")

var edge = spiffe.Identity{TrustDomain: "example.org", Kind: spiffe.Proxy, Group: "edge", Name: "edge-1"}

// example is a Config in which everything is right.
func example() bootstrap.Config {
	return bootstrap.Config{
		Identity:        edge,
		XDSAddress:      "control-plane.example.org:18000",
		AuthzAddress:    "10.0.0.7:18001",
		CertificatePath: "/run/sallyport/tls/tls.crt",
		KeyPath:         "/run/sallyport/tls/tls.key",
		CAPath:          "/etc/sallyport/proxies-ca.pem",
		Directory:       "/etc/sallyport/bootstrap",
		AdminSocket:     "/run/sallyport/admin.sock",
	}
}

func TestGolden(t *testing.T) {
	bySocket := example()
	bySocket.XDSAddress = "[::1]:18000"
	bySocket.AuthzAddress = "unix:/run/sallyport/authz.sock"
	bySocket.MaxConnections = 100

	for name, config := range map[string]bootstrap.Config{
		"control plane by name, authz by address":   example(),
		"control plane by address, authz by socket": bySocket,
	} {
		t.Run(name, func(t *testing.T) {
			files, err := bootstrap.New(config)
			if err != nil {
				t.Fatal(err)
			}
			written, err := files.JSON()
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range written {
				compareGolden(t, filepath.Join("testdata", strings.NewReplacer(" ", "-", ",", "").Replace(name), file.Name), file.Content)
			}
		})
	}
}

func compareGolden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestNewRefuses(t *testing.T) {
	long := "/" + strings.Repeat("a", bootstrap.LongestSocketPath)
	for name, test := range map[string]struct {
		change func(*bootstrap.Config)
		want   string
	}{
		"nobody":                          {func(c *bootstrap.Config) { c.Identity = spiffe.Identity{} }, "identity"},
		"an identity that is no proxy":    {func(c *bootstrap.Config) { c.Identity.Kind, c.Identity.Group = spiffe.Authz, "" }, "must be a proxy"},
		"no control plane":                {func(c *bootstrap.Config) { c.XDSAddress = "" }, "control plane's address"},
		"no port":                         {func(c *bootstrap.Config) { c.XDSAddress = "10.0.0.1" }, "missing port"},
		"port 0":                          {func(c *bootstrap.Config) { c.XDSAddress = "10.0.0.1:0" }, "1 to 65535"},
		"a port that is too large":        {func(c *bootstrap.Config) { c.XDSAddress = "10.0.0.1:65536" }, "1 to 65535"},
		"a port by name":                  {func(c *bootstrap.Config) { c.XDSAddress = "10.0.0.1:https" }, "1 to 65535"},
		"no host":                         {func(c *bootstrap.Config) { c.XDSAddress = ":18000" }, "neither an IP address nor a DNS name"},
		"a host with a space":             {func(c *bootstrap.Config) { c.AuthzAddress = "a b:1" }, "neither an IP address nor a DNS name"},
		"an address with a zone":          {func(c *bootstrap.Config) { c.AuthzAddress = "[fe80::1%eth0]:1" }, "zone"},
		"a control plane by socket":       {func(c *bootstrap.Config) { c.XDSAddress = "unix:/run/xds.sock" }, "control plane's address"},
		"a relative authz socket":         {func(c *bootstrap.Config) { c.AuthzAddress = "unix:authz.sock" }, "absolute"},
		"an abstract authz socket":        {func(c *bootstrap.Config) { c.AuthzAddress = "unix:@authz" }, "absolute"},
		"an authz socket that is long":    {func(c *bootstrap.Config) { c.AuthzAddress = "unix:" + long }, "has 108 bytes, and a Unix socket's path may have 107"},
		"an admin socket that is long":    {func(c *bootstrap.Config) { c.AdminSocket = long }, "choose a shorter folder"},
		"no admin socket":                 {func(c *bootstrap.Config) { c.AdminSocket = "" }, "admin socket"},
		"a relative certificate":          {func(c *bootstrap.Config) { c.CertificatePath = "tls.crt" }, "certificate's path"},
		"key and certificate apart":       {func(c *bootstrap.Config) { c.KeyPath = "/elsewhere/tls.key" }, "in one folder"},
		"a CA path that climbs":           {func(c *bootstrap.Config) { c.CAPath = "/etc/../ca.pem" }, "without . and .."},
		"a directory that is not UTF-8":   {func(c *bootstrap.Config) { c.Directory = "/\xff" }, "UTF-8"},
		"a directory with a zero byte":    {func(c *bootstrap.Config) { c.Directory = "/a\x00b" }, "zero bytes"},
		"all mistakes of a configuration": {func(c *bootstrap.Config) { c.XDSAddress, c.CAPath = "x", "y" }, "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			config := example()
			test.change(&config)
			if _, err := bootstrap.New(config); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestASocketPathOfTheGreatestLengthIsAccepted(t *testing.T) {
	config := example()
	config.AdminSocket = "/" + strings.Repeat("a", bootstrap.LongestSocketPath-1)
	if _, err := bootstrap.New(config); err != nil {
		t.Error(err)
	}
}

func TestWriteReplacesFilesThatOthersCannotRead(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "new", "bootstrap")
	var first []byte
	for _, limit := range []uint32{1, 2} {
		config := example()
		config.MaxConnections = limit
		files, err := bootstrap.New(config)
		if err != nil {
			t.Fatal(err)
		}
		path, err := files.Write(directory)
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(directory, bootstrap.BootstrapFile); path != want {
			t.Errorf("the bootstrap is %s, want %s", path, want)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(content, first) {
			t.Error("the second bootstrap has not replaced the first")
		}
		first = content
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", entry.Name(), info.Mode(), err)
		}
	}
	if diff := cmp.Diff([]string{bootstrap.AuthoritiesFile, bootstrap.BootstrapFile, bootstrap.CertificateFile}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestWriteFailsWhereItCannot(t *testing.T) {
	files, err := bootstrap.New(example())
	if err != nil {
		t.Fatal(err)
	}
	taken := filepath.Join(t.TempDir(), "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write(taken); err == nil {
		t.Error("wrote into a file as if it were a folder")
	}
	// A folder stands where a file is to go: nothing temporary may stay behind.
	directory := t.TempDir()
	if err := os.MkdirAll(filepath.Join(directory, bootstrap.CertificateFile, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Write(directory); err == nil {
		t.Error("replaced a folder")
	}
	if entries, err := os.ReadDir(directory); err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
