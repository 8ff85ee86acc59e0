package propagation

import (
	"slices"
	"strings"
	"time"

	"github.com/sallyport-project/sallyport/config"
)

// State is how it stands with one token that we get as a client. It does not hold the token.
type State struct {
	Provider string
	Origin   config.Origin
	// Expires is the end of the token that is held; zero if there is none.
	Expires time.Time
	// Refresh is when the next one is asked for.
	Refresh time.Time
	// Problem is why the last request brought none, and Since when that began; empty where it brought one.
	Problem string
	Since   time.Time
}

// States are those of the tokens that are acquired, by Provider and place.
func (p *Propagator) States() []State {
	p.mu.Lock()
	held := make([]*holding, 0, len(p.acquired))
	for _, h := range p.acquired {
		held = append(held, h)
	}
	p.mu.Unlock()
	states := make([]State, len(held))
	for i, h := range held {
		states[i] = h.state()
	}
	slices.SortFunc(states, func(a, b State) int {
		if by := strings.Compare(a.Provider, b.Provider); by != 0 {
			return by
		}
		return a.Origin.Compare(b.Origin)
	})
	return states
}

func (h *holding) state() State {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := State{Provider: h.disposal.Provider.Name, Origin: h.disposal.Origin, Problem: h.problem, Since: h.since}
	if h.token != nil {
		s.Expires, s.Refresh = h.expires, h.refresh
	}
	return s
}
