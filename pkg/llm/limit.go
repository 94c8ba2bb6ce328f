package llm

import (
	"cmp"
	"slices"
	"time"
)

// Limit is how a gate stands.
type Limit struct {
	Endpoint string  `json:"endpoint"`       // host, or fake; its whole URL where others have the same
	InFlight int     `json:"in_flight"`      // calls
	AtMost   int     `json:"at_most"`        // calls at once, as learned so far
	Paused   float64 `json:"paused_seconds"` // that the endpoint has asked for and that are left
	Out      float64 `json:"out_seconds"`    // for which it is left out, as it failed and there are others
}

// Limits are those of the endpoints that this process's clients use, by name.
func Limits() (all []Limit) {
	gates.Lock()
	defer gates.Unlock()
	hosts := map[string]int{}
	for url := range gates.open {
		hosts[hostOf(url)]++
	}
	for url, g := range gates.open {
		l := g.state(time.Now())
		if l.Endpoint = hostOf(url); hosts[l.Endpoint] > 1 {
			l.Endpoint = url
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b Limit) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return all
}

func hostOf(url string) string {
	if s, err := parseSite(url); err == nil && s.fake == nil {
		return s.host
	}
	return "fake"
}

func (g *gate) state(now time.Time) Limit {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Limit{InFlight: g.busy, AtMost: int(g.limit), Paused: max(0, g.paused.Sub(now).Seconds()), Out: max(0, g.outage.until.Sub(now).Seconds())}
}
