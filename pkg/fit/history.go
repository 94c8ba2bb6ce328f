package fit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"silverbeam/pkg/shard"
)

// Record is one line of history.jsonl: one step of training.
type Record struct {
	Step     int     `json:"step"` // from 0
	Epoch    int     `json:"epoch"`
	Loss     float64 `json:"loss"`
	GradNorm float64 `json:"grad_norm"` // before clipping
	LR       float64 `json:"lr"`
	Seconds  float64 `json:"seconds"`     // of training so far, over all its processes
	CPU      float64 `json:"cpu_seconds"` // likewise, of the whole process
}

// finite is the error of a step whose loss or gradient is no longer a number.
func (r Record) finite() error {
	if x := r.Loss + r.GradNorm; math.IsNaN(x) || math.IsInf(x, 0) {
		return fmt.Errorf("step %d: loss %v, gradient norm %v at learning rate %.3g: training diverged", r.Step, r.Loss, r.GradNorm, r.LR)
	}
	return nil
}

// Progress is what a training tells while it runs, after every step; progress.json holds the newest, at most a second old.
type Progress struct {
	Recipe  string    `json:"recipe"`
	Epoch   int       `json:"epoch"` // from 1
	Epochs  int       `json:"epochs"`
	Step    int       `json:"step"` // steps done
	Steps   int       `json:"steps"`
	Loss    float64   `json:"loss"` // mean of the last steps, an epoch at most
	LR      float64   `json:"lr"`
	Seconds float64   `json:"seconds"`     // of training so far, over all its processes
	ETA     float64   `json:"eta_seconds"` // to the last step, at the pace of this process
	Updated time.Time `json:"updated"`
}

const (
	historyFile  = "history.jsonl"
	progressFile = "progress.json"
)

// ReadHistory reads a model folder's history. A line that a kill cut short ends it.
func ReadHistory(dir string) ([]Record, error) {
	f, err := os.Open(filepath.Join(dir, historyFile))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Record
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var r Record
		if json.Unmarshal(lines.Bytes(), &r) != nil {
			break
		}
		out = append(out, r)
	}
	return out, nil
}

// ReadProgress reads a model folder's progress.json.
func ReadProgress(dir string) (p Progress, err error) {
	b, err := os.ReadFile(filepath.Join(dir, progressFile))
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	return p, err
}

func (p Progress) write(dir string) error {
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return shard.WriteFile(filepath.Join(dir, progressFile), append(b, '\n'))
}

// history appends records to a file.
type history struct {
	f, events *os.File
	last      []float64 // the newest losses, an epoch at most
	span      int
	norms     []float64 // of the newest gradients that were not wild, wildOf at most
	wild      int       // steps in a row that were
}

// A gradient is wild when its norm is so many times the median of those before, and so many in a row stop a training: one or
// some come of a hard batch, and clipping holds them.
const (
	wildTimes = 1000
	wildSteps = 20
	wildOf    = 50
)

// watch is the error of a training whose gradients have grown out of all bounds, though they are numbers yet.
func (h *history) watch(r Record) error {
	if len(h.norms) < wildOf {
		h.norms = append(h.norms, r.GradNorm)
		return nil
	}
	sorted := slices.Sorted(slices.Values(h.norms))
	median := sorted[wildOf/2]
	if !(median > 0 && r.GradNorm > wildTimes*median) {
		h.wild = 0
		h.norms = append(h.norms[1:], r.GradNorm)
		return nil
	}
	if h.wild++; h.wild < wildSteps {
		return nil
	}
	return fmt.Errorf("step %d: the gradient's norm, %.3g, has been over %d times its median of %.3g for %d steps, at learning rate %.3g: training diverges; a lower lr, or a longer warm-up, holds it",
		r.Step, r.GradNorm, wildTimes, median, wildSteps, r.LR)
}

// openHistory keeps the records before step and drops the rest, which a resumed training makes again. last is the
// last one kept.
func openHistory(dir string, step, epochSteps int) (h *history, last Record, err error) {
	h = &history{span: epochSteps}
	path := filepath.Join(dir, historyFile)
	old, err := ReadHistory(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, last, err
	}
	kept, events := []byte{}, eventsHead()
	for _, r := range old {
		if r.Step >= step {
			break
		}
		kept, events = append(kept, r.line()...), append(events, r.event()...)
		h.note(r.Loss)
		h.watch(r) // it did not stop then
		last = r
	}
	if h.f, err = begin(path, kept); err == nil {
		h.events, err = begin(filepath.Join(dir, eventsFile), events)
	}
	return h, last, err
}

// begin makes a file of some bytes, to which others are added.
func begin(path string, b []byte) (*os.File, error) {
	if err := shard.WriteFile(path, b); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
}

func (h *history) close() {
	h.f.Close()
	h.events.Close()
}

func (r Record) line() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("fit: " + err.Error()) // losses are checked to be finite
	}
	return append(b, '\n')
}

func (h *history) add(r Record) error {
	h.note(r.Loss)
	if _, err := h.f.Write(r.line()); err != nil {
		return err
	}
	_, err := h.events.Write(r.event())
	return err
}

func (h *history) note(loss float64) {
	h.last = append(h.last[max(0, len(h.last)+1-h.span):], loss)
}

// loss is the mean over the last epoch's worth of steps.
func (h *history) loss() float64 {
	sum := 0.0
	for _, x := range h.last {
		sum += x
	}
	return sum / float64(len(h.last))
}
