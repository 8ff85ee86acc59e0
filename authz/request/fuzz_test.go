package request_test

import (
	"net/url"
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/sallyport-project/sallyport/authz/request"
)

// FuzzParse looks for a CheckRequest that makes Parse fail otherwise than by an error, or that it accepts although an
// upstream could take its path for another.
func FuzzParse(f *testing.F) {
	for _, change := range []func(*authv3.AttributeContext){
		nil, path("/a/%2e%2e/b"), path("/a%2F..%2Fb;x"), header("authorization", "Bearer a,b"), context("gateway", ""),
	} {
		encoded, err := proto.Marshal(asked(change))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded, "/v1/persons/1")
		f.Add(encoded, "/..%2f")
	}
	f.Fuzz(func(t *testing.T, encoded []byte, otherPath string) {
		var check authv3.CheckRequest
		if proto.Unmarshal(encoded, &check) == nil {
			_, _ = request.Parse(&check)
		}
		r, err := request.Parse(asked(path(otherPath)))
		if err != nil {
			return
		}
		decoded, err := url.PathUnescape(r.Path)
		if err != nil {
			t.Fatalf("accepted %q, which cannot be unescaped", r.Path)
		}
		for _, part := range strings.FieldsFunc(decoded, func(c rune) bool { return c == '/' || c == '\\' || c == ';' }) {
			if part == ".." || part == "." {
				// A parameter that is only dots leads nowhere.
				if !strings.Contains(decoded, ";"+part) {
					t.Fatalf("accepted %q, which leads to %q", r.Path, decoded)
				}
			}
		}
		if strings.ContainsAny(r.Path, "?#;\\ ") || strings.Contains(r.Path, "//") {
			t.Fatalf("accepted %q", r.Path)
		}
	})
}
