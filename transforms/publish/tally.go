package publish

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/internal/batch"
)

// Index is graph.json: which batches a run has and where its sinks write. The runner leaves it before the graph starts,
// so that the folder alone tells how far the run is.
type Index struct {
	Batches []schemas.Batch // descriptors without their scans
	Studies []int           // batch → studies in it
	Sinks   []batch.Output
	Names   []string // the findings
}

// WriteIndex leaves the index in the run folder.
func WriteIndex(dir string, batches []schemas.Batch, sinks []batch.Output, names []string) error {
	ix := Index{Sinks: sinks, Names: names}
	for _, b := range batches {
		ix.Studies = append(ix.Studies, studies(b))
		b.Scans = nil
		ix.Batches = append(ix.Batches, b)
	}
	p, err := json.Marshal(ix)
	if err != nil {
		return err
	}
	return shard.WriteFile(filepath.Join(dir, "graph.json"), p)
}

func studies(b schemas.Batch) int {
	switch {
	case b.Scans != nil:
		return len(b.Scans)
	case b.Take > 0:
		return b.Take
	}
	return int(b.Range.Rows)
}

// Tally is what the batches of a run have come to so far.
type Tally struct {
	Index
	Done     int                      // studies in batches that every sink has finished
	Steps    []schemas.Passage        // summed over batches, in the steps' order
	Rejects  []schemas.Reject         // each once, in input order; a Counter has those of finished batches first
	Labels   map[string]*batch.Counts // split → label statistics; "" where the input has no splits
	Bookings []ledger.Booking         // the computing of each batch and step
}

// Count reads the summaries of a run.
func Count(dir string) (*Tally, error) {
	t, err := readIndex(dir)
	if err != nil {
		return nil, err
	}
	for i := range t.Batches {
		t.add(i, t.summaries(dir, i))
	}
	return t, nil
}

// Counter counts a run again and again while it goes on. It reads what a batch came to once, when every sink has finished it.
type Counter struct {
	dir      string
	finished *Tally // nil before the first count
	open     []int  // the batches that are not in it
}

// NewCounter counts the run in dir, whose index must not change from the first count on.
func NewCounter(dir string) *Counter { return &Counter{dir: dir} }

// Count reads the summaries that are new.
func (c *Counter) Count() (*Tally, error) {
	if c.finished == nil {
		t, err := readIndex(c.dir)
		if err != nil {
			return nil, err
		}
		c.finished = t
		for i := range t.Batches {
			c.open = append(c.open, i)
		}
	}
	begun := map[int][]batch.Summary{}
	c.open = slices.DeleteFunc(c.open, func(i int) bool {
		s := c.finished.summaries(c.dir, i)
		if c.finished.whole(s) {
			c.finished.add(i, s)
			return true
		}
		if len(s) > 0 {
			begun[i] = s
		}
		return false
	})
	t := c.finished.clone()
	for _, i := range c.open {
		t.add(i, begun[i])
	}
	return t, nil
}

func readIndex(dir string) (*Tally, error) {
	p, err := os.ReadFile(filepath.Join(dir, "graph.json"))
	if err != nil {
		return nil, fmt.Errorf("%s is not a run folder: %w", dir, err)
	}
	t := &Tally{Labels: map[string]*batch.Counts{}}
	if err := json.Unmarshal(p, &t.Index); err != nil {
		return nil, fmt.Errorf("%s: graph.json: %w", dir, err)
	}
	return t, nil
}

// summaries are those of the sinks that have finished batch i.
func (t *Tally) summaries(dir string, i int) (done []batch.Summary) {
	for _, o := range t.Sinks {
		if s, ok := o.Done(dir, t.Batches[i]); ok {
			done = append(done, s)
		}
	}
	return done
}

// whole says whether these are the summaries of every sink.
func (t *Tally) whole(s []batch.Summary) bool { return len(s) > 0 && len(s) == len(t.Sinks) }

// clone shares what add only appends to.
func (t *Tally) clone() *Tally {
	c := *t
	c.Steps, c.Rejects, c.Bookings, c.Labels = slices.Clone(t.Steps), slices.Clip(t.Rejects), slices.Clip(t.Bookings), map[string]*batch.Counts{}
	for split, counts := range t.Labels {
		c.Labels[split] = &batch.Counts{}
		c.Labels[split].Add(counts)
	}
	return &c
}

// add adds batch i. Sinks that share the first steps of a chain each tell of them: a step counts once.
func (t *Tally) add(i int, summaries []batch.Summary) {
	b := t.Batches[i]
	if t.whole(summaries) {
		t.Done += t.Studies[i]
	}
	passed, rejected := map[string]bool{}, map[schemas.Reject]bool{}
	var counts *batch.Counts
	for _, s := range summaries {
		if counts == nil {
			counts = s.Labels
		}
		for _, p := range s.Trail {
			if !passed[p.Step] {
				passed[p.Step] = true
				t.step(p)
				e := ledger.Booking{Batch: b.ID, Step: p.Step, CPUSeconds: p.CPUSeconds}
				if p.Unit == "studies" {
					e.Reports = p.In
				}
				t.Bookings = append(t.Bookings, e)
			}
		}
		for _, r := range s.Rejects {
			if !rejected[r] {
				rejected[r] = true
				t.Rejects = append(t.Rejects, r)
			}
		}
	}
	if counts != nil {
		if t.Labels[b.Split] == nil {
			t.Labels[b.Split] = &batch.Counts{}
		}
		t.Labels[b.Split].Add(counts)
	}
}

func (t *Tally) step(p schemas.Passage) {
	i := slices.IndexFunc(t.Steps, func(q schemas.Passage) bool { return q.Step == p.Step })
	if i < 0 {
		t.Steps = append(t.Steps, p)
		return
	}
	q := &t.Steps[i]
	q.In, q.Out, q.Rejects = q.In+p.In, q.Out+p.Out, q.Rejects+p.Rejects
	q.Seconds, q.CPUSeconds = q.Seconds+p.Seconds, q.CPUSeconds+p.CPUSeconds
}

// WriteRejects writes rejects.jsonl, whole or not at all.
func (t *Tally) WriteRejects(dir string) error {
	var lines []byte
	for _, r := range t.Rejects {
		p, err := json.Marshal(r)
		if err != nil {
			return err
		}
		lines = append(append(lines, p...), '\n')
	}
	return shard.WriteFile(filepath.Join(dir, "rejects.jsonl"), lines)
}

// Total is the number of studies of the run.
func (t *Tally) Total() (n int) {
	for _, s := range t.Studies {
		n += s
	}
	return n
}
