package server

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/pipeline"
	"github.com/sallyport-project/sallyport/config"
)

func TestAServerWithoutStateWarnsOnceThatItForgetsWhatGuardsAgainstRollback(t *testing.T) {
	const head = "api_version: sallyport/v1\nkind: Truststore\nmetadata: {name: partners}\nspec: {bundle: 'file:ca.pem'"
	for name, test := range map[string]struct {
		truststore, state string
		warns             bool
	}{
		"with lists":           {head + ", revocation: {lists: ['file:ca.crl']}}", "", true},
		"with signers":         {head + ", signers: ['file:signer.pem']}", "", true},
		"with neither":         {head + "}", "", false},
		"with lists and state": {head + ", revocation: {lists: ['file:ca.crl']}}", "/var/lib/sallyport", false},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, "truststores.yaml"), []byte(test.truststore), 0o600); err != nil {
				t.Fatal(err)
			}
			model, problems, err := config.Load(folder)
			if err != nil || model == nil {
				t.Fatal(err, problems)
			}
			var out bytes.Buffer
			s := &server{config: Config{StateDir: test.state, Logger: hclog.New(&hclog.LoggerOptions{Output: &out})}, warned: map[string]bool{}}
			s.changed(pipeline.Status{Model: model})
			s.changed(pipeline.Status{Model: model})
			if got := strings.Count(out.String(), "give --state a folder"); got > 1 || (got == 1) != test.warns {
				t.Errorf("%d warnings:\n%s", got, &out)
			}
		})
	}
}
