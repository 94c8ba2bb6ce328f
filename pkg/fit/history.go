package fit

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
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
	Valid    float64 `json:"valid_loss,omitempty"`  // after an epoch's last step, where studies validate
	Peak     float64 `json:"peak,omitempty"`        // every watchSteps: the largest magnitude among the results of layers
	PeakOf   string  `json:"peak_of,omitempty"`     // the layer that has it
	Seconds  float64 `json:"seconds"`               // of training so far, over all its processes
	CPU      float64 `json:"cpu_seconds"`           // likewise, of the whole process
	GPU      float64 `json:"gpu_seconds,omitempty"` // likewise, in which it had a GPU
	Waited   float64 `json:"waited_seconds"`        // likewise, of those in which no batch was ready for the step
}

// finite says whether a step's loss and gradient are numbers.
func (r Record) finite() bool { return !bad(r.Loss + r.GradNorm) }

// Progress is what a training tells while it runs, after every step; progress.json holds the newest, at most a second old.
type Progress struct {
	Recipe  string    `json:"recipe"`
	Epoch   int       `json:"epoch"` // from 1
	Epochs  int       `json:"epochs"`
	Step    int       `json:"step"` // steps done
	Steps   int       `json:"steps"`
	Loss    float64   `json:"loss"` // mean of the last steps, an epoch at most
	LR      float64   `json:"lr"`
	Valid   float64   `json:"valid_loss,omitempty"` // of the last epoch that was judged
	Seconds float64   `json:"seconds"`              // of training so far, over all its processes
	ETA     float64   `json:"eta_seconds"`          // to the last step, at the pace of this process
	Updated time.Time `json:"updated"`
	Says    string    `json:"says,omitempty"` // where it takes no steps: what it waits for, or what program runs
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

const waits = "waits for the GPU, which another training has"

// says tells in a model's folder what its training does where it takes no steps.
func says(dir, what string) {
	p, _ := ReadProgress(dir) // none yet, or that of an earlier process
	p.Says, p.ETA, p.Updated = what, 0, time.Now().UTC()
	_ = p.write(dir)
}

// history appends records to a file.
type history struct {
	f, events *os.File
	last      []float64 // the newest losses, an epoch at most
	span      int
	norms     bounds // of gradients
	peaks     bounds // of layers' results
}

// openHistory keeps the records before step and drops the rest, which a resumed training makes again. last is the
// last one kept.
func openHistory(dir string, step, epochSteps int) (h *history, last Record, err error) {
	h = newHistory(epochSteps)
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
		h.norms.wild(r.GradNorm) // it did not stop then
		if r.Peak > 0 {
			h.peaks.wild(r.Peak)
		}
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
