package llm

import (
	"cmp"
	"slices"
	"time"
)

// Limit is how a gate stands.
type Limit struct {
	Endpoint string  `json:"endpoint"`       // host, or fake
	InFlight int     `json:"in_flight"`      // calls
	AtMost   int     `json:"at_most"`        // calls at once, as learned so far
	Paused   float64 `json:"paused_seconds"` // that the endpoint has asked for and that are left
}

// Limits are those of the endpoints that this process's clients use, by host.
func Limits() (all []Limit) {
	gates.Lock()
	defer gates.Unlock()
	for _, g := range gates.open {
		all = append(all, g.state(time.Now()))
	}
	slices.SortFunc(all, func(a, b Limit) int { return cmp.Compare(a.Endpoint, b.Endpoint) })
	return all
}

func (g *gate) state(now time.Time) Limit {
	g.mu.Lock()
	defer g.mu.Unlock()
	l := Limit{Endpoint: "fake", InFlight: g.busy, AtMost: int(g.limit), Paused: max(0, g.paused.Sub(now).Seconds())}
	if s, err := parseSite(g.key); err == nil && s.fake == nil {
		l.Endpoint = s.host
	}
	return l
}
