package local

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
)

// liveName is the file in a run folder that the process at work on it renews: what no other file there tells.
const liveName = "live.json"

// live is what a run's process tells of itself.
type live struct {
	SpentPico   int64              `json:"spent_pico"`
	PicoPerHour float64            `json:"pico_per_hour"` // of the last minute, as are the rates
	RowsPerSec  map[string]float64 `json:"rows_per_second"`
	Limits      []llm.Limit        `json:"limits"`
	Notes       []string           `json:"notes"`
	samples     []sample           // of the last minute, the oldest first
	nextCost    time.Time          // a ledger in Postgres takes seconds to sum if its calls are many
	wrote       time.Time
}

// sample is how far a run was at a time.
type sample struct {
	at    time.Time
	seen  map[string]int64 // step → studies
	spent int64
}

const (
	liveEvery = 2 * time.Second
	window    = time.Minute
)

// renew takes a sample and writes the file, if it is time to.
func (l *live) renew(dir string, now time.Time) (renewed bool) {
	if now.Sub(l.wrote) < liveEvery {
		return false
	}
	l.wrote = now
	s := sample{at: now, seen: map[string]int64{}}
	for step, p := range intake.Progress(dir) {
		s.seen[step] = p.Seen
	}
	if !now.Before(l.nextCost) {
		if n, ok := label.Spent(dir); ok {
			l.SpentPico = n
		} else if n, err := ledger.ReadSpent(filepath.Join(dir, "ledger.db")); err == nil { // other processes work
			l.SpentPico = n
		}
		l.nextCost = now.Add(20 * time.Since(now))
	}
	s.spent = l.SpentPico
	l.add(s)
	l.Limits, l.Notes = llm.Limits(), label.Notes()
	p, err := json.Marshal(l)
	return err == nil && replace(filepath.Join(dir, liveName), p) == nil
}

// add takes one more sample, and rates the time since the oldest one that is at most a minute old, but not that before the
// first study: a cluster may have been starting.
func (l *live) add(s sample) {
	l.samples = append(l.samples, s)
	for len(l.samples) > 2 && (s.at.Sub(l.samples[0].at) > window || l.samples[1].nothing()) {
		l.samples = l.samples[1:]
	}
	first, rates := l.samples[0], map[string]float64{}
	if seconds := s.at.Sub(first.at).Seconds(); seconds > 0 {
		for step, n := range s.seen {
			rates[step] = float64(n-first.seen[step]) / seconds
		}
		l.PicoPerHour = float64(s.spent-first.spent) / seconds * 3600
	}
	l.RowsPerSec = rates
}

// nothing says that no study had passed any step.
func (s sample) nothing() bool {
	for _, n := range s.seen {
		if n > 0 {
			return false
		}
	}
	return true
}

// readLive gives what the process at work has last told, nothing where it has not.
func readLive(dir string) (l live) {
	if p, err := os.ReadFile(filepath.Join(dir, liveName)); err == nil {
		_ = json.Unmarshal(p, &l)
	}
	return l
}

// replace puts b at path, whole for whoever reads it. It need not outlive a power cut.
func replace(path string, b []byte) error {
	if err := os.WriteFile(path+".tmp", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}
