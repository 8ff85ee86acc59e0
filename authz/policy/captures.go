package policy

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/sallyport-project/sallyport/config"
	"github.com/sallyport-project/sallyport/config/template"
)

// captures are what the variables of path templates stand for in a request, unescaped once.
//
// They come from the template of the route's rule, and where permissions decide from every permission that lets the request
// pass: whichever of several is found first, a condition sees the same. Where two templates give one name to different parts
// of the path, nobody can say which of them a condition means, and it lets nobody in.
type captures struct {
	values map[string]string
	err    error
}

// captures collects them for a rule of a policy.
func (ev *evaluation) captures(r *rule, c caller) (map[string]string, error) {
	all := captures{values: make(map[string]string)}
	path := ev.Request.Path
	matched, known := ev.engine.rules[ruleOf(ev.Request.Context)].matchOf(path)
	switch {
	case !known:
		return nil, errors.New("the proxy's route is of a configuration before this one, whose template is not known any more")
	case matched.Kind == config.MatchTemplate:
		all.take(matched.Template, path)
	}
	if r.permissions && c.consumer != nil {
		ev.engine.permissions[ev.Request.Route].granting(path, ev.Request.Method, c.consumer.Roles, func(g grant) {
			all.take(g.path, path)
		})
	}
	return all.values, all.err
}

func (c *captures) take(t *template.Template, path string) {
	t.Capture(path, func(name, escaped string) {
		value, err := url.PathUnescape(escaped)
		known, found := c.values[name]
		switch {
		case err != nil:
			c.err = fmt.Errorf("what {%s} stands for cannot be unescaped", name)
		case found && known != value:
			c.err = fmt.Errorf("two templates give the name {%s} to different parts of the path", name)
		}
		c.values[name] = value
	})
}

// maxEarlier is how many earlier matches of a rule are remembered.
const maxEarlier = 8

// earlierMatch is a match that a rule had, and that proxies may still have.
type earlierMatch struct {
	config.Match
	// replaced is when another one took its place.
	replaced time.Time
}

// matchOf returns the match of the rule by which the path came: the present one, or else the latest that takes the path. It
// is false where none of them does.
func (a assignment) matchOf(path string) (config.Match, bool) {
	if a.match.Template == nil {
		return config.Match{}, false
	}
	if a.match.MatchesPath(path) {
		return a.match, true
	}
	for _, earlier := range a.earlier {
		if earlier.MatchesPath(path) {
			return earlier.Match, true
		}
	}
	return config.Match{}, false
}

// inherit remembers the matches that a rule had before, for as long as proxies may have them.
func (a *assignment) inherit(before assignment, now time.Time, grace time.Duration) {
	a.earlier = before.earlier
	if before.match.Kind != a.match.Kind || before.match.Path != a.match.Path {
		a.earlier = append([]earlierMatch{{before.match, now}}, before.earlier...)
	}
	if forgotten := slices.IndexFunc(a.earlier, func(m earlierMatch) bool { return !now.Before(m.replaced.Add(grace)) }); forgotten >= 0 {
		a.earlier = a.earlier[:forgotten] // the latest come first
	}
	a.earlier = a.earlier[:min(len(a.earlier), maxEarlier)]
}
