package schemas

import "time"

// Run is what every step of a run shares. It travels to workers beside a step's options; it holds no key.
type Run struct {
	Dir         string  // the run folder, out/NAME
	Store       string  // the results store's URL; "" is the user's own
	MaxCostPico int64   // pico-dollars the run may spend; 0: no cap
	Replay      bool    // refuse any call that is not in the store
	Tolerance   float64 // share of studies that a step may refuse; one that clearly refuses more gives up. 0: it never does
}

// Report is run.json: what became of a run.
type Report struct {
	Name         string            `json:"name"`
	Status       string            `json:"status"` // running, done, rejects, failed or interrupted
	Exit         int               `json:"exit"`   // the command's exit code; 0 while running
	Error        string            `json:"error,omitempty"`
	Steps        []StepReport      `json:"steps"`
	Digest       string            `json:"digest"`           // of the data set; "" without one
	ConfigDigest string            `json:"config_digest"`    // of the pipeline as it was resolved
	Escrow       map[string]string `json:"escrow,omitempty"` // evaluation step → digest of what was settled before its split was scored
	Findings     string            `json:"findings"`         // the taxonomy, by name or file
	Params       map[string]string `json:"params"`
	Tolerance    float64           `json:"tolerance"` // share of rejects above which the run exits with 1
	Versions     map[string]string `json:"versions"`
	Started      time.Time         `json:"started"`
	Ended        *time.Time        `json:"ended"` // null while running
	PID          int               `json:"pid"`
	Page         string            `json:"page"`
	Notes        []string          `json:"notes,omitempty"` // what whoever keeps the run should know, though it went on
}

// StepReport counts what a step did: In = Out + Rejects.
type StepReport struct {
	Name       string  `json:"name"`
	Type       string  `json:"type"`
	Unit       string  `json:"unit"` // studies, volumes or results
	In         int     `json:"in"`
	Out        int     `json:"out"`
	Rejects    int     `json:"rejects"`
	Skipped    int     `json:"skipped"` // of In: done by an earlier run
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpu_seconds"`
}
