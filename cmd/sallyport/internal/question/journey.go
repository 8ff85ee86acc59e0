package question

import (
	"context"
	"fmt"
	"net/http"

	"github.com/sallyport-project/sallyport/cmd/sallyport/internal/estate"
	"github.com/sallyport-project/sallyport/envoy/routing"
)

// journey is a request's way through the gateways.
type journey struct {
	// passages are what each makes of it; there is at least one.
	passages []estate.Passage
	// sent is what came to each in the Authorization header from the one before; nil for nothing, and for the first.
	sent []*carried
}

func (j *journey) first() estate.Passage { return j.passages[0] }

func (j *journey) last() estate.Passage { return j.passages[len(j.passages)-1] }

// undecided says why it cannot be told that the last gateway, behind another, turns the request away; empty where it can.
func (j *journey) undecided() string {
	last := len(j.passages) - 1
	if d := j.passages[last].Decision; d == nil || d.Allowed || !j.sent[last].doubts(d.Reason) {
		return ""
	}
	return fmt.Sprintf("%s; but not all is known here that the token says which it gets from %s",
		j.passages[last].Decision.Detail, j.passages[last-1].Listener.Gateway.Name)
}

// notes are what is presumed of what was sent on.
func (j *journey) notes() []string {
	var notes []string
	for _, sent := range j.sent {
		if sent != nil && sent.note != "" {
			notes = append(notes, sent.note)
		}
	}
	return notes
}

// follow takes a request through all gateways.
func (e *estates) follow(ctx context.Context, h estate.Hop) (*journey, error) {
	chosen, err := e.first.Choose(h)
	if err != nil {
		return nil, err
	}
	return e.followBy(ctx, h, chosen)
}

// followBy is follow where the first gateway's choice of route is known.
func (e *estates) followBy(ctx context.Context, h estate.Hop, chosen routing.Decision) (*journey, error) {
	at, err := e.first.PassBy(ctx, h, chosen)
	j := &journey{passages: []estate.Passage{at}, sent: []*carried{nil}}
	for err == nil && at.Next != nil {
		if len(j.passages) == estate.MostHops {
			return nil, estate.ErrCircle
		}
		next, sent := *at.Next, e.answers.carry(ctx, at)
		next.Credentials = e.onward.Presented(at.Upstream) // by the material that it is judged by
		if sent != nil {
			headers := http.Header{}
			for name, values := range next.Request.Headers {
				headers[name] = values
			}
			headers[authorization] = []string{sent.header}
			next.Request.Headers = headers
		}
		if at, err = e.onward.Pass(sent.with(ctx), next); err == nil {
			j.passages, j.sent = append(j.passages, at), append(j.sent, sent)
		}
	}
	return j, err
}
