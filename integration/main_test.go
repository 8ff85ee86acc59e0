// Package integration runs the built program against real Envoys. It finds the program by $SALLYPORT_BIN, which make
// sets; nothing here looks into the program's packages, but for those that find and run an Envoy.
//
// A test starts its own processes on loopback and ends them by their ids.
package integration

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/envoy/process"
)

// binary and envoy are what the tests run.
var binary, envoy string

func TestMain(m *testing.M) {
	if err := find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func find() (err error) {
	binary = os.Getenv("SALLYPORT_BIN")
	if binary == "" {
		binary = filepath.Join("..", "bin", "sallyport")
	}
	if binary, err = filepath.Abs(binary); err != nil {
		return err
	}
	if _, err := os.Stat(binary); err != nil {
		return fmt.Errorf("the program is not built: %w; run `make test-integration`", err)
	}
	envoy, err = process.Find(context.Background())
	return err
}

// patience bounds every wait for a condition. It is no expectation: a machine may be slow.
const patience = 60 * time.Second

// eventually waits until a condition holds. It returns how long that took.
func eventually(t testing.TB, what string, holds func() bool) time.Duration {
	t.Helper()
	begin := time.Now()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		if time.Since(begin) > patience {
			t.Fatalf("in vain waited for: %s", what)
		}
		<-ticker.C
	}
	return time.Since(begin)
}
