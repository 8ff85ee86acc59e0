package integration

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func (e *estate) read(elements ...string) string {
	e.t.Helper()
	content, err := os.ReadFile(e.path(elements...))
	if err != nil {
		e.t.Fatal(err)
	}
	return string(content)
}

// TestAttackSecrets looks for private keys wherever people or programs may read what we say.
func TestAttackSecrets(t *testing.T) {
	a := newAttacked(t)
	keys := map[string][]string{}
	for _, name := range []string{"hosts", "edge-1", "xds", "authz", "partners"} {
		keys[name] = canaries(t, a.read("pki", name+"-key.pem"))
	}
	control, authz := a.startXDS(), a.startAuthz()
	admin := a.startEnvoy()
	a.ready()

	told := map[string]string{}
	for _, format := range []string{"yaml", "json"} {
		told["translate "+format] = a.run("translate", "--group", "edge", "--output", format, a.xdsSource)
		told["proxy status "+format] = a.run("proxy", "status", "--admin-socket", a.path("xds.sock"), "--output", format)
	}
	told["proxy status"] = a.run("proxy", "status", "--admin-socket", a.path("xds.sock"))
	told["proxy status of authz"] = a.run("proxy", "status", "--admin-socket", a.path("authz.sock"))
	dump, err := admin.ConfigDump(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	told["config dump"] = string(dump)
	if !strings.Contains(told["config dump"], "certificate/hosts") || !strings.Contains(told["translate yaml"], "certificate/hosts") {
		t.Fatal("the secret is in no output, so that there is nothing to test")
	}
	// What is wrong with a key is said without the key.
	a.write(a.path("pki", "hosts-key.pem"), strings.Replace(a.read("pki", "hosts-key.pem"), "-----END", "x----END", 1))
	eventually(t, "the broken key is reported", func() bool {
		told["broken key"] = a.run("proxy", "status", "--admin-socket", a.path("xds.sock"))
		return strings.Contains(told["broken key"], "Certificate hosts")
	})
	// A key where its reference belongs is a mistake that people make.
	pasted := strings.Replace(a.configuration(), `"file:../pki/hosts-key.pem"`, `"`+strings.ReplaceAll(a.read("pki", "hosts-key.pem"), "\n", `\n`)+`"`, 1)
	a.configure("edge.yaml", pasted)
	eventually(t, "the pasted key is reported", func() bool {
		told["pasted key"] = a.run("proxy", "status", "--admin-socket", a.path("xds.sock"))
		return strings.Contains(told["pasted key"], "private_key")
	})
	validate := start(t, a.folder, "validate", a.xdsSource)
	if code := validate.wait(t); code != 2 {
		t.Errorf("a pasted key is valid: exit code %d", code)
	}
	told["validate"] = validate.out.String() + validate.err.String()
	for name, p := range map[string]*program{"xds": control, "authz": authz} {
		told["log of "+name] = p.out.String() + p.err.String()
	}

	for place, text := range told {
		for name, pieces := range keys {
			if slices.ContainsFunc(pieces, func(piece string) bool { return strings.Contains(text, piece) }) {
				t.Errorf("%s: the private key of %s stands there", place, name)
			}
		}
	}
	a.mustGet(a.client("mapps"), "/v1/allowed/still", http.StatusOK)
	a.modes(t)
}

// canaries are pieces of the secret part of a key on P-256 by which it would be known: as PEM has it, as JSON has PEM in
// a field of bytes, and in hexadecimal. The public part stands in certificates.
func canaries(t *testing.T, key string) []string {
	t.Helper()
	block, _ := pem.Decode([]byte(key))
	lines := strings.Split(key, "\n")
	const before, after = 36, 68 // the bytes of PKCS #8 that hold the secret (RFC 5958, RFC 5915)
	if block == nil || len(block.Bytes) < after || len(lines) < 3 {
		t.Fatal("this is no key on P-256")
	}
	secret := block.Bytes[before:after]
	return []string{
		lines[1][48:64], lines[2][:24],
		base64.StdEncoding.EncodeToString([]byte(key))[104:132],
		base64.StdEncoding.EncodeToString(secret)[:40], hex.EncodeToString(secret), strings.ToUpper(hex.EncodeToString(secret)),
	}
}

// modes demands that keys and sockets are their owner's alone.
func (a *attacked) modes(t *testing.T) {
	t.Helper()
	keys, sockets := 0, 0
	err := filepath.WalkDir(a.folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		switch {
		case info.Mode().Type() == fs.ModeSocket:
			sockets++
		case info.Mode().IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			if !bytes.Contains(content, []byte("PRIVATE KEY")) {
				return nil
			}
			keys++
		default:
			return nil
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if keys == 0 || sockets < 3 {
		t.Errorf("%d keys and %d sockets were found", keys, sockets)
	}
}
