package cache

import (
	"strings"
	"testing"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

func TestAVersionIsTheContent(t *testing.T) {
	version := func(message proto.Message, labels ...string) string {
		s, err := NewSnapshot(map[string]map[string]Resource{resource.ClusterType: {"a": {Message: message, Labels: labels}}})
		if err != nil {
			t.Fatal(err)
		}
		return s.Version(resource.ClusterType, "a")
	}
	// A map has no order of its own.
	metadata := func() *structpb.Struct {
		fields := map[string]*structpb.Value{}
		for _, name := range strings.Split("a b c d e f g h", " ") {
			fields[name] = structpb.NewStringValue(name)
		}
		return &structpb.Struct{Fields: fields}
	}
	first := version(metadata())
	for range 20 {
		if again := version(metadata(), "label"); again != first {
			t.Fatalf("equal content has the versions %s and %s", first, again)
		}
	}
	if other := version(&clusterv3.Cluster{Name: "a"}); other == first || len(other) != 32 {
		t.Errorf("other content has the version %q", other)
	}
}

func TestASnapshotHoldsOnlyTypesThatAreServed(t *testing.T) {
	_, err := NewSnapshot(map[string]map[string]Resource{resource.RuntimeType: {"a": {Message: &structpb.Struct{}}}})
	if err == nil || !strings.Contains(err.Error(), "Runtime") {
		t.Errorf("got %v, want an error that names the type", err)
	}
}

func TestASnapshotWithoutAResourceHasNoVersionOfIt(t *testing.T) {
	s, err := NewSnapshot(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Version(resource.ClusterType, "a"); got != "" {
		t.Errorf("got the version %q of a resource that is not there", got)
	}
}
