package integration

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Over HTTP/1.1 Envoy drops trailers by itself; between HTTP/2 and HTTP/2 they would come through.
func TestNoTrailerOfARequestReachesTheAPI(t *testing.T) {
	e := newEstate(t)
	received := make(chan http.Header, 1)
	api := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // trailers come after it
		received <- r.Trailer
		_, _ = w.Write(body)
	}))
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	api.Config.Protocols = &protocols
	api.Start()
	t.Cleanup(api.Close)
	e.configure("edge.yaml", strings.NewReplacer(
		strings.TrimPrefix(e.api.URL, "http://")+"\"]}}", strings.TrimPrefix(api.URL, "http://")+"\"]}, protocol: http2}",
		"methods: [GET]", "methods: [GET, POST]",
	).Replace(e.configuration()))
	e.startXDS()
	e.startAuthz()
	e.startEnvoy()
	client := e.client("mapps")

	var answer string
	eventually(t, "the edge serves", func() bool {
		request, err := http.NewRequest(http.MethodPost, "https://"+local(e.edgePort)+"/v1/a", io.MultiReader(strings.NewReader("the body")))
		if err != nil {
			t.Fatal(err)
		}
		request.Host = "api.example.org"
		request.Trailer = http.Header{"X-Consumer": {"root"}, "X-Anything": {"else"}}
		response, err := client.Do(request)
		if err != nil {
			return false
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		answer = string(body)
		return response.StatusCode == http.StatusOK
	})
	if answer != "the body" {
		t.Errorf("the API received %q", answer)
	}
	for name, values := range <-received {
		if len(values) > 0 {
			t.Errorf("the API received the trailer %s: %s", name, values)
		}
	}
}
