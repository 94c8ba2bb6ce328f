package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"silverbeam/pipelines"
	"silverbeam/pkg/html"
	"silverbeam/pkg/ledger"
	"silverbeam/runners/flink"
	"silverbeam/runners/local"
	"silverbeam/schemas"
	"silverbeam/transforms/intake"
	"silverbeam/transforms/publish"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/spf13/cobra"
)

// runFlags are the settings of a run that no pipeline file holds.
type runFlags struct {
	dir, store, maxCost string
	runner              string
	flink               flink.Options
	replay              bool
	limit               int
}

// add makes the flags that `plan`, `run` and `label reports` share. dir names the default run folder.
func (f *runFlags) add(c *cobra.Command, dir string) {
	c.Flags().StringVar(&f.dir, "run", "", "keep the run in folder `DIR` (default "+dir+")")
	c.Flags().StringVar(&f.store, "store", "", "results store: a `FILE` on a local disk, or postgres://USER@HOST/DB for several processes (default silverbeam/results.db in $XDG_STATE_HOME or ~/.local/state)")
	c.Flags().StringVar(&f.maxCost, "max-cost", "", "stop before the run has spent more than `USD` dollars (default no cap)")
	c.Flags().BoolVar(&f.replay, "replay", false, "refuse any call whose answer is not in the results store")
	c.Flags().IntVar(&f.limit, "limit", 0, "only the first `N` studies; 0: all")
}

// options turns the flags into the runner's settings.
func (f *runFlags) options(cmd *cobra.Command) (o local.Options, err error) {
	if f.runner != "" && f.runner != "local" && f.runner != "flink" {
		return o, usage(cmd, "--runner: %q: one of local, flink", f.runner)
	}
	if onFlink := f.flink; f.runner != "flink" && (onFlink.Master != "" || onFlink.JobEndpoint != "" || onFlink.Workers != "" || onFlink.Jars != "" || onFlink.Parallelism != 0 || len(onFlink.More) > 0) {
		return o, usage(cmd, "--flink-master, --job-endpoint, --workers, --flink-jars, --parallelism and --flink-option go with --runner flink")
	}
	if err := flink.CheckJars(f.flink.Jars); err != nil {
		return o, usage(cmd, "--flink-jars: %v", err)
	}
	for _, option := range slices.Sorted(maps.Keys(f.flink.More)) {
		err := flink.CheckOption(option, f.flink.More[option])
		switch {
		case errors.Is(err, flink.ErrUnknownOption):
			return o, usage(cmd, "--flink-option: %v%s", err, didYouMean(option, flink.OptionNames()))
		case err != nil:
			return o, usage(cmd, "--flink-option: %v", err)
		}
	}
	if f.flink.Parallelism < 0 || f.flink.Parallelism > 1024 {
		return o, usage(cmd, "--parallelism: %d: 1 to 1024", f.flink.Parallelism)
	}
	if f.flink.Workers != "" && !strings.HasPrefix(f.store, "postgres://") && !strings.HasPrefix(f.store, "postgresql://") {
		return o, usage(cmd, "--workers: several processes cannot keep ledger and results store in SQLite files: name a Postgres (--store postgres://USER@HOST/DB)")
	}
	for flag, address := range map[string]string{"--flink-master": f.flink.Master, "--job-endpoint": f.flink.JobEndpoint, "--workers": f.flink.Workers} {
		if _, port, err := net.SplitHostPort(address); address != "" && !filepath.IsAbs(address) && (err != nil || port == "") {
			return o, usage(cmd, "%s: %q: wants HOST:PORT", flag, address)
		}
	}
	if f.limit < 0 {
		return o, usage(cmd, "--limit: %d: 0 or more", f.limit)
	}
	o.Dir, o.Store, o.Replay, o.Versions = f.dir, f.store, f.replay, versions()
	if f.maxCost != "" {
		if o.MaxCostPico, err = ledger.ParseUSD(f.maxCost); err != nil {
			return o, usage(cmd, "--max-cost: %v", err)
		}
		if o.MaxCostPico == 0 {
			return o, usage(cmd, "--max-cost: more than 0; --replay refuses every new call")
		}
	}
	return o, nil
}

func runCommand() *cobra.Command {
	var set map[string]string
	var flags runFlags
	var planFile string
	var wait time.Duration
	c := &cobra.Command{
		Use: "run FILE", Short: "run a pipeline; the same command resumes it", Args: exactly("FILE"),
		Long: "Run checks a pipeline file, or one that ships (" + strings.Join(pipelines.Shipped, ", ") + "), and runs it. What an earlier run finished\n" +
			"is found in the run folder and in the results store and not done again.",
		Example: "  silverbeam run pipeline.yaml\n" +
			"  silverbeam run demo --set data=/data/ct-rate --set endpoint=https://llm.example/v1 --set model=NAME --set key_env=KEY --max-cost 20",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options(cmd)
			if err != nil {
				return err
			}
			p, err := pipelines.Load(args[0], set)
			if err != nil {
				return err
			}
			if wait < 0 {
				return usage(cmd, "--wait: %s: 0 or more", wait)
			}
			if flags.limit > 0 {
				p.Steps[0].Options.(*intake.Options).Limit = flags.limit
			}
			if planFile != "" {
				if o.Planned, err = hold(cmd, planFile, p, o); err != nil {
					return err
				}
			}
			if o.Dir == "" {
				o.Dir = filepath.Join("out", p.Name)
			}
			if flags.runner == "flink" {
				var alive pulse
				o.Graph, o.Progress = flags.onFlink(cmd, p.Name, o.Dir, &alive), alive.see
			}
			r, err := execute(cmd, p, o)
			if r != nil && r.Page != "" {
				line(cmd.OutOrStdout(), "%s", filepath.Join(o.Dir, r.Page))
			}
			if err = goOn(cmd, o.Dir, wait, err); err == nil {
				return nil
			}
			if args[0] == "demo" && errors.Is(err, intake.ErrInput) {
				return &Exit{codeInput, err, "silverbeam phantom --studies 1000 --seed 1 --size 96 --difficulty 0.02 --out " + p.Params["data"]}
			}
			return err
		},
	}
	setFlag(c, &set)
	flags.add(c, "out/NAME")
	c.Flags().StringVar(&flags.runner, "runner", "local", "run the graph `WHERE`: local, in this process, or flink")
	c.Flags().StringVar(&flags.flink.Master, "flink-master", "", "with --runner flink: the REST address of a JobManager, `HOST:PORT` (default the one that stays, else one for this run)")
	c.Flags().StringVar(&flags.flink.JobEndpoint, "job-endpoint", "", "with --runner flink: the address of a Beam job server, `HOST:PORT` (default its own, before the JobManager)")
	c.Flags().StringVar(&flags.flink.Workers, "workers", "", "with --runner flink: the steps work in processes of their own, `WHERE`: HOST:PORT of flink worker, or a path of this program that TaskManagers start (default in this process)")
	c.Flags().StringVar(&flags.flink.Jars, "flink-jars", "", "with --runner flink: "+flinkJarsHelp)
	c.Flags().IntVar(&flags.flink.Parallelism, "parallelism", 0, "with --runner flink: how many subtasks `N` work on each step; 0: 2")
	c.Flags().StringToStringVar(&flags.flink.More, "flink-option", nil, "with --runner flink: an option of Beam's Flink runner, `NAME=VALUE`: "+strings.Join(flink.OptionNames(), ", "))
	c.Flags().DurationVar(&wait, "wait", 0, "wait so `LONG` for a database, bucket or cluster that does not answer, and go on (10m); 0: end with exit code 75")
	c.Flags().StringVar(&planFile, "plan", "", "refuse if what the plan in `FILE`, of plan --out, rests on has changed")
	return c
}

// onFlink runs graphs on Flink, with its configuration and logs in the run folder, and has a job that stands still submitted
// anew.
func (f *runFlags) onFlink(cmd *cobra.Command, name, dir string, alive *pulse) func(context.Context, *beam.Pipeline) error {
	o := f.flink
	o.Idle = alive.idle
	o.Dir, o.Say = filepath.Join(dir, "flink"), func(s string) { line(cmd.ErrOrStderr(), "%s", s) }
	return func(ctx context.Context, p *beam.Pipeline) error { return flink.Execute(ctx, p, name, o) }
}

// execute runs a pipeline and says what became of it.
func execute(cmd *cobra.Command, p *pipelines.Pipeline, o local.Options) (*schemas.Report, error) {
	w := newWatcher(cmd.ErrOrStderr())
	o.Code = code
	if also := o.Progress; also != nil {
		o.Progress = func(s local.State) { also(s); w.see(s) }
	} else {
		o.Progress = w.see
	}
	r, err := local.Run(cmd.Context(), p, o)
	w.close()
	if r != nil && err != nil {
		w.note(r.Notes)
	}
	if err != nil && r != nil && r.Status == "failed" && share(worst(r)) > r.Tolerance { // a step may lack what another refused
		return r, &Exit{code(err), fmt.Errorf("%w (%s)", err, refused(worst(r))), "silverbeam why " + o.Dir}
	}
	if err != nil {
		if b, berr := ledger.ReadBatches(filepath.Join(o.Dir, "ledger.db")); berr == nil && b.Open > 0 {
			line(cmd.ErrOrStderr(), "%s with %s go on at the provider, paid for: the same command takes what they bring", count(int(b.Open), "batch job"), count(int(b.Lines-b.Done), "line"))
		}
		return r, err
	}
	summary(cmd.ErrOrStderr(), o.Dir, r)
	if r.Exit != codeOK {
		return r, &Exit{r.Exit, tooMany(o.Dir, r), "silverbeam why " + o.Dir}
	}
	return r, nil
}

// summary tells what each step did.
func summary(w io.Writer, dir string, r *schemas.Report) {
	for _, s := range r.Steps {
		if s.Unit == "" || s.Unit == "results" {
			continue
		}
		skipped := ""
		if s.Skipped > 0 {
			skipped = fmt.Sprintf(", %s done before", grouped(int64(s.Skipped)))
		}
		line(w, "%-20s %s %s in, %s out, %s%s", s.Name, grouped(int64(s.In)), s.Unit, grouped(int64(s.Out)), count(s.Rejects, "reject"), skipped)
	}
	headlines(w, dir)
	if c, err := cost(dir); err == nil {
		more := ""
		if e := c.Estimate; e != nil && e.High > 0 {
			more = fmt.Sprintf(", planned %s to %s", html.Money(e.Low), html.Money(e.High))
		}
		if c.Saved.Store > 0 {
			more += fmt.Sprintf(", %s saved by stored answers", html.Money(c.Saved.Store))
		}
		line(w, "%-20s %s in %s%s", "cost", html.Money(c.Spent), count(int(c.Calls), "call"), more)
	}
	if m := month(dir); m != nil {
		line(w, "%-20s %s", "month", monthly(m))
	}
	printNotes(w, r.Notes)
}

// headlines tells how good labels and models are, where the run has measured it.
func headlines(w io.Writer, dir string) {
	all, err := publish.Headlines(dir)
	for _, h := range all {
		if err != nil || h.Figure.Value == nil {
			continue
		}
		beside := fmt.Sprintf("n %s", grouped(int64(h.Figure.N)))
		if h.Reference != nil {
			beside = fmt.Sprintf("%s %.3f, %s", h.ReferenceName, *h.Reference, beside)
		}
		interval := ""
		if h.Figure.Lo != nil && h.Figure.Hi != nil {
			interval = fmt.Sprintf(" (%.3f to %.3f)", *h.Figure.Lo, *h.Figure.Hi)
		}
		if h.Exploratory != "" {
			beside += "; exploratory: " + h.Exploratory
		}
		line(w, "%s: %.3f%s; %s", h.Name, *h.Figure.Value, interval, beside)
	}
}

// tooMany names the step that refused the largest share.
func tooMany(dir string, r *schemas.Report) error {
	return fmt.Errorf("%s: %s, more than the %.4g %% that the pipeline tolerates", dir, refused(worst(r)), 100*r.Tolerance)
}

func worst(r *schemas.Report) (w schemas.StepReport) {
	for _, s := range r.Steps {
		if share(s) > share(w) {
			w = s
		}
	}
	return w
}

func share(s schemas.StepReport) float64 { return float64(s.Rejects) / float64(max(s.In, 1)) }

func refused(s schemas.StepReport) string {
	return fmt.Sprintf("%s: %s of %s %s rejected", s.Name, grouped(int64(s.Rejects)), grouped(int64(s.In)), s.Unit)
}
