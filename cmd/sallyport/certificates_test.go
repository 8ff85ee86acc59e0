package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

func TestADurationMayBeInDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"60d": 60 * 24 * time.Hour, "0d": 0, "36h": 36 * time.Hour, "90s": 90 * time.Second,
		"": -1, "d": -1, "-1d": -1, "-1h": -1, "1.5d": -1, "99999d": -1, "soon": -1,
	} {
		var d duration
		err := d.Set(text)
		if (err == nil) != (want >= 0) || err == nil && time.Duration(d) != want {
			t.Errorf("%q: %v, error %v", text, time.Duration(d), err)
		}
	}
	for text, want := range map[string]string{"60d": "60d", "24h": "1d", "36h": "36h0m0s", "0s": ""} {
		var d duration
		if err := d.Set(text); err != nil || d.String() != want {
			t.Errorf("%s is written %q, want %q", text, d.String(), want)
		}
	}
}

func TestCertificatesAreATableOfWhatEndsFirst(t *testing.T) {
	now := time.Now()
	var out bytes.Buffer
	if err := certificateTables(&out, &adminv1.ListCertificatesResponse{
		Certificates: []*adminv1.KnownCertificate{
			{Kind: "consumer", Name: "mapps", Gateway: "edge", Subject: "CN=ma\x1b[31mpps", Serial: "1f", NotAfter: timestamppb.New(now.Add(50 * time.Hour)), LastDecision: "allowed: everyone"},
			{Kind: "consumer", Name: "pilot", Gateway: "edge", Issuer: "CN=issuer", Serial: "2f", NotAfter: timestamppb.New(now.Add(40 * time.Hour)), LastSeen: timestamppb.New(time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC))},
			{Kind: "revocation_list", Name: "partners", Issuer: "CN=root", Serial: "7", NotAfter: timestamppb.New(now.Add(-time.Hour))},
		},
		RefusedHandshakes: []*adminv1.RefusedHandshakes{{Gateway: "edge", Listener: "https", Reason: "certificate_expired", Count: 3, Last: timestamppb.New(now), Subject: "CN=nsp"}},
	}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range map[int][]string{
		1: {"  2d  ", "consumer", "mapps", "edge", "CN=ma�[31mpps", "allowed: everyone"},
		2: {"  39h  ", "edge     pilot ", "2f", "2030-01-02T03:04:05Z"},
		3: {"  ended  ", "revocation_list", "CN=root"},
		7: {"3", "edge", "https", "certificate_expired", "CN=nsp"},
	} {
		for _, part := range want {
			if i >= len(lines) || !strings.Contains(lines[i], part) {
				t.Errorf("line %d lacks %q:\n%s", i, part, out.String())
			}
		}
	}
}
