// Package local runs a pipeline in this process, on Beam's Prism runner, and keeps its run folder.
//
// A run is idempotent: what an earlier run of the same file finished is found and not done again, so the same command
// resumes after any end. The folder alone tells how far a run is.
package local

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"silverbeam/pipelines"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/schemas"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/label"
	"silverbeam/transforms/publish"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	_ "github.com/apache/beam/sdks/v2/go/pkg/beam/runners/prism"
)

// Options are the settings of one run that are not the pipeline's.
type Options struct {
	schemas.Run
	Versions map[string]string // program and runtime, for run.json
	Planned  *ledger.Estimate  // what the plan that the run is held to expects; nil: there is none, and calls are planned here
	Code     func(error) int   // the command's exit code for an error, for run.json; nil: 0
	Progress func(State)       // called about every half second; nil: no one watches

	// Graph runs the Beam graph with this process as its worker, ending soon after its context; nil: Prism does.
	Graph func(ctx context.Context, p *beam.Pipeline) error
}

// Grace is how long the end of a run, or of a worker, waits for calls under way. Schedulers kill a process 30 s after they told it to end.
const Grace = 20 * time.Second

// ErrBusy says that another process holds the run folder.
var ErrBusy = errors.New("another run holds this run folder")

// StartBeam readies Beam once in this process. Its log goes nowhere: what users need is in our own messages, and Beam
// would print whole plans.
var StartBeam = sync.OnceFunc(func() {
	if !flag.Parsed() {
		_ = flag.CommandLine.Parse(nil)
	}
	logger := slog.Default()
	beam.Init()
	slog.SetDefault(logger)
})

// Run runs the pipeline into o.Dir. It returns the report that run.json holds, also beside an error. A cancelled context
// ends it at once: all that was finished is durable.
func Run(ctx context.Context, p *pipelines.Pipeline, o Options) (*schemas.Report, error) {
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	letGo, err := Hold(o.Dir)
	if err != nil {
		return nil, err
	}
	defer letGo()
	if err := shard.Sweep(o.Dir); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	g, err := p.Resolve()
	if err != nil {
		return nil, err
	}
	if err := g.Sync(ctx, o.Run); err != nil {
		return nil, err
	}
	if err := o.plan(p, g); err != nil {
		return nil, err
	}
	if err := publish.WriteIndex(o.Dir, g.Batches, g.Sinks, g.Names); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	_ = os.RemoveAll(filepath.Join(o.Dir, "progress"))
	o.Tolerance = max(p.Tolerance, 1e-9)
	k := newKeeper(p, g, o)
	if err := k.save(); err != nil {
		return nil, fmt.Errorf("run folder: %w", err)
	}
	end := intake.Begin(ctx, o.Dir)
	err = k.watch(ctx, func() error {
		if err := g.Ahead(ctx, o.Run); err != nil {
			return err
		}
		return o.execute(ctx, g)
	})
	end(Grace)
	k.report.Notes = label.Notes()
	if cerr := k.finish(ctx, err); err == nil {
		err = cerr
	}
	_ = label.Close()
	if s, err := Look(o.Dir); err == nil {
		_ = writeProm(o.Dir, s, time.Now())
	}
	_ = os.Remove(filepath.Join(o.Dir, liveName))
	return k.report, err
}

// plan foretells what a run will have spent in the end, by reading its reports if it has calls. A model without a price stops here.
func (o *Options) plan(p *pipelines.Pipeline, g *pipelines.Graph) error {
	switch {
	case o.Planned != nil:
		return nil
	case !p.Calls():
		o.Planned = &ledger.Estimate{}
		return nil
	}
	plan, err := g.Plan(o.Run)
	if err != nil {
		return err
	}
	low, expected, high := plan.Pico()
	c, err := ledger.ReadCost(filepath.Join(o.Dir, "ledger.db"))
	switch {
	case err != nil:
		c = &ledger.Cost{}
	case high == 0 && c.Estimate != nil:
		return nil // nothing is left to do
	}
	o.Planned = &ledger.Estimate{Low: c.Spent + low, Expected: c.Spent + expected, High: c.Spent + high}
	return nil
}

// execute builds the graph and runs it. Beam hands errors on as text, so the first one is taken from where it arose.
func (o *Options) execute(ctx context.Context, g *pipelines.Graph) error {
	StartBeam()
	bp, err := g.Build(o.Run)
	if err != nil {
		return err
	}
	err = inTemp(func() error {
		if o.Graph == nil {
			_, err := beam.Run(ctx, "prism", bp)
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		go endOnFailure(ctx, cancel, o.Dir)
		return o.Graph(ctx, bp)
	})
	if cause := intake.Cause(o.Dir); cause != nil {
		return cause
	}
	if err != nil && o.Graph == nil {
		return fmt.Errorf("the runner failed: %s", lastCause(err))
	}
	return err
}

// endOnFailure cancels a graph that a step has failed: Flink would try the step again, many times.
func endOnFailure(ctx context.Context, cancel func(), dir string) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for intake.Failing(dir) == nil {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
	cancel()
}

// inTemp runs f with a folder for temporary files that is removed afterwards: Beam leaves a file there with each run.
func inTemp(f func() error) error {
	dir, err := os.MkdirTemp("", "silverbeam-*") // mode 0700
	if err != nil {
		return fmt.Errorf("temporary files: %w", err)
	}
	defer os.RemoveAll(dir)
	was, set := os.LookupEnv("TMPDIR")
	if err := os.Setenv("TMPDIR", dir); err != nil {
		return err
	}
	if set {
		defer os.Setenv("TMPDIR", was)
	} else {
		defer os.Unsetenv("TMPDIR")
	}
	return f()
}

// lastCause is the end of a Beam error, which also holds the whole plan.
func lastCause(err error) string {
	parts := strings.Split(err.Error(), "caused by:")
	return strings.Join(strings.Fields(parts[len(parts)-1]), " ")
}
