package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"silverbeam/pipelines"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"
	"silverbeam/transforms/train"
)

// keeper keeps run.json and tells the watcher how the run stands.
type keeper struct {
	p       *pipelines.Pipeline
	g       *pipelines.Graph
	o       Options
	report  *schemas.Report
	skipped map[string]int // step → of its input, done before this run
	early   bool           // the first page is written
	live    live
	counter *publish.Counter
}

func newKeeper(p *pipelines.Pipeline, g *pipelines.Graph, o Options) *keeper {
	k := &keeper{p: p, g: g, o: o, skipped: map[string]int{}, counter: publish.NewCounter(o.Dir)}
	if t, err := k.counter.Count(); err == nil {
		for _, s := range t.Steps {
			k.skipped[s.Step] = s.In
		}
	}
	k.report = &schemas.Report{Name: p.Name, Status: "running", ConfigDigest: p.Digest, Findings: g.Findings, Params: p.Params,
		Tolerance: p.Tolerance, Versions: o.Versions, Started: time.Now().UTC().Truncate(time.Second), PID: os.Getpid()}
	for _, s := range p.Steps {
		k.report.Steps = append(k.report.Steps, schemas.StepReport{Name: s.Name, Type: s.Type, Skipped: k.skipped[s.Name]})
	}
	return k
}

func (k *keeper) save() error {
	p, err := json.MarshalIndent(k.report, "", " ")
	if err != nil {
		return err
	}
	return shard.WriteFile(filepath.Join(k.o.Dir, "run.json"), append(p, '\n'))
}

// watch runs the graph and, until it ends or ctx does, renews run.json, live.json and metrics.prom, and tells of progress.
func (k *keeper) watch(ctx context.Context, run func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	k.live.renew(k.o.Dir, time.Now())
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case err := <-ended:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
			k.tell(k.live.renew(k.o.Dir, time.Now()))
			k.firstPage()
			if n%4 == 0 {
				_ = os.Chtimes(filepath.Join(k.o.Dir, "run.json"), time.Time{}, time.Now()) // the heartbeat
			}
		}
	}
}

// tell tells who watches how the run stands, and leaves it for Prometheus where that is due. What cannot be told is no
// fault of the run.
func (k *keeper) tell(due bool) {
	if k.o.Progress == nil && !due {
		return
	}
	s, err := look(k.o.Dir, k.counter)
	if err == nil && k.o.Progress != nil {
		k.o.Progress(*s)
	}
	if err == nil && due {
		_ = writeProm(k.o.Dir, s, time.Now())
	}
}

// firstPage writes the page once every batch is done, for the time that trainings take: Beam hands a fused stage's results
// on only when the stage ends. What stands in its way will be told by the page at the end.
func (k *keeper) firstPage() {
	if trains := func(s schemas.StepReport) bool { return train.Trains(s.Type) }; k.early || !slices.ContainsFunc(k.report.Steps, trains) {
		return
	}
	t, err := k.counter.Count()
	if err != nil || t.Done < t.Total() {
		return
	}
	k.early = true
	k.fill(t, false)
	if k.save() == nil {
		_ = publish.Write(k.o.Dir, k.reportText())
	}
}

// finish writes what the run came to: rejects.jsonl, the bookings of computing, run.json and the page.
func (k *keeper) finish(ctx context.Context, runErr error) error {
	t, err := publish.Count(k.o.Dir)
	if err != nil {
		return err
	}
	k.fill(t, runErr == nil)
	err = errors.Join(t.WriteRejects(k.o.Dir), k.book(t))
	now := time.Now().UTC().Truncate(time.Second)
	r := k.report
	r.Ended = &now
	if runErr != nil && k.o.Code != nil {
		r.Exit = k.o.Code(errors.Join(context.Cause(ctx), runErr))
	}
	switch {
	case runErr != nil && ctx.Err() != nil:
		r.Status = "interrupted"
	case errors.Is(runErr, intake.ErrRejects):
		r.Status, r.Error = "rejects", runErr.Error()
	case runErr != nil:
		r.Status, r.Error = "failed", runErr.Error()
	case k.tooMany(t):
		r.Status, r.Exit = "rejects", 1
	default:
		r.Status = "done"
	}
	if runErr == nil {
		r.Page, err = "page.html", errors.Join(err, k.save(), publish.Write(k.o.Dir, k.reportText()))
	}
	return errors.Join(err, k.save())
}

// fill counts the steps. A step after the batches has one result in and one out.
func (k *keeper) fill(t *publish.Tally, whole bool) {
	for i := range k.report.Steps {
		s := &k.report.Steps[i]
		for _, q := range t.Steps {
			if q.Step == s.Name {
				s.Unit, s.In, s.Out, s.Rejects, s.Seconds, s.CPUSeconds = q.Unit, q.In, q.Out, q.Rejects, q.Seconds, q.CPUSeconds
				s.Skipped = min(k.skipped[s.Name], s.In)
			}
		}
		if s.Unit == "" && whole {
			s.Unit, s.In, s.Out = "results", 1, 1
		}
		if train.Trains(s.Type) {
			s.Seconds, s.CPUSeconds, _ = train.Spent(k.o.Dir, s.Name)
		}
	}
	k.report.Escrow = publish.Escrows(k.o.Dir, k.report.Steps)
	var m struct {
		Digest string `json:"digest"`
	}
	if p, err := os.ReadFile(filepath.Join(k.o.Dir, "dataset", "manifest.json")); err == nil && json.Unmarshal(p, &m) == nil {
		k.report.Digest = m.Digest
	}
}

// book enters the computing of every batch and step in the ledger.
func (k *keeper) book(t *publish.Tally) error {
	b, err := label.Book(k.o.Run)
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	defer label.Close()
	if p := k.o.Planned; p != nil {
		if err := b.SetEstimate(p.Low, p.Expected, p.High); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	for _, s := range k.report.Steps {
		if train.Trains(s.Type) {
			_, cpu, gpu := train.Spent(k.o.Dir, s.Name)
			t.Bookings = append(t.Bookings, ledger.Booking{Step: s.Name, CPUSeconds: cpu, GPUSeconds: gpu})
		}
	}
	return b.AddCompute(t.Bookings...)
}

// tooMany says whether any step refused a larger share than the file tolerates.
func (k *keeper) tooMany(t *publish.Tally) bool {
	for _, s := range t.Steps {
		if float64(s.Rejects) > k.p.Tolerance*float64(s.In) {
			return true
		}
	}
	return false
}

// reportText says whether the file asks for reports on the page.
func (k *keeper) reportText() bool {
	for _, s := range k.p.Steps {
		if o, ok := s.Options.(*publish.Options); ok {
			return o.ReportText
		}
	}
	return false
}
