package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"silverbeam/pipelines"
	"silverbeam/pkg/html"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/shard"
	"silverbeam/runners/local"
	"silverbeam/transforms/intake"

	"github.com/spf13/cobra"
)

func planCommand() *cobra.Command {
	var set map[string]string
	var flags runFlags
	var asJSON bool
	var out string
	var pilot int
	c := &cobra.Command{
		Use: "plan FILE", Short: "say what a run would do and cost, without a call", Args: exactly("FILE"),
		Long: "Plan reads every report once and foretells rows, calls, tokens, money and time, low, expected and high, of a training by some steps of its net here. It calls no model, but\n" +
			"for a pilot: --pilot N asks about N reports of the whole input, and foretells by what they took. Its answers are kept for the run.\n" +
			"`silverbeam run --plan` refuses to run when what the plan rests on has changed.",
		Example: "  silverbeam plan pipeline.yaml --set endpoint=https://llm.example/v1 --set model=NAME\n" +
			"  silverbeam plan pipeline.yaml --out plan.json && silverbeam run pipeline.yaml --plan plan.json\n" +
			"  silverbeam plan pipeline.yaml --pilot 200 --max-cost 20 --out plan.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := flags.options(cmd)
			if err != nil {
				return err
			}
			p, err := pipelines.Load(args[0], set)
			if err != nil {
				return err
			}
			if flags.limit > 0 {
				p.Steps[0].Options.(*intake.Options).Limit = flags.limit
			}
			if pilot != 0 && (pilot < 2 || o.Replay) {
				return usage(cmd, "--pilot: %d: 2 or more, and not with --replay", pilot)
			}
			plan, err := makePlan(cmd.Context(), p, o, pilot)
			if errors.Is(err, pipelines.ErrNoCalls) {
				return usage(cmd, "--pilot: %v", err)
			}
			if err != nil {
				return err
			}
			if out != "" {
				if err := shard.Replace(out, 0o644, func(w io.Writer) error { return writeJSON(w, plan) }); err != nil {
					return fmt.Errorf("--out: %w", err)
				}
			}
			if asJSON {
				return writeJSON(cmd.OutOrStdout(), plan)
			}
			printPlan(cmd.OutOrStdout(), plan)
			return nil
		},
	}
	setFlag(c, &set)
	flags.add(c, "out/NAME")
	c.Flags().BoolVar(&asJSON, "json", false, "as one object")
	c.Flags().StringVar(&out, "out", "", "write the plan to `FILE` too, for run --plan")
	c.Flags().IntVar(&pilot, "pilot", 0, "first ask the model about `N` reports, 2 or more, at its price and under --max-cost; 0: none")
	return c
}

// makePlan plans a run, by a pilot of so many reports if that is not 0.
func makePlan(ctx context.Context, p *pipelines.Pipeline, o local.Options, pilot int) (*pipelines.Plan, error) {
	if o.Dir == "" {
		o.Dir = filepath.Join("out", p.Name)
	}
	g, err := p.Resolve()
	if err != nil {
		return nil, err
	}
	var found *pipelines.Pilot
	if pilot > 0 {
		if found, err = g.Pilot(ctx, o.Run, pilot); err != nil {
			return nil, err
		}
	}
	plan, err := g.Plan(o.Run)
	if err != nil {
		return nil, err
	}
	if found != nil {
		plan.Hold(found, p)
	}
	return plan, plan.Trainings(g)
}

// hold refuses a run whose plan no longer fits, and gives what the plan expected it to cost.
func hold(cmd *cobra.Command, file string, p *pipelines.Pipeline, o local.Options) (*ledger.Estimate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, usage(cmd, "--plan: %v", err)
	}
	var then struct {
		Basis   map[string]string
		CostUSD pipelines.Guess `json:"cost_usd"`
		Pilot   pipelines.Pilot // its calls stand in the same ledger
	}
	if err := json.Unmarshal(text, &then); err != nil || then.Basis == nil {
		return nil, usage(cmd, "--plan: %s is not a plan", file)
	}
	g, err := p.Resolve()
	if err != nil {
		return nil, err
	}
	now, err := g.Basis(o.Run)
	if err != nil {
		return nil, err
	}
	if changed := pipelines.Changed(then.Basis, now); len(changed) > 0 {
		return nil, &Exit{codeUsage, fmt.Errorf("run: --plan: %s: changed since: %s", file, strings.Join(changed, ", ")), "silverbeam plan " + p.File + " --out " + file}
	}
	pico := func(usd float64) int64 { return int64(math.Round((usd + then.Pilot.CostUSD) * 1e12)) }
	return &ledger.Estimate{Low: pico(then.CostUSD.Low), Expected: pico(then.CostUSD.Expected), High: pico(then.CostUSD.High)}, nil
}

func printPlan(w io.Writer, p *pipelines.Plan) {
	for _, s := range p.Steps {
		step := s.Name
		if s.Type != s.Name {
			step += ", " + s.Type
		}
		line(w, "%-28s → %s", step, s.Gives)
	}
	line(w, "rows       %s in %s, %s through the shuffle", grouped(p.Rows), count(p.Batches, "batch"), kib(p.Shuffle))
	line(w, "reports    %s distinct, %s", grouped(p.Distinct), count(int(p.Calls), "call"))
	if p.Calls > 0 {
		if p.Host != "" {
			line(w, "sends      reports to %s, permitted by %s", p.Host, permission(p.Policies))
		}
		if len(p.Removed) > 0 {
			line(w, "removed    %s, before anything is sent", p.Removed)
		}
		in, out := p.Tokens.Input, p.Tokens.Output
		line(w, "tokens     %s in (%s to %s), %s out (%s to %s)", whole(in.Expected), whole(in.Low), whole(in.High), whole(out.Expected), whole(out.Low), whole(out.High))
		line(w, "cost       $%.4f (%.4f to %.4f)", p.CostUSD.Expected, p.CostUSD.Low, p.CostUSD.High)
		if p.Month != nil {
			line(w, "month      %s", monthly(p.Month))
		}
	}
	if t := p.Pilot; t != nil {
		line(w, "pilot      $%.4f for %s, %s refused, %.3gs a call", t.CostUSD, count(t.Reports, "report"), grouped(int64(t.Refused)), t.SecondsPerCall)
	}
	if sync, batch := p.Modes["sync"], p.Modes["batch"]; batch.CostUSD.Expected > 0 {
		advice := "sync, for so little"
		if sync.CostUSD.Expected-batch.CostUSD.Expected >= 1 || sync.Seconds.Expected > batch.Seconds.High {
			advice = "batch, if that is soon enough"
		}
		line(w, "modes      sync $%.4f in %s, batch $%.4f within %s: take %s", sync.CostUSD.Expected, seconds(sync.Seconds.Expected),
			batch.CostUSD.Expected, seconds(batch.Seconds.High), advice)
	}
	line(w, "labelling  %s (%s to %s)", seconds(p.Seconds.Expected), seconds(p.Seconds.Low), seconds(p.Seconds.High))
	for _, t := range p.Training {
		if t.Steps == 0 {
			line(w, "training   %s: %s", t.Step, t.Says[0])
			continue
		}
		line(w, "training   %s: %s of %s, %.4g GFLOP each; on this CPU %s (%s to %s), on an H100 %s (%s to %s)", t.Step, count(t.Steps, "step"), count(t.Batch, "study"), t.StepFLOPs/1e9,
			seconds(t.CPU.Expected), seconds(t.CPU.Low), seconds(t.CPU.High), seconds(t.H100.Expected), seconds(t.H100.Low), seconds(t.H100.High))
	}
	if n := len(p.Training); n > 0 {
		for _, s := range p.Training[n-1].Says {
			line(w, "assumes    %s", s)
		}
	}
	for _, s := range p.Skipped {
		what := count(s.Studies, "study")
		if s.Batches > 0 {
			what = count(s.Batches, "batch") + ", " + what
		}
		line(w, "skipped    %s: %s", what, s.Why)
	}
	for _, n := range p.Notes {
		line(w, "note       %s", n)
	}
}

// monthly says how the site's month stands.
func monthly(m *ledger.Month) string {
	return fmt.Sprintf("%s: %s of %s are spent, or held by runs (%s)", m.Month, html.Money(m.Committed), html.Money(m.Cap), html.Money(m.Held))
}

func permission(policies []string) string {
	if policies == nil {
		return "who names it: this machine has no policy file"
	}
	return strings.Join(policies, " and ")
}

func whole(n float64) string { return grouped(int64(n)) }

func seconds(s float64) string {
	if s > 0 && s < 1 {
		return "under 1s"
	}
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

func kib(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
