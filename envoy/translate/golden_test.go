package translate_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/envoy/translate"
	"github.com/sallyport-project/sallyport/pki/inventory"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGroupMatchesItsGoldenFile(t *testing.T) {
	example := load(t, "../../examples/partner-certificates")
	forms := load(t, "testdata/forms")
	withoutEdgeClient := everything(example)
	delete(withoutEdgeClient.Certificates, "edge-client")
	for name, test := range map[string]struct {
		model    *config.Model
		material *inventory.Snapshot
		group    string
	}{
		"partner-certificates-edge":                       {example, everything(example), "edge"},
		"partner-certificates-edge-without-a-certificate": {example, withoutEdgeClient, "edge"},
		"partner-certificates-sidecar":                    {example, everything(example), "sidecar"},
		"forms":                                           {forms, everything(forms), "all"},
		"a-group-without-gateways":                        {example, everything(example), "nobody"},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := translate.Group(test.model, test.material, test.group).Print(&got, translate.YAML); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("testdata", "golden", name+".yaml")
			if *update {
				if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if difference := cmp.Diff(string(want), got.String()); difference != "" {
				t.Errorf("it differs from %s; run with -update if it should, and read the result:\n%s", path, difference)
			}
		})
	}
}

func TestPrintedJSONIsValidAndHoldsNoPrivateKey(t *testing.T) {
	model := load(t, "../../examples/partner-certificates")
	for _, format := range []translate.Format{translate.JSON, translate.YAML} {
		var got bytes.Buffer
		if err := translate.Group(model, everything(model), "edge").Print(&got, format); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(got.String(), "private key of") || !strings.Contains(got.String(), "sha256:") {
			t.Errorf("%s: a private key is printed, or no hash", format)
		}
		if format == translate.JSON && !json.Valid(got.Bytes()) {
			t.Error("it is no JSON")
		}
	}
	if err := translate.Group(model, everything(model), "edge").Print(&bytes.Buffer{}, "toml"); err == nil {
		t.Error("toml is a format")
	}
}
