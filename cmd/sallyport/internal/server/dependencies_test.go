package server

import (
	"os/exec"
	"strings"
	"testing"
)

func TestAServerHasNoPartInTheDevelopmentIssuer(t *testing.T) {
	listed, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	dependencies := strings.Fields(string(listed))
	if len(dependencies) < 100 {
		t.Fatalf("only %d packages are listed", len(dependencies))
	}
	for _, name := range dependencies {
		if strings.Contains(name, "zitadel") || strings.Contains(name, "internal/devissuer") {
			t.Errorf("it is made with %s", name)
		}
	}
}
