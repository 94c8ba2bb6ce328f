package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"silverbeam/pipelines"
	"silverbeam/runners/local"
	"silverbeam/transforms/intake"

	"github.com/spf13/cobra"
)

func planCommand() *cobra.Command {
	var set map[string]string
	var flags runFlags
	var asJSON bool
	var out string
	c := &cobra.Command{
		Use: "plan FILE", Short: "say what a run would do and cost, without a call", Args: exactly("FILE"),
		Long: "Plan reads every report once and foretells rows, calls, tokens, money and time, low, expected and high. It calls no model.\n" +
			"`silverbeam run --plan` refuses to run when what the plan rests on has changed.",
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
			plan, err := makePlan(p, o)
			if err != nil {
				return err
			}
			if out != "" {
				if err := replace(out, func(w io.Writer) error { return writeJSON(w, plan) }); err != nil {
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
	flags.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "as one object")
	c.Flags().StringVar(&out, "out", "", "write the plan here too, for run --plan")
	return c
}

func makePlan(p *pipelines.Pipeline, o local.Options) (*pipelines.Plan, error) {
	if o.Dir == "" {
		o.Dir = filepath.Join("out", p.Name)
	}
	g, err := p.Resolve()
	if err != nil {
		return nil, err
	}
	return g.Plan(o.Run)
}

// hold refuses a run whose plan no longer fits.
func hold(cmd *cobra.Command, file string, p *pipelines.Pipeline, o local.Options) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return usage(cmd, "--plan: %v", err)
	}
	var then struct{ Basis map[string]string }
	if err := json.Unmarshal(text, &then); err != nil || then.Basis == nil {
		return usage(cmd, "--plan: %s is not a plan", file)
	}
	now, err := makePlan(p, o)
	if err != nil {
		return err
	}
	if changed := (&pipelines.Plan{Basis: then.Basis}).Changed(now); len(changed) > 0 {
		return &Exit{codeUsage, fmt.Errorf("run: --plan: %s: changed since: %s", file, strings.Join(changed, ", ")), "silverbeam plan " + p.File + " --out " + file}
	}
	return nil
}

func printPlan(w io.Writer, p *pipelines.Plan) {
	for _, s := range p.Steps {
		line(w, "%-20s %s → %s", s.Name, s.Type, s.Gives)
	}
	line(w, "rows       %s in %s, %s through the shuffle", grouped(p.Rows), count(p.Batches, "batch"), kib(p.Shuffle))
	line(w, "reports    %s distinct, %s", grouped(p.Distinct), count(int(p.Calls), "call"))
	if p.Calls > 0 {
		line(w, "tokens     %s in, %s out", grouped(int64(p.Tokens.Input.Expected)), grouped(int64(p.Tokens.Output.Expected)))
		line(w, "cost       $%.4f (%.4f to %.4f)", p.CostUSD.Expected, p.CostUSD.Low, p.CostUSD.High)
	}
	line(w, "labelling  %s (%s to %s)", seconds(p.Seconds.Expected), seconds(p.Seconds.Low), seconds(p.Seconds.High))
	for _, s := range p.Skipped {
		line(w, "skipped    %s, %s: %s", count(s.Batches, "batch"), count(s.Studies, "study"), s.Why)
	}
}

func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(time.Second).String()
}

func kib(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
