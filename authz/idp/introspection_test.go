package idp

import (
	"net/http"
	"strings"
	"testing"
)

func TestIntrospectionIsReadAsStrictlyAsAToken(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		want   string // "active", "inactive", or of the error
	}{
		"active":             {`{"active":true,"sub":"u1","exp":1793527500}`, "active"},
		"inactive":           {`{"active":false}`, "inactive"},
		"inactive with more": {`{"active":false,"exp":null}`, "inactive"},
		"silence":            {`{"sub":"u1"}`, "does not say"},
		"a text":             {`{"active":"true"}`, "does not say"},
		"a list":             {`[true]`, "no introspection"},
		"twice":              {`{"active":true,"active":true}`, "relied on"},
		"a text as expiry":   {`{"active":true,"exp":"1793527500"}`, "relied on"},
		"two answers":        {`{"active":true}{"active":true}`, "no introspection"},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			s.on("/introspect", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				_, _ = w.Write([]byte(test.answer))
			})
			got, err := mustNew(t, s.config()).Introspect(t.Context(), canarySubject)
			if form, _ := s.sent(); form.Get("token") != canarySubject || form.Get("token_type_hint") != "access_token" {
				t.Errorf("sent %v", form)
			}
			switch test.want {
			case "active":
				if err != nil || !got.Active || got.Claims.Subject != "u1" {
					t.Errorf("got %+v, %v", got, err)
				}
			case "inactive":
				if err != nil || got.Active || got.Claims != nil {
					t.Errorf("got %+v, %v", got, err)
				}
			default:
				if got := fault(t, err); got.Kind != BadAnswer || !strings.Contains(got.Error(), test.want) {
					t.Errorf("got %v (%v)", got, got.Kind)
				}
			}
		})
	}
}
