package aws

import (
	"errors"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sallyport-project/sallyport/internal/testcloud"
	"github.com/sallyport-project/sallyport/pki/material"
)

// watching runs a Store over the bucket and waits with a deadline.
type watching struct {
	*testing.T
	*material.Store
	reference material.Reference
}

func watch(t *testing.T, folder string, source material.Source) watching {
	t.Helper()
	store := material.NewStore(material.Config{
		Fetchers: New().Fetchers(), Keep: folder, Timeout: 500 * time.Millisecond, Debounce: 5 * time.Millisecond,
	})
	store.Watch(t.Context(), []material.Source{source})
	ended := make(chan error, 1)
	go func() { ended <- store.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return watching{t, store, source.Reference}
}

// until reads at each change until what is read will do.
func (w watching) until(what string, suits func(data string, err error) bool) {
	w.Helper()
	deadline := time.After(time.Minute)
	for {
		data, err := w.Read(w.reference)
		if suits(string(data), err) {
			return
		}
		select {
		case <-w.Changes():
		case <-deadline:
			w.Fatalf("in vain waited for: %s; last read %q, %v", what, data, err)
		}
	}
}

func TestAStoreOverS3SurvivesEveryFault(t *testing.T) {
	server := testcloud.StartObjectStore(t, "partners")
	server.Use(t)
	bundle := parse(t, "s3://partners/bundle.pem")
	source := material.Source{Reference: bundle, Refresh: 20 * time.Millisecond}
	objects := New().Objects("")
	put(t, objects, bundle, "one", material.Condition{})

	folder := filepath.Join(t.TempDir(), "kept")
	store := watch(t, folder, source)
	store.until("the object", func(data string, _ error) bool { return data == "one" })
	store.Accept(bundle, []byte("one"))

	for _, test := range []struct {
		fault testcloud.Fault
		want  string
		is    error
	}{
		{testcloud.Denied, "403 AccessDenied", fs.ErrPermission},
		{testcloud.Broken, "500 InternalError", nil},
		{testcloud.Missing, "404 NoSuchKey", fs.ErrNotExist},
		{testcloud.Stuck, "no answer within 500ms", nil},
		{testcloud.Gone, "closed without an answer", nil},
	} {
		server.Faults.Set(test.fault)
		store.until(test.want, func(_ string, err error) bool {
			return err != nil && strings.Contains(err.Error(), test.want) && (test.is == nil || errors.Is(err, test.is))
		})
		if good, found := store.LastGood(bundle); !found || string(good) != "one" {
			t.Errorf("with %q, the last good is %q", test.want, good)
		}
		server.Faults.Heal()
		store.until("an end of "+test.want, func(data string, err error) bool { return err == nil && data == "one" })
	}
	put(t, objects, bundle, "two", material.Condition{})
	store.until("the change", func(data string, _ error) bool { return data == "two" })

	// A process that starts while S3 is away begins with what was good in the one before.
	server.Faults.Set(testcloud.Broken)
	cold := watch(t, folder, source)
	cold.until("the fault", func(_ string, err error) bool { return err != nil })
	if good, found := cold.LastGood(bundle); !found || string(good) != "one" {
		t.Errorf("a cold start begins with %q", good)
	}
	server.Faults.Heal()
	cold.until("the object", func(data string, _ error) bool { return data == "two" })
}

func TestAPinnedVersionStaysWhateverIsWrittenAfterIt(t *testing.T) {
	server := testcloud.StartObjectStore(t, "partners")
	server.Use(t)
	bundle := parse(t, "s3://partners/bundle.pem")
	objects := New().Objects("")
	first := put(t, objects, bundle, "one", material.Condition{})
	store := watch(t, "", material.Source{Reference: bundle.AtVersion(first.ID), Refresh: 10 * time.Millisecond})
	store.until("the version", func(data string, _ error) bool { return data == "one" })
	put(t, objects, bundle, "two", material.Condition{})
	asked := server.Faults.Answered(http.StatusNotModified)
	for server.Faults.Answered(http.StatusNotModified) < asked+3 { // it goes on to be looked at
		if data, err := store.Read(store.reference); err != nil || string(data) != "one" {
			t.Fatalf("read %q, %v", data, err)
		}
	}
}
