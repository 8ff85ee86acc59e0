package kit

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/sallyport-project/sallyport/pki/ca"
)

func TestAKitHoldsTheCertificateItsChainAndTheGatewaysAuthority(t *testing.T) {
	e := newEstate(t)
	pair := e.issue(t)
	dir := filepath.Join(t.TempDir(), "kit")
	if err := newKit(t, e.config(pair)).Write(dir); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		CertificateFile: string(pair.CertificatePEM), ChainFile: string(pair.ChainPEM()), GatewayCAFile: string(e.gatewayCA.CertificatePEM()),
	} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s holds\n%s\n%v", name, got, err)
		}
		if info, _ := os.Stat(filepath.Join(dir, name)); info.Mode().Perm() != 0o644 {
			t.Errorf("%s has the mode %v", name, info.Mode())
		}
	}
	entries, _ := os.ReadDir(dir)
	if len(entries) != 5 {
		t.Errorf("there are %v", entries)
	}
}

func TestAKitOverwritesNothing(t *testing.T) {
	e := newEstate(t)
	made := newKit(t, e.config(e.issue(t)))
	dir := t.TempDir()
	path := filepath.Join(dir, ChainFile)
	if err := os.WriteFile(path, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := made.Write(dir); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path) {
		t.Errorf("writing gives %v", err)
	}
	entries, _ := os.ReadDir(dir)
	if content, _ := os.ReadFile(path); len(entries) != 1 || string(content) != "mine" {
		t.Errorf("there are %v, and the file holds %q", entries, content)
	}
}

func TestAnArchiveIsTheSameEachTime(t *testing.T) {
	e := newEstate(t)
	pair := e.issue(t)
	var one, two bytes.Buffer
	if err := errors.Join(newKit(t, e.config(pair)).Archive(&one), newKit(t, e.config(pair)).Archive(&two)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("they differ")
	}
	want := map[string]string{}
	for _, f := range newKit(t, e.config(pair)).files {
		want["mapps/"+f.name] = string(f.data)
	}
	if difference := cmp.Diff(want, unzip(t, one.Bytes())); difference != "" {
		t.Error(difference)
	}
}

func unzip(t *testing.T, data []byte) map[string]string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.File {
		entry, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(entry)
		if err != nil {
			t.Fatal(err)
		}
		files[f.Name] = string(content)
	}
	return files
}

func TestAPlainKeyDoesNotLeave(t *testing.T) {
	made := newEstate(t).withKey(t)
	dir := filepath.Join(t.TempDir(), "kit")
	if err := made.Write(dir); !errors.Is(err, errPlainKey) {
		t.Errorf("writing gives %v", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder was made: %v", err)
	}
	var out bytes.Buffer
	if err := made.Archive(&out); !errors.Is(err, errPlainKey) || out.Len() > 0 {
		t.Errorf("archiving gives %v, and %d bytes", err, out.Len())
	}
}

func TestNoFormOfPrintingShowsTheKey(t *testing.T) {
	e := newEstate(t)
	pair := e.issue(t)
	config := e.config(pair)
	config.PrivateKey = pair.PrivateKey
	made := newKit(t, config)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		for _, value := range []any{config, &config, made, *made} {
			if text := fmt.Sprintf(verb, value); len(text) > 60 || !strings.Contains(text, "mapps") {
				t.Errorf("%s of %T prints %s", verb, value, text)
			}
		}
	}
	for _, value := range []any{config, made} {
		text, err := json.Marshal(value)
		if err != nil || strings.Contains(string(text), `"D"`) || strings.Contains(string(text), "PrivateKey\"") {
			t.Errorf("%T is %s in JSON: %v", value, text, err)
		}
	}
}

func TestAKitIsEncryptedToAgeAndSSHKeys(t *testing.T) {
	made := newEstate(t).withKey(t)
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sshKey, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	sshOwn, err := agessh.NewEd25519Identity(private)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := made.EncryptAge([]string{own.Recipient().String(), string(ssh.MarshalAuthorizedKey(sshKey))})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("mapps")) || bytes.Contains(sealed, []byte("PRIVATE")) {
		t.Error("something of the kit can be read")
	}
	for _, identity := range []age.Identity{own, sshOwn} {
		plain, err := age.Decrypt(bytes.NewReader(sealed), identity)
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(plain)
		if err != nil {
			t.Fatal(err)
		}
		files := unzip(t, content)
		key, err := ca.ParsePrivateKey([]byte(files["mapps/"+PrivateKeyFile]))
		if err != nil || !ca.Matches(made.config.Certificate, key) {
			t.Errorf("the key is not the certificate's: %v", err)
		}
		if len(files) != 6 || !strings.Contains(files["mapps/"+ReadmeFile], "`private-key.pem` | your private key") {
			t.Errorf("the kit has %d files", len(files))
		}
	}
}

func TestARecipientThatIsNoneIsRefusedAndNotRepeated(t *testing.T) {
	made := newEstate(t).withKey(t)
	secret, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		recipient, says string
	}{
		{secret.String(), "recipient 1 is a secret key"},
		{strings.ToLower(secret.String()), "recipient 1 is a secret key"},
		{"age1qqqqqqqqqqqqqqqqqqqqqqqq", "recipient 1 is neither"},
		{"hunter2", "recipient 1 is neither"},
		{"", "recipient 1 is neither"},
		{secret.Recipient().String() + "\n" + secret.Recipient().String(), "recipient 1 is neither"},
		{"ssh-rsa AAAA", "recipient 1 is not an SSH public key"},
	} {
		_, err := made.EncryptAge([]string{c.recipient})
		if err == nil || !strings.Contains(err.Error(), c.says) || c.recipient != "" && strings.Contains(err.Error(), c.recipient) {
			t.Errorf("%q gives %v", c.recipient, err)
		}
	}
	if _, err := made.EncryptAge(nil); err == nil || !strings.Contains(err.Error(), "there is no recipient") {
		t.Errorf("no recipient gives %v", err)
	}
}

func TestAPKCS12FileHoldsKeyCertificateAndChain(t *testing.T) {
	made := newEstate(t).withKey(t)
	encrypted, password, err := made.PKCS12()
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[abcdefghijkmnpqrstuvwxyz2-9]{4}(-[abcdefghijkmnpqrstuvwxyz2-9]{4}){5}$`).MatchString(password) {
		t.Errorf("the password is %q", password)
	}
	key, certificate, chain, err := pkcs12.DecodeChain(encrypted.data(CredentialsFile), password)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]byte{made.config.Certificate.Raw, made.config.Chain[0].Raw}, [][]byte{certificate.Raw, chain[0].Raw}); diff != "" || len(chain) != 1 {
		t.Errorf("the certificates differ: %s", diff)
	}
	if decoded, ok := key.(interface{ Equal(x any) bool }); ok && !decoded.Equal(made.config.PrivateKey) {
		t.Error("the key differs")
	}
	var out bytes.Buffer
	if err := encrypted.Archive(&out); err != nil {
		t.Fatal(err)
	}
	for name, content := range unzip(t, out.Bytes()) {
		if strings.Contains(content, password) || strings.Contains(content, "PRIVATE KEY---") {
			t.Errorf("%s gives the secret away", name)
		}
	}
	if _, again, _ := made.PKCS12(); again == password {
		t.Error("the password is the same twice")
	}
	if _, _, err := encrypted.PKCS12(); err == nil {
		t.Error("a kit without a plain key was encrypted")
	}
}

func TestPartsThatDoNotBelongTogetherMakeNoKit(t *testing.T) {
	e := newEstate(t)
	pair, other := e.issue(t), e.issue(t)
	for name, c := range map[string]struct {
		change func(*Config)
		says   string
	}{
		"a name that is a path":     {func(c *Config) { c.Consumer = "../mapps" }, "lower-case letters"},
		"no certificate":            {func(c *Config) { c.Certificate = nil }, "no certificate"},
		"another's key":             {func(c *Config) { c.PrivateKey = other.PrivateKey }, "not that of the certificate"},
		"a chain of another":        {func(c *Config) { c.Chain = []*x509.Certificate{e.gatewayCA.Certificate()} }, "does not lead up"},
		"nothing to call":           {func(c *Config) { c.URLs = nil }, "no address to call"},
		"plain HTTP":                {func(c *Config) { c.URLs = []string{"http://api.example.org/"} }, "https://HOST/PATH"},
		"a quote in an address":     {func(c *Config) { c.URLs = []string{`https://api.example.org/'"`} }, "percent-encode"},
		"a line in an address":      {func(c *Config) { c.URLs = []string{"https://api.example.org/\n"} }, "percent-encode"},
		"a user in an address":      {func(c *Config) { c.URLs = []string{"https://a@api.example.org/"} }, "https://HOST/PATH"},
		"a contact of several rows": {func(c *Config) { c.Contact = "a\n# b" }, "does not fit on a line"},
	} {
		t.Run(name, func(t *testing.T) {
			config := e.config(pair)
			c.change(&config)
			if _, err := New(config); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("it gives %v", err)
			}
		})
	}
}
