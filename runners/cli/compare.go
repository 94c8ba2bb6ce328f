package cli

import (
	"fmt"
	"io"

	"silverbeam/pkg/html"
	"silverbeam/transforms/publish"

	"github.com/spf13/cobra"
)

func compareCommand() *cobra.Command {
	var page, file string
	c := &cobra.Command{
		Use: "compare RUN RUN", Short: "test two runs against each other on the same rows", Args: exactly("RUN", "RUN"),
		Long: "Evaluations of the same name are compared row by row: differences with intervals by patient, DeLong's and McNemar's paired tests\n" +
			"with Holm's correction. Every difference is the first run minus the second. Runs on other rows, patients or labels are refused.",
		Example: "  silverbeam compare out/demo out/wide\n  silverbeam compare out/demo out/wide --json differences.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			var dirs [2]string
			for i, run := range args {
				dir, err := folder(run)
				if err != nil {
					return err
				}
				dirs[i] = dir
			}
			found, err := publish.Compare(dirs[0], dirs[1])
			if err != nil {
				return err
			}
			if file != "" {
				if err := writeFigures(file, found); err != nil {
					return err
				}
			}
			if err := publish.WriteComparison(page, found); err != nil {
				return err
			}
			tellComparison(cmd.ErrOrStderr(), found)
			line(cmd.OutOrStdout(), "%s", page)
			return nil
		},
	}
	c.Flags().StringVar(&page, "out", "compare.html", "write the page to `FILE`")
	c.Flags().StringVar(&file, "json", "", "write all figures to `FILE`")
	return c
}

// tellComparison prints a line an evaluation, and one for each finding that differs after Holm's correction.
func tellComparison(w io.Writer, c *html.Comparison) {
	for _, t := range c.Tests {
		for _, r := range t.Findings {
			if p := r.Holm; p != nil && *p < .05 {
				tellDifference(w, t.Step+": "+r.Name, r, fmt.Sprintf("; p %.2g after Holm's correction", *p))
			}
		}
		if t.Exploratory != "" {
			line(w, "%s: exploratory: %s", t.Step, t.Exploratory)
		}
		if r := t.Macro; r != nil {
			tellDifference(w, t.Step+", macro "+t.Figure, *r, fmt.Sprintf("; n %d", t.Rows))
			continue
		}
		for _, r := range t.Findings {
			tellDifference(w, t.Step+", "+r.Name, r, fmt.Sprintf("; n %d", t.Rows))
		}
	}
}

func tellDifference(w io.Writer, name string, r html.PairedRow, more string) {
	d := r.Difference
	if d.Value == nil || r.A == nil || r.B == nil {
		line(w, "%s: undefined", name)
		return
	}
	interval := ""
	if d.Lo != nil {
		interval = fmt.Sprintf(" (%+.3f to %+.3f)", *d.Lo, *d.Hi)
	}
	line(w, "%s: %.3f against %.3f, difference %+.3f%s%s", name, *r.A, *r.B, *d.Value, interval, more)
}
