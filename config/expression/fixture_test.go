package expression

import (
	"testing"
	"time"
)

var noon = time.Date(2030, 1, 2, 12, 0, 0, 0, time.UTC)

// mapps asks for something of a prison, with a certificate and a token.
func mapps() *Facts {
	return &Facts{
		Consumer: NewConsumer("mapps", []string{"alerts-reader", "person-reader"},
			map[string][]string{"prisons": {"MDI", "LEI"}, "none": {}}, map[string]string{"team": "police"}),
		Certificate: &Certificate{
			SubjectDN: "CN=mapps,O=police", IssuerDN: "CN=partners", CommonName: "mapps", Serial: "1f", SHA256: "c1", SPKISHA256: "k1",
			NotBefore: noon.Add(-time.Hour), NotAfter: noon.Add(72*time.Hour + time.Millisecond),
			URIs: []string{"spiffe://example.org/mapps"}, DNSNames: []string{"mapps.example.org"},
		},
		Token: &Token{
			Provider: "corporate", Issuer: "https://login.example.org", Subject: "alice", ClientID: "app", Audiences: []string{"api"},
			Roles: []string{"vessel.write"}, Scopes: []string{"vessels.own", "read"}, Expires: noon.Add(time.Hour),
			Claims: map[string]any{
				"iss": "https://login.example.org", "company": "7", "level": int64(3), "share": 0.5, "staff": true, "nothing": nil,
				"groups": []any{"clerks", "captains"}, "address": map[string]any{"country": "NO", "lines": []any{"a", map[string]any{"b": int64(1)}}},
				"https://example.org/tenant": "t1",
			},
		},
		Request: Request{Method: "GET", Host: "api.example.org", Path: "/v1/prisons/MDI", Gateway: "edge", Route: "api", Time: noon},
		Path:    map[string]string{"prison_id": "MDI", "hmpps-id": "A1234BC"},
		Subject: "consumer:mapps",
	}
}

// nobody is an anonymous caller.
func nobody() *Facts { return &Facts{Request: mapps().Request, Path: map[string]string{}} }

func condition(t testing.TB, source string) *Condition {
	t.Helper()
	c, err := CompileCondition(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return c
}

func textOf(t testing.TB, source string) *Text {
	t.Helper()
	compiled, err := CompileText(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	return compiled
}
