package issuer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport-project/sallyport/internal/atomicfile"
	"github.com/sallyport-project/sallyport/pki/ca"
	"github.com/sallyport-project/sallyport/pki/material"
)

// The names of files in a home.
const (
	settingsFile = "ca.yaml"
	bundleFile   = "bundle.pem"
	activeFile   = "active"
	stateFile    = "state.json"
	retiredDir   = "retired"
)

// What settings are where a home's settings say nothing.
const (
	DefaultListLifetime     = 7 * 24 * time.Hour
	DefaultRepublishAhead   = 6 * 24 * time.Hour
	DefaultRootListLifetime = 365 * 24 * time.Hour
	DefaultPublication      = "file:crl.pem"
	DefaultRegister         = "file:register.jsonl"
)

// Settings are what ca.yaml says. Relative paths are meant from the home's folder.
type Settings struct {
	// Name is what the authority is called; it is the beginning of its certificates' common names.
	Name string `yaml:"name"`
	// Publish are references to where the revocation list is written, file: or s3:. The index of the register stands
	// beside each with .index after its name, the register's signed head with .head.
	Publish []string `yaml:"publish"`
	// ExpectedBucketOwner is the AWS account that must own the buckets, 12 digits; empty for any.
	ExpectedBucketOwner string `yaml:"expected_bucket_owner,omitempty"`
	// Register is a reference to where the register is kept: a file, or a prefix of a bucket.
	Register string `yaml:"register"`
	// ListLifetime is how long a published list is valid, and RepublishAhead how long before its end the next is made.
	ListLifetime   Duration `yaml:"list_lifetime"`
	RepublishAhead Duration `yaml:"republish_ahead"`
	// RootListLifetime is how long the list of a root is valid whose key is kept offline.
	RootListLifetime Duration `yaml:"root_list_lifetime"`
	// CRLAddresses are where others find the list; they are written into certificates.
	CRLAddresses []string `yaml:"crl_addresses,omitempty"`
	// Lifetimes replace how long certificates of a profile are valid.
	Lifetimes map[ca.Profile]Duration `yaml:"lifetimes,omitempty"`
}

// Duration is a time.Duration that is written as Go writes it, or as a number of days such as 365d.
type Duration time.Duration

// UnmarshalYAML implements yaml.Unmarshaler.
func (d *Duration) UnmarshalYAML(node *yaml.Node) error {
	parsed, err := parseDuration(node.Value)
	if err != nil {
		return fmt.Errorf("line %d: %w", node.Line, err)
	}
	*d = Duration(parsed)
	return nil
}

// String writes whole days as such.
func (d Duration) String() string {
	if days := time.Duration(d) / (24 * time.Hour); days > 0 && time.Duration(d)%(24*time.Hour) == 0 {
		return strconv.Itoa(int(days)) + "d"
	}
	return time.Duration(d).String()
}

func parseDuration(text string) (time.Duration, error) {
	if number, found := strings.CutSuffix(text, "d"); found {
		if days, err := strconv.ParseUint(number, 10, 16); err == nil {
			return time.Duration(days) * 24 * time.Hour, nil
		}
	}
	parsed, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: write one such as 12h or 30d", text)
	}
	return parsed, nil
}

// withDefaults fills in what is not said.
func (s Settings) withDefaults() Settings {
	orDefault := func(value *Duration, usual time.Duration) {
		if *value == 0 {
			*value = Duration(usual)
		}
	}
	orDefault(&s.ListLifetime, DefaultListLifetime)
	orDefault(&s.RepublishAhead, min(DefaultRepublishAhead, time.Duration(s.ListLifetime)*6/7))
	orDefault(&s.RootListLifetime, DefaultRootListLifetime)
	if len(s.Publish) == 0 {
		s.Publish = []string{DefaultPublication}
	}
	if s.Register == "" {
		s.Register = DefaultRegister
	}
	return s
}

// check reports what cannot be meant.
func (s Settings) check() error {
	switch {
	case s.Name == "":
		return errors.New("name: the authority needs one")
	case s.ListLifetime < Duration(time.Minute):
		return errors.New("list_lifetime: a list must be valid for a minute at least")
	case s.RepublishAhead <= 0 || s.RepublishAhead >= s.ListLifetime:
		return fmt.Errorf("republish_ahead: it must be shorter than list_lifetime, which is %s", s.ListLifetime)
	case s.RootListLifetime < s.ListLifetime:
		return fmt.Errorf("root_list_lifetime: it must not be shorter than list_lifetime, which is %s", s.ListLifetime)
	}
	for profile, lifetime := range s.Lifetimes {
		if _, err := ca.ParseProfile(string(profile)); err != nil {
			return fmt.Errorf("lifetimes: %w", err)
		}
		if lifetime <= 0 || time.Duration(lifetime) > profile.MaxLifetime() {
			return fmt.Errorf("lifetimes: %s: it must be positive and %s at most", profile, Duration(profile.MaxLifetime()))
		}
	}
	seen := map[string]bool{}
	for _, text := range s.Publish {
		reference, err := placeOf("", text)
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
		if seen[reference.String()] {
			return fmt.Errorf("publish: %s stands there twice", text)
		}
		seen[reference.String()] = true
	}
	if _, err := placeOf("", s.Register); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// placeOf reads a reference to somewhere that can be written.
func placeOf(home, text string) (material.Reference, error) {
	reference, err := material.Parse(text)
	if err != nil {
		return material.Reference{}, err
	}
	switch {
	case reference.Scheme != material.File && reference.Scheme != material.S3:
		return material.Reference{}, fmt.Errorf("%s is no place to write to: use file:PATH or s3://BUCKET/KEY", reference)
	case reference.Object().Version != "":
		return material.Reference{}, fmt.Errorf("%s pins a version, which cannot be written", reference)
	}
	return reference.In(home), nil
}

// readSettings reads ca.yaml. A setting that does not exist is refused with its line.
func readSettings(home string) (Settings, error) {
	path := filepath.Join(home, settingsFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return Settings{}, fmt.Errorf("open the home of a certificate authority: %w (is %s one? `sallyport ca init` makes one)", err, home)
	}
	var settings Settings
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&settings); err != nil && !errors.Is(err, io.EOF) {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	settings = settings.withDefaults()
	if err := settings.check(); err != nil {
		return Settings{}, fmt.Errorf("%s: %w", path, err)
	}
	return settings, nil
}

var settingsTemplate = template.Must(template.New(settingsFile).Parse(`# A certificate authority, made by sallyport ca. Change what you like; comments are kept.
name: {{printf "%q" .Name}}

# Where the revocation list is published: file:PATH or s3://BUCKET/KEY. Beside each, the index of what was issued is
# written with .index after its name, and the register's signed head with .head.
publish:
{{- range .Publish}}
- {{printf "%q" .}}
{{- end}}
{{- if .ExpectedBucketOwner}}
expected_bucket_owner: {{printf "%q" .ExpectedBucketOwner}}
{{- end}}

# The register of everything that was issued: file:PATH, or s3://BUCKET/PREFIX for operators who share no disk.
register: {{printf "%q" .Register}}

# How long a list is valid, and how long before its end the next is made.
list_lifetime: {{.ListLifetime}}
republish_ahead: {{.RepublishAhead}}

# How long the list of a root is valid whose key is kept offline.
root_list_lifetime: {{.RootListLifetime}}
{{- if .CRLAddresses}}

# Where others find the list; written into certificates.
crl_addresses:
{{- range .CRLAddresses}}
- {{printf "%q" .}}
{{- end}}
{{- end}}
{{- if .Lifetimes}}

# How long certificates are valid, by profile.
lifetimes:
{{- range $profile, $lifetime := .Lifetimes}}
  {{$profile}}: {{$lifetime}}
{{- end}}
{{- end}}
`))

// writeSettings makes ca.yaml in a folder.
func writeSettings(folder string, settings Settings) error {
	var text bytes.Buffer
	if err := settingsTemplate.Execute(&text, settings); err != nil {
		return fmt.Errorf("write %s: %w", settingsFile, err)
	}
	return atomicfile.Replace(filepath.Join(folder, settingsFile), text.Bytes(), 0o644)
}

// inHome resolves the settings' references against the home's folder.
func (s Settings) inHome(home string) (publish []material.Reference, err error) {
	for _, text := range s.Publish {
		reference, err := placeOf(home, text)
		if err != nil {
			return nil, err
		}
		publish = append(publish, reference)
	}
	return slices.Clip(publish), nil
}
