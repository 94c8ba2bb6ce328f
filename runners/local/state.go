package local

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/llm"
	"silverbeam/schemas"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"
)

// State is how a run stands, read from its folder alone: the object of `silverbeam status --json`.
type State struct {
	State           string        `json:"state"` // running, done, rejects, failed, interrupted, or dead: it stopped without a word
	Step            string        `json:"step"`  // the step at work
	Done            int64         `json:"done"`  // of Total, in that step's unit
	Total           int64         `json:"total"`
	RowsPerSecond   float64       `json:"rows_per_second"`
	ETASeconds      float64       `json:"eta_seconds"` // 0: unknown
	SpentUSD        float64       `json:"spent_usd"`
	Rejects         int           `json:"rejects"`
	RejectRate      float64       `json:"reject_rate"`        // the highest of a step
	SpentUSDPerHour float64       `json:"spent_usd_per_hour"` // of the last minute, as rows a second; 0 where the run does not go on
	Steps           []StepState   `json:"steps"`              // those that have passed studies
	Limits          []llm.Limit   `json:"limits"`             // of the endpoints in use
	Notes           []string      `json:"notes"`              // what whoever keeps the run should know
	Month           *ledger.Month `json:"month,omitempty"`    // of the site, whose cap the run shares; filled in by who asks
	Heartbeat       float64       `json:"heartbeat_age_seconds"`
	Detail          string        `json:"detail,omitempty"` // of a training: epoch and loss
}

// StepState is how far a step on studies is.
type StepState struct {
	Step          string  `json:"step"`
	Done          int64   `json:"done"`
	Rejects       int64   `json:"rejects"`
	RowsPerSecond float64 `json:"rows_per_second"`
}

// Look reads the state of the run in dir.
func Look(dir string) (*State, error) { return look(dir, publish.NewCounter(dir)) }

func look(dir string, counter *publish.Counter) (*State, error) {
	path := filepath.Join(dir, "run.json")
	p, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s is not a run folder: %w", dir, err)
	}
	var r schemas.Report
	if err := json.Unmarshal(p, &r); err != nil {
		return nil, fmt.Errorf("%s: run.json: %w", dir, err)
	}
	s := &State{State: r.Status, Steps: []StepState{}, Limits: []llm.Limit{}, Notes: append([]string{}, r.Notes...)}
	if fi, err := os.Stat(path); err == nil {
		s.Heartbeat = time.Since(fi.ModTime()).Seconds()
	}
	if s.State == "running" && (s.Heartbeat > 30 || !held(filepath.Join(dir, lockName))) {
		s.State = "dead"
	}
	var l live
	if s.State == "running" {
		l = readLive(dir)
		s.SpentUSD, s.SpentUSDPerHour, s.Limits = float64(l.SpentPico)/1e12, l.PicoPerHour/1e12, append(s.Limits, l.Limits...)
		s.Notes = append(s.Notes, l.Notes...)
	} else if n, err := ledger.ReadSpent(filepath.Join(dir, "ledger.db")); err == nil {
		s.SpentUSD = float64(n) / 1e12
	}
	if t, err := counter.Count(); err == nil {
		s.steps(dir, r, t, l)
	}
	s.jobs(dir, r)
	s.training(dir, r)
	return s, nil
}

// steps tells how far each step on studies is: by its finished batches, or by what its processes have passed beside what
// was done before. The first of the latter is at work; the next is where the first is through, or a tenth of all studies ahead.
func (s *State) steps(dir string, r schemas.Report, t *publish.Tally, l live) {
	s.Step, s.Done, s.Total, s.Rejects = r.Steps[0].Name, int64(t.Done), int64(t.Total()), len(t.Rejects)
	passed, over, found := intake.Progress(dir), r.Ended != nil || s.Done == s.Total, false
	for _, st := range r.Steps {
		one := StepState{Step: st.Name, RowsPerSecond: l.RowsPerSec[st.Name]}
		for _, q := range t.Steps {
			if q.Step == st.Name && q.Unit == "studies" {
				one.Done, one.Rejects = int64(q.In), int64(q.Rejects)
			}
		}
		if p := passed[st.Name]; p.Seen > 0 && r.Ended == nil {
			skipped := min(st.Skipped, r.Steps[0].Skipped) // of volumes there are more than studies
			one.Done = max(one.Done, min(int64(skipped)+p.Seen, s.Total))
			one.Rejects = max(one.Rejects, p.Refused)
			if !over && (!found || s.Done == s.Total || s.Done-one.Done > s.Total/10) {
				found, s.Step, s.Done, s.RowsPerSecond = true, st.Name, one.Done, one.RowsPerSecond
			}
		}
		if one.Done > 0 {
			s.Steps = append(s.Steps, one)
			s.RejectRate = max(s.RejectRate, float64(one.Rejects)/float64(one.Done))
		}
	}
	if s.RowsPerSecond > 0 {
		s.ETASeconds = float64(s.Total-s.Done) / s.RowsPerSecond
	}
}

// jobs tells of those that a provider's batch interface is at work on.
func (s *State) jobs(dir string, r schemas.Report) {
	if s.State != "running" {
		return
	}
	b, err := ledger.ReadBatches(filepath.Join(dir, "ledger.db"))
	if err != nil || b.Open == 0 {
		return
	}
	for _, st := range r.Steps {
		if st.Type == label.ReportsName {
			s.Step = st.Name
		}
	}
	s.Done, s.Total, s.RowsPerSecond, s.ETASeconds = b.Done, b.Lines, 0, 0
	s.Detail = fmt.Sprintf("lines of %d batch jobs, %d under way", b.Jobs, b.Open)
}

// training tells of the model that is being trained, if one is.
func (s *State) training(dir string, r schemas.Report) {
	for _, st := range r.Steps {
		var p struct {
			Step, Steps int64
			Epoch       int
			Loss        float64
			ETASeconds  float64 `json:"eta_seconds"`
			Says        string
			Finished    bool
		}
		b, err := os.ReadFile(filepath.Join(dir, "models", st.Name, "progress.json"))
		if err == nil && json.Unmarshal(b, &p) == nil && !p.Finished {
			s.Step, s.Done, s.Total, s.ETASeconds = st.Name, p.Step, p.Steps, p.ETASeconds
			if s.Detail = p.Says; p.Says == "" {
				s.Detail = fmt.Sprintf("epoch %d, loss %.4f", p.Epoch, p.Loss)
			}
		}
	}
}
