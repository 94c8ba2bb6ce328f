package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"silverbeam/runners/local"

	"github.com/spf13/cobra"
)

func statusCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "status RUN", Short: "say how far a run is, from its folder alone", Args: exactly("RUN"),
		Long:    "RUN is a run's folder, or its name under out/. It may be asked while the run goes on, from another terminal.",
		Example: "  silverbeam status out/demo\n  silverbeam status demo --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := folder(args[0])
			if err != nil {
				return err
			}
			s, err := local.Look(dir)
			if err != nil {
				return badInput("%v", err)
			}
			if s.Month = month(dir); asJSON {
				return writeJSON(cmd.OutOrStdout(), s)
			}
			if s.Month != nil {
				defer line(cmd.OutOrStdout(), "  month %s", monthly(s.Month))
			}
			switch s.State {
			case "dead":
				line(cmd.OutOrStdout(), "dead: it stopped without a word at %s; the command that began it goes on", describe(*s))
			case "running":
				line(cmd.OutOrStdout(), "running: %s", describe(*s))
				printLive(cmd.OutOrStdout(), s)
				return nil
			default:
				line(cmd.OutOrStdout(), "%s", ended(s.State))
			}
			return printSteps(cmd, dir)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as one object")
	return c
}

// printLive lists how far each step is, and what the endpoints take.
func printLive(w io.Writer, s *local.State) {
	for _, t := range s.Steps {
		line(w, "  %-20s %s of %s, %s (%s %%), %s/s", t.Step, grouped(t.Done), grouped(s.Total), count(int(t.Rejects), "reject"),
			digits(2, 100*float64(t.Rejects)/float64(max(t.Done, 1))), digits(3, t.RowsPerSecond))
	}
	for _, l := range s.Limits {
		paused := ""
		if l.Paused > 0 {
			paused = fmt.Sprintf(", which has asked for a pause of %s", seconds(l.Paused))
		}
		if l.Out > 0 {
			paused += fmt.Sprintf(", left out for %s", seconds(l.Out))
		}
		line(w, "  %s under way, at most %d at once, to %s%s", count(l.InFlight, "call"), l.AtMost, l.Endpoint, paused)
	}
	printNotes(w, s.Notes)
}

// printNotes lists what whoever keeps a run should know.
func printNotes(w io.Writer, notes []string) {
	for _, n := range notes {
		line(w, "%-20s %s", "note", n)
	}
}

// ended says in words how a run ended.
func ended(state string) string {
	if state == "rejects" {
		return "done, with more rejects than it tolerates"
	}
	return state
}

// printSteps lists what each step took, gave and refused.
func printSteps(cmd *cobra.Command, dir string) error {
	r, err := report(dir)
	if err != nil {
		return err
	}
	for _, s := range r.Steps {
		if s.Unit != "" && s.Unit != "results" {
			line(cmd.OutOrStdout(), "  %-20s %s %s in, %s out, %s, %.1f s", s.Name, grouped(int64(s.In)), s.Unit, grouped(int64(s.Out)), count(s.Rejects, "reject"), s.Seconds)
		}
	}
	headlines(cmd.OutOrStdout(), dir)
	printNotes(cmd.OutOrStdout(), r.Notes)
	if r.Error != "" {
		line(cmd.OutOrStdout(), "  %s", brief(r.Error))
	}
	return nil
}

// describe is one line on how a run stands.
func describe(s local.State) string {
	var parts []string
	if s.Total > 0 {
		parts = append(parts, fmt.Sprintf("%s %s of %s (%.0f %%)", s.Step, grouped(s.Done), grouped(s.Total), 100*float64(s.Done)/float64(s.Total)))
	} else if s.Step != "" {
		parts = append(parts, s.Step)
	}
	if s.RowsPerSecond > 0 {
		parts = append(parts, digits(3, s.RowsPerSecond)+"/s")
	}
	if s.ETASeconds > 0 {
		parts = append(parts, time.Duration(s.ETASeconds*float64(time.Second)).Round(time.Second).String()+" left")
	}
	if s.Detail != "" {
		parts = append(parts, s.Detail)
	}
	if s.SpentUSD > 0 {
		parts = append(parts, fmt.Sprintf("$%.4f", s.SpentUSD))
	}
	if s.SpentUSDPerHour > 0 {
		parts = append(parts, fmt.Sprintf("$%s an hour", digits(4, s.SpentUSDPerHour)))
	}
	if s.Rejects > 0 {
		parts = append(parts, count(s.Rejects, "reject"))
	}
	return strings.Join(parts, ", ")
}
