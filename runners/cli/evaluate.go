package cli

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/pkg/taxonomy"

	"github.com/spf13/cobra"
)

func evaluateCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "evaluate VERB", Short: "measure labels and scores, whoever made them",
		Example: "  silverbeam evaluate labels --truth todo.csv --labels labels.csv --json figures.json\n" +
			"  silverbeam evaluate scores --labels truth.csv --scores model.csv --protocol clean --json figures.json",
		RunE: onlyVerbs,
	}
	c.AddCommand(evaluateLabelsCommand())
	c.AddCommand(evaluateScoresCommand())
	c.AddCommand(evaluateRetrievalCommand(), evaluateAgreementCommand(), evaluateMasksCommand())
	return c
}

// evaluateFlags say what is compared with what.
type evaluateFlags struct {
	truth, json, by, cluster string
	disagreements            string
	labels, require          []string
}

// labelerFile is one --labels.
type labelerFile struct{ name, path string }

func evaluateLabelsCommand() *cobra.Command {
	var f evaluateFlags
	c := &cobra.Command{
		Use: "labels --truth TODO.csv --labels OUT --json FILE", Short: "measure a label table against a sheet filled in by hand", Args: exactly(),
		Long: "The sheet is one of `silverbeam label sample`, or any table with an id, columns of findings (1 present, 0 absent, -1 uncertain,\n" +
			"-2 not mentioned, empty: not reviewed) and, where rows were not all as likely to be drawn, their weight and stratum. Labels of any\n" +
			"form are read, or a run's. Several --labels NAME=FILE are compared with each other too, also without a truth.",
		Example: "  silverbeam evaluate labels --truth todo.csv --labels labels.csv --cluster patient --json figures.json\n" +
			"  silverbeam evaluate labels --truth todo.csv --labels labels.csv --json figures.json --require 'sensitivity>=.9' --require 'Lung nodule: lower(ppv)>=.8'\n" +
			"  silverbeam evaluate labels --labels rules=a.csv --labels llm=b.csv --json figures.json --disagreements look.csv",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	c.Flags().StringVar(&f.truth, "truth", "", "the `SHEET` that people filled in")
	c.Flags().StringArrayVar(&f.labels, "labels", nil, "a label table or run folder, as `FILE` or NAME=FILE; may be given several times")
	c.Flags().StringVar(&f.json, "json", "", "write all figures to `FILE`")
	c.Flags().StringArrayVar(&f.require, "require", nil, "exit with 1 unless `[FINDING: ]FIGURE>=X`, where FIGURE may be lower(FIGURE), the interval's lower end;\n"+
		"FIGURE: sensitivity, specificity, ppv, npv, f1 or balanced_accuracy; FINDING may be macro; may be given several times")
	c.Flags().StringVar(&f.by, "by", "", "also for each value of this `COLUMN` of the sheet, such as the site")
	c.Flags().StringVar(&f.cluster, "cluster", "", "the `COLUMN` of the sheet that names the patient (default patient_id or patient, where there is one)")
	c.Flags().StringVar(&f.disagreements, "disagreements", "", "write where several labelers disagree to `FILE`.csv, the most valuable to look at first")
	return c
}

// evaluation is what --json holds.
type evaluation struct {
	*metrics.Reviewed                              // of one labeler
	By                map[string]*metrics.Reviewed `json:"by,omitempty"`

	Labelers map[string]*labelerFigures `json:"labelers,omitempty"` // of several
	// Pairs of several labelers, as A|B.
	Paired    map[string]map[string]metrics.McNemar `json:"paired,omitempty"` // against the truth, by finding
	Agreement *agreement                            `json:"agreement,omitempty"`

	Requirements []requirement `json:"requirements,omitempty"`
}

type labelerFigures struct {
	*metrics.Reviewed
	By map[string]*metrics.Reviewed `json:"by,omitempty"`
}

func (f *evaluateFlags) run(cmd *cobra.Command) error {
	files, err := f.check(cmd)
	if err != nil {
		return err
	}
	var tables []*labelTable
	for _, l := range files {
		t, err := openLabels(l.path)
		if err != nil {
			return err
		}
		tables = append(tables, t)
	}
	var out evaluation
	w := bufio.NewWriter(cmd.OutOrStdout())
	if f.truth != "" {
		if err := f.figures(cmd.ErrOrStderr(), w, &out, files, tables); err != nil {
			return err
		}
	}
	if len(files) > 1 {
		if out.Agreement, err = f.agreement(w, files, tables); err != nil {
			return err
		}
	}
	missed, err := f.judge(w, &out, files)
	if err != nil {
		return usage(cmd, "--require: %v", err)
	}
	if err := writeFigures(f.json, out); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(missed) > 0 {
		return &Exit{codeRejects, fmt.Errorf("required and missed: %s", strings.Join(missed, "; ")), ""}
	}
	return nil
}

// writeFigures writes what --json asks for.
func writeFigures(path string, figures any) error {
	if err := shard.Replace(path, 0o644, func(w io.Writer) error { return writeJSON(w, figures) }); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	return nil
}

// check names what is wrong with the flags, and the labelers.
func (f *evaluateFlags) check(cmd *cobra.Command) (files []labelerFile, err error) {
	for _, l := range f.labels {
		name, path, named := strings.Cut(l, "=")
		if _, err := os.Stat(l); err == nil || !named || name == "" {
			name, path = "labels", l
		}
		if slices.ContainsFunc(files, func(l labelerFile) bool { return l.name == name }) {
			return nil, usage(cmd, "--labels: %q for the second time: several need names, as NAME=FILE", name)
		}
		files = append(files, labelerFile{name, path})
	}
	switch {
	case len(files) == 0:
		return nil, usage(cmd, "--labels: a label table is needed")
	case f.json == "":
		return nil, usage(cmd, "--json: a file is needed")
	case f.truth == "" && len(files) == 1:
		return nil, usage(cmd, "--truth: a sheet is needed, or --labels NAME=FILE several times")
	case f.truth == "" && (f.by != "" || f.cluster != "" || len(f.require) > 0):
		return nil, usage(cmd, "--by, --cluster, --require: only with --truth")
	case f.disagreements != "" && len(files) == 1:
		return nil, usage(cmd, "--disagreements: of several --labels NAME=FILE")
	case f.disagreements != "" && !strings.HasSuffix(f.disagreements, ".csv"):
		return nil, usage(cmd, "--disagreements: %q: must end in .csv", f.disagreements)
	}
	for _, r := range f.require {
		if _, err := parseRequirement(r); err != nil {
			return nil, usage(cmd, "--require: %v", err)
		}
	}
	for _, path := range []string{f.json, f.disagreements} {
		if path == "" {
			continue
		}
		if err := writable(cmd, strings.TrimSuffix(path, filepath.Ext(path))+".csv"); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// figures compares every labeler with the truth.
func (f *evaluateFlags) figures(stderr, w io.Writer, out *evaluation, files []labelerFile, tables []*labelTable) error {
	findings := common(tables)
	s, err := readSheet(f.truth, findings, f.cluster, f.by)
	if err != nil {
		return err
	}
	if left := len(findings) - len(s.findings); left > 0 {
		line(stderr, "%s has no column for %s of the labels", f.truth, count(left, "finding"))
	}
	reviews := make([]metrics.Review, len(tables))
	for i, t := range tables {
		if t, err = t.only(s.findings); err != nil {
			return err
		}
		if reviews[i], err = s.review(t); err != nil {
			return err
		}
		l := &labelerFigures{Reviewed: reviews[i].Evaluate(nil)}
		if f.by != "" {
			l.By = map[string]*metrics.Reviewed{}
			for _, g := range s.groups() {
				l.By[g] = reviews[i].Evaluate(s.in(g))
			}
		}
		if len(tables) == 1 {
			out.Reviewed, out.By = l.Reviewed, l.By
		} else {
			if out.Labelers == nil {
				out.Labelers = map[string]*labelerFigures{}
			}
			out.Labelers[files[i].name] = l
			line(w, "%s", files[i].name)
		}
		tellFigures(w, s.findings, l.Reviewed)
		for _, g := range s.groups() {
			line(w, "%s = %s", f.by, g)
			tellFigures(w, s.findings, l.By[g])
		}
	}
	out.Paired = paired(s.findings, files, reviews)
	tellPaired(w, s.findings, files, out.Paired)
	return nil
}

// common are the findings that all tables have, in the first one's order.
func common(tables []*labelTable) (names []string) {
	for _, n := range tables[0].findings {
		if !slices.ContainsFunc(tables, func(t *labelTable) bool { return !slices.Contains(t.findings, n) }) {
			names = append(names, n)
		}
	}
	return names
}

// paired tests each two labelers against the truth, corrected over the findings.
func paired(findings []string, files []labelerFile, reviews []metrics.Review) map[string]map[string]metrics.McNemar {
	if len(reviews) < 2 {
		return nil
	}
	out := map[string]map[string]metrics.McNemar{}
	for _, p := range pairs(files) {
		tests, ps := make([]metrics.McNemar, len(findings)), make([]float64, len(findings))
		for f := range findings {
			tests[f] = metrics.NewMcNemar(binaries(reviews[p.a].Truth[f]), binaries(reviews[p.a].Label[f]), binaries(reviews[p.b].Label[f]))
			ps[f] = tests[f].P
		}
		out[p.name] = map[string]metrics.McNemar{}
		for f, holm := range metrics.Holm(ps) {
			tests[f].Holm = holm
			out[p.name][findings[f]] = tests[f]
		}
	}
	return out
}

func binaries(states []taxonomy.State) []int8 {
	out := make([]int8, len(states))
	for i, s := range states {
		out[i] = metrics.Binary(s)
	}
	return out
}

// pair names two labelers by their place.
type pair struct {
	a, b int
	name string
}

func pairs(files []labelerFile) (out []pair) {
	for b := range files {
		for a := range b {
			out = append(out, pair{a, b, files[a].name + "|" + files[b].name})
		}
	}
	return out
}

// tellFigures prints a line a finding.
func tellFigures(w io.Writer, findings []string, r *metrics.Reviewed) {
	line(w, "%-36s %5s %5s  %-18s%-18s%-18s%-18s%s", fmt.Sprintf("%s of %s", count(r.NRows, "report"), count(r.NPatients, "patient")), "n", "pos",
		"sensitivity", "specificity", "ppv", "npv", "f1")
	row := func(name, n, pos string, s metrics.SampleRates) {
		line(w, "%s", strings.TrimRight(fmt.Sprintf("%-36s %5s %5s  %-18s%-18s%-18s%-18s%s", name, n, pos, cell(s.Sensitivity), cell(s.Specificity), cell(s.PPV), cell(s.NPV), cell(s.F1)), " "))
	}
	for _, name := range findings {
		l := r.Labels[name]
		row(name, fmt.Sprint(l.N), fmt.Sprint(l.NPos), l.SampleRates)
	}
	row("macro", "", "", r.Macro.SampleRates)
}

// cell is a figure as 0.93 (0.88-0.97).
func cell(f metrics.Figure) string {
	switch {
	case f.Value == nil:
		return "-"
	case f.Interval == nil:
		return fmt.Sprintf("%.2f", *f.Value)
	}
	return fmt.Sprintf("%.2f (%.2f-%.2f)", *f.Value, f.Interval[0], f.Interval[1])
}

func tellPaired(w io.Writer, findings []string, files []labelerFile, all map[string]map[string]metrics.McNemar) {
	for _, p := range pairs(files) {
		if all[p.name] == nil {
			continue
		}
		line(w, "%-36s %12s %12s %9s %9s", p.name, "only 1 right", "only 2 right", "p", "p (Holm)")
		for _, f := range findings {
			m := all[p.name][f]
			line(w, "%-36s %12d %12d %9.3g %9.3g", f, m.OnlyA, m.OnlyB, m.P, m.Holm)
		}
	}
}
