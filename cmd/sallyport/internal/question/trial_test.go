package question_test

import (
	"maps"
	"net/http"
	"time"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/envoy/routing"
	adminv1 "github.com/sallyport-project/sallyport/proto/sallyport/admin/v1"
)

// trial is one request.
type trial struct {
	*world
	inquiry *adminv1.Inquiry
	hop     estate.Hop
	// token is set if it has an Authorization header.
	token bool
	// chosen is the route, once it is known: it is the same for all callers.
	chosen *routing.Decision
	// shown is what each consumer comes with, and truths what becomes of it at noon, once they are known.
	shown  map[string][]shown
	truths map[string][][]estate.Passage
}

func (w *world) trial() *trial {
	scheme, listener := "https", w.model.Gateway("edge").Listener("https")
	if plain := w.model.Gateway("edge").Listener("plain"); plain != nil && w.chance(20) {
		scheme, listener = "http", plain
	}
	host := w.one(hosts)
	url := scheme + "://" + host + w.path(w.literal)
	t := &trial{world: w, inquiry: &adminv1.Inquiry{Method: w.one(methods), Url: url, Via: "edge"}, shown: map[string][]shown{}, truths: map[string][][]estate.Passage{}}
	t.hop = estate.Hop{Listener: listener, Request: routing.Request{Method: t.inquiry.GetMethod(), Host: host, Path: url[len(scheme)+3+len(host):], Headers: http.Header{}}}
	if scheme == "https" {
		t.hop.Request.SNI = host
	}
	header := func(name, value string) {
		t.inquiry.Headers = append(t.inquiry.Headers, &adminv1.Header{Name: name, Value: value})
		t.hop.Request.Headers[name] = []string{value}
	}
	if w.chance(20) {
		header("x-version", w.one([]string{"1", "2"}))
	}
	if t.token = w.chance(3); t.token {
		header("authorization", "Bearer x")
	}
	return t
}

// truthsOf is what becomes of the request with each of a consumer's certificates; of nobody, without one.
func (t *trial) truthsOf(consumer string) [][]estate.Passage {
	t.t.Helper()
	if t.truths[consumer] == nil {
		t.truths[consumer] = t.truth(noon, t.of(consumer)...)
	}
	return t.truths[consumer]
}

// truth is what becomes of the request with each of these credentials.
func (t *trial) truth(at time.Time, with ...shown) [][]estate.Passage {
	t.t.Helper()
	judging := t.at(at)
	if t.chosen == nil {
		chosen, err := judging.Choose(t.hop)
		if err != nil {
			t.t.Fatal(err)
		}
		t.chosen = &chosen
	}
	var all [][]estate.Passage
	for _, credentials := range with {
		hop := t.hop
		hop.Credentials = credentials.Credentials
		if credentials.token != "" {
			hop.Request.Headers = maps.Clone(hop.Request.Headers)
			hop.Request.Headers["authorization"] = []string{"Bearer " + credentials.token}
		}
		first, err := judging.PassBy(t.t.Context(), hop, *t.chosen)
		if err != nil {
			t.t.Fatal(err)
		}
		passages := []estate.Passage{first}
		if first.Next != nil {
			rest, err := judging.Follow(t.t.Context(), *first.Next)
			if err != nil {
				t.t.Fatal(err)
			}
			passages = append(passages, rest...)
		}
		all = append(all, passages)
	}
	return all
}

// of is what a consumer comes with: each of its certificates, each of its tokens, and one of each together; or nothing.
func (t *trial) of(consumer string) []shown {
	if t.shown[consumer] != nil {
		return t.shown[consumer]
	}
	var all, holding []shown
	if c := t.model.Consumer(consumer); c != nil && !t.token {
		for _, match := range c.Tokens {
			holding = append(holding, t.sign(consumerToken(match)))
		}
	}
	for _, certificate := range t.certificates[consumer] {
		credentials := estate.Credentials{Certificate: certificate}
		all = append(all, shown{Credentials: credentials})
		for _, with := range holding {
			with.Credentials = credentials
			all = append(all, with)
		}
	}
	if all = append(all, holding...); len(all) == 0 {
		all = []shown{{}}
	}
	t.shown[consumer] = all
	return all
}

// admitted tells whether the first gateway lets the request in.
func admitted(passages []estate.Passage) bool {
	return passages[0].Decision != nil && passages[0].Decision.Allowed
}

// arrived tells whether the request reaches an API.
func arrived(passages []estate.Passage) bool {
	last := passages[len(passages)-1]
	return last.Decision != nil && last.Decision.Allowed
}
