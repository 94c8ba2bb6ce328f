package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/schemas"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/publish"
)

// State is how a run stands, read from its folder alone: the object of `silverbeam status --json`.
type State struct {
	State         string  `json:"state"` // running, done, rejects, failed, interrupted, or dead: it stopped without a word
	Step          string  `json:"step"`  // the step at work
	Done          int64   `json:"done"`  // of Total, in that step's unit
	Total         int64   `json:"total"`
	RowsPerSecond float64 `json:"rows_per_second"`
	ETASeconds    float64 `json:"eta_seconds"` // 0: unknown
	SpentUSD      float64 `json:"spent_usd"`
	Rejects       int     `json:"rejects"`
	Heartbeat     float64 `json:"heartbeat_age_seconds"`
	Detail        string  `json:"detail,omitempty"` // of a training: epoch and loss
}

// Look reads the state of the run in dir.
func Look(dir string) (*State, error) {
	path := filepath.Join(dir, "run.json")
	p, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s is not a run folder: %w", dir, err)
	}
	var r schemas.Report
	if err := json.Unmarshal(p, &r); err != nil {
		return nil, fmt.Errorf("%s: run.json: %w", dir, err)
	}
	s := &State{State: r.Status}
	if fi, err := os.Stat(path); err == nil {
		s.Heartbeat = time.Since(fi.ModTime()).Seconds()
	}
	if s.State == "running" && (s.Heartbeat > 30 || !held(filepath.Join(dir, lockName))) {
		s.State = "dead"
	}
	if t, err := publish.Count(dir); err == nil {
		s.Rejects = len(t.Rejects)
		s.batches(dir, r, t)
	}
	s.training(dir, r)
	if c, err := ledger.ReadCost(filepath.Join(dir, "ledger.db")); err == nil {
		s.SpentUSD = float64(c.Spent) / 1e12
	}
	return s, nil
}

// batches tells how far the steps on studies are. A step is at work when it has begun and is not through.
func (s *State) batches(dir string, r schemas.Report, t *publish.Tally) {
	total := int64(t.Total())
	s.Done, s.Total = int64(t.Done), total
	for i, st := range r.Steps {
		if i == 0 || s.Done < total {
			s.Step = r.Steps[0].Name
		}
		if n := intake.Progress(dir)[st.Name]; n > 0 && s.Done < total {
			s.Step, s.Done = st.Name, min(max(n, s.Done), total)
			break
		}
	}
	if age := time.Since(r.Started).Seconds(); r.Ended == nil && s.Done > 0 && s.Done < total && age > 0 {
		s.RowsPerSecond = float64(s.Done) / age
		s.ETASeconds = float64(total-s.Done) / s.RowsPerSecond
	}
}

// training tells of the model that is being trained, if one is.
func (s *State) training(dir string, r schemas.Report) {
	for _, st := range r.Steps {
		var p struct {
			Step, Steps int64
			Epoch       int
			Loss        float64
			ETASeconds  float64 `json:"eta_seconds"`
			Finished    bool
		}
		b, err := os.ReadFile(filepath.Join(dir, "models", st.Name, "progress.json"))
		if err == nil && json.Unmarshal(b, &p) == nil && !p.Finished {
			s.Step, s.Done, s.Total, s.ETASeconds = st.Name, p.Step, p.Steps, p.ETASeconds
			s.Detail = fmt.Sprintf("epoch %d, loss %.4f", p.Epoch, p.Loss)
		}
	}
}
