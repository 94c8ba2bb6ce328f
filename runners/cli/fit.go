package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pipelines"
	"silverbeam/pkg/rules"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/student"
	"silverbeam/pkg/table"
	"silverbeam/pkg/taxonomy"

	"github.com/spf13/cobra"
)

// fitFlags say what a student is fitted to.
type fitFlags struct {
	truth, out, idColumn, findings, convention, cluster, ask, json string
	text                                                           []string
	folds                                                          int
	seed                                                           int64
}

func labelFitCommand() *cobra.Command {
	var f fitFlags
	c := &cobra.Command{
		Use: "fit IN --truth TRUTH --out FILE", Short: "fit a student to labelled reports, and say how good it is", Args: exactly("IN"),
		Long: "Reads reports from IN and their labels from TRUTH, joined by id. TRUTH is a table that `silverbeam label reports` wrote, a sheet\n" +
			"of `silverbeam label sample` or one of your own: a column for each finding, 1 present, 0 absent, -2 or empty not mentioned, which\n" +
			"counts as absent. Left out are -1, uncertain; rows without any label; and in a sheet, which has weights, empty cells. The student\n" +
			"is one file, for --labelers student:FILE. It holds words of the reports: share it with those alone who may read them.",
		Example: "  silverbeam label fit my.csv --truth labelled.csv --out student.json\n" +
			"  silverbeam label reports all.csv --labelers student:student.json --out labels.csv",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.truth == "" || f.out == "" {
				return usage(cmd, "--truth and --out are needed")
			}
			if f.folds < 3 || f.folds > 20 {
				return usage(cmd, "--folds: %d: 3 to 20", f.folds)
			}
			ask, err := pipelines.Tolerance(f.ask)
			if err != nil {
				return usage(cmd, "--ask: %q: %v", f.ask, err)
			}
			t, err := taxonomy.Load(f.findings)
			if err != nil {
				return usage(cmd, "--findings: %v", err)
			}
			l, err := rules.New(t, rules.Options{Convention: f.convention})
			if err != nil {
				return usage(cmd, "--convention: %v", err)
			}
			reports, err := f.labelled(args[0], t)
			if err != nil {
				return err
			}
			s, crossed, err := student.Fit(t, l, reports, student.Options{Folds: f.folds, Seed: f.seed, Ask: ask})
			if err != nil {
				return badInput("%s, %s: %v", args[0], f.truth, err)
			}
			if err := shard.Replace(f.out, 0o600, s.Write); err != nil {
				return fmt.Errorf("--out: %w", err)
			}
			if f.json != "" {
				err := shard.Replace(f.json, 0o644, func(w io.Writer) error { return writeFit(w, s, crossed) })
				if err != nil {
					return fmt.Errorf("--json: %w", err)
				}
			}
			printFit(cmd.OutOrStdout(), s, crossed)
			line(cmd.ErrOrStderr(), "%-20s %s (it holds words of the reports)", "student", f.out)
			return nil
		},
	}
	c.Flags().StringVar(&f.truth, "truth", "", "the labels, in `FILE`: a column id, or else the first, and one for each finding")
	c.Flags().StringVar(&f.out, "out", "", "write the student to `FILE`, for its owner alone")
	c.Flags().StringVar(&f.idColumn, "id-column", "id", "the `COLUMN` that names a report")
	c.Flags().StringSliceVar(&f.text, "text-columns", []string{"report"}, "`COLUMNS` of text, with commas between; joined with a newline")
	c.Flags().Lookup("text-columns").DefValue = "report"
	c.Flags().StringVar(&f.findings, "findings", "ctrate-18", "taxonomy: one that ships, by name, or a `FILE`")
	c.Flags().StringVar(&f.convention, "convention", "ct-rate", "of the rules beside it, by whose `HABITS`: ct-rate or clinical")
	c.Flags().StringVar(&f.cluster, "cluster", "", "the `COLUMN` of IN that names the patient: a patient's reports share a fold")
	c.Flags().IntVar(&f.folds, "folds", 5, "cross-validate in `N` folds, 3 to 20; near copies share one")
	c.Flags().Int64Var(&f.seed, "seed", 1, "deal the reports to folds by `SEED`")
	c.Flags().StringVar(&f.ask, "ask", "10%", "doubt so much that a later labeler is asked about this `SHARE` of the reports at most")
	c.Flags().StringVar(&f.json, "json", "", "also write the figures to `FILE`")
	return c
}

// labelled reads the reports that have labels. Every problem of a file is bad input.
func (f *fitFlags) labelled(in string, t *taxonomy.Taxonomy) ([]student.Report, error) {
	truth := map[string][]int8{}
	names := t.Names()
	header, err := table.Header(f.truth)
	if err != nil {
		return nil, badInput("%v", err)
	}
	id, empty := idColumn(header), int8(0)
	if slices.Contains(header, "weight") {
		empty = -1 // a sheet of label sample: not reviewed
	}
	err = eachRow(f.truth, table.Columns{Study: id, Extra: names}, func(r table.Row) error {
		if truth[r.ID] != nil {
			return badInput("%s:%d: the %s %q for the second time", f.truth, r.Line, id, r.ID)
		}
		y, err := truthOf(r.Extra, names, empty)
		if err != nil {
			return badInput("%s:%d: %v", f.truth, r.Line, err)
		}
		if y != nil {
			truth[r.ID] = y
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var reports []student.Report
	seen := map[string]bool{}
	err = eachRow(in, table.Columns{Study: f.idColumn, Patient: f.cluster, Report: f.text}, func(r table.Row) error {
		y := truth[r.ID]
		if y == nil {
			return nil
		}
		if seen[r.ID] {
			return badInput("%s:%d: the %s %q for the second time", in, r.Line, f.idColumn, r.ID)
		}
		seen[r.ID] = true
		reports = append(reports, student.Report{ID: r.ID, Text: r.Report, Cluster: r.Patient, Truth: y})
		return nil
	})
	if err == nil && len(reports) < len(truth) {
		err = badInput("%s: %s without a report in %s", f.truth, count(len(truth)-len(reports), "labelled row"), in)
	}
	return reports, err
}

// truthOf reads a row's labels: 1 present, 0 absent, -2 not mentioned, which is absent, -1 uncertain, or empty, which means
// what it is given for. A row without any is nil.
func truthOf(cells, names []string, empty int8) ([]int8, error) {
	if strings.Join(cells, "") == "" {
		return nil, nil
	}
	y := make([]int8, len(cells))
	for i, cell := range cells {
		x, err := strconv.ParseFloat(cell, 64)
		switch {
		case cell == "":
			y[i] = empty
		case err != nil || x != 0 && x != 1 && x != -1 && x != -2:
			return nil, fmt.Errorf("%s: neither 1, 0, -1, -2 nor empty", names[i])
		case x != -2:
			y[i] = int8(x)
		}
	}
	return y, nil
}

// writeFit writes the figures as one object.
func writeFit(w io.Writer, s *student.Student, c *student.Crossed) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(struct {
		Digest string `json:"sha256"`
		student.Made
		Curve []student.Point `json:"curve"`
	}{s.Digest(), s.Made(), c.Curve()})
}

// printFit prints the figures for people.
func printFit(w io.Writer, s *student.Student, c *student.Crossed) {
	m := s.Made()
	line(w, "%s in %s of near copies and clusters, %d folds", count(m.Reports, "report"), count(m.Groups, "group"), m.Folds)
	if m.Refused > 0 {
		line(w, "%s not assessable and left out", count(m.Refused, "report"))
	}
	line(w, "\n%-36s %7s %7s   %5s %5s %5s   %5s %5s %5s", "", "", "", "rules", "", "", "rules", "and", "student")
	line(w, "%-36s %7s %7s   %5s %5s %5s   %5s %5s %5s", "finding", "n", "present", "AUC", "F1", "ECE", "AUC", "F1", "ECE")
	for _, x := range append(m.Figures, m.Macro) {
		note := ""
		if !x.Fitted {
			note = "  too few: the rules answer"
		}
		line(w, "%-36s %7d %7d   %s   %s%s", x.Finding, x.N, x.Positives, threeOf(x.Rules), threeOf(x.Student), note)
	}
	line(w, "\n%-12s %15s %14s %8s %15s %15s", "labelers", "reports asked", "labels asked", "doubt", "F1, llm right", "F1, llm 95 %")
	for _, p := range c.Curve() {
		doubt := ""
		if p.Doubt > 0 {
			doubt = fmt.Sprintf("%.4f", p.Doubt)
		}
		line(w, "%-12s %14.1f%% %13.2f%% %8s %15s %15s", p.Labelers, 100*p.Reports, 100*p.Findings, doubt, three(p.Right), three(p.Mostly))
	}
	line(w, "\nthe student doubts a probability from %.4f to %.4f (--ask)", m.Doubt, 1-m.Doubt)
}

func threeOf(f student.Figure) string {
	return fmt.Sprintf("%5s %5s %5s", three(f.AUC), three(f.F1), three(f.ECE))
}

// three is a share with three digits, or - where it is undefined.
func three(x *float64) string {
	if x == nil {
		return "-"
	}
	return strings.TrimPrefix(fmt.Sprintf("%.4f", *x), "0")
}
