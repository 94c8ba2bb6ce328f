package cli

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"silverbeam/pkg/metrics"
	"silverbeam/pkg/taxonomy"

	"github.com/spf13/cobra"
)

const missing = metrics.Missing

// scoresFlags say which scores are measured, and how.
type scoresFlags struct {
	labels, scores, protocol, json string

	scoresB, cluster, resamples string
	bootstrap                   int
	seed                        uint64
	valLabels, valScores        string
	threshold, calibrate        string
	uncertain, reviewed         string
}

// protocol is an arithmetic by name: it prints a table and gives the figures.
type protocol struct {
	name string
	run  func(f *scoresFlags, w io.Writer) (any, error)
}

var protocols = []protocol{
	{"clean", (*scoresFlags).clean},
	{"ctclip-zeroshot", (*scoresFlags).ctclip},
	{"fvlm", (*scoresFlags).fvlm},
	{"radchestct-16", (*scoresFlags).radchest},
	{"multiclass", (*scoresFlags).multiclass},
	{"ordinal", (*scoresFlags).ordinal},
}

func protocolNames() (names []string) {
	for _, p := range protocols {
		names = append(names, p.name)
	}
	return names
}

func evaluateScoresCommand() *cobra.Command {
	var f scoresFlags
	c := &cobra.Command{
		Use: "scores --labels CSV --scores CSV --protocol NAME --json FILE", Short: "measure a model's scores against labels, both in files", Args: exactly(),
		Long: "Labels: the first column is the id, patient_id and scan_id say whose it is, the others are 1, 0, -1 (uncertain) or empty (unknown).\n" +
			"Scores: the first column is the id, a column for each label; they are joined by id and name, in any order; higher means present.\n" +
			"What the rows cannot say, such as an AUC without negatives, is null. Definitions: docs/evaluation.md.",
		Example: "  silverbeam evaluate scores --labels test.csv --scores model.csv --protocol clean --json figures.json\n" +
			"  silverbeam evaluate scores --labels test.csv --scores model.csv --protocol clean --json figures.json \\\n" +
			"    --val-labels val.csv --val-scores val-model.csv --threshold youden --calibrate platt\n" +
			"  silverbeam evaluate scores --labels test.csv --scores new.csv --scores-b old.csv --protocol clean --json figures.json",
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	c.Flags().StringVar(&f.labels, "labels", "", "the table of labels, `CSV`")
	c.Flags().StringVar(&f.scores, "scores", "", "the table of scores, `CSV`")
	c.Flags().StringVar(&f.protocol, "protocol", "", "`NAME` of the arithmetic: "+strings.Join(protocolNames(), ", "))
	c.Flags().StringVar(&f.json, "json", "", "write all figures to `FILE`")
	c.Flags().StringVar(&f.scoresB, "scores-b", "", "clean: test these scores, `CSV`, against --scores on the same rows")
	c.Flags().StringVar(&f.cluster, "cluster", "", "clean: the `COLUMN` of the labels that names the patient, who is resampled whole (default patient_id, where\nthere is one, else each row)")
	c.Flags().IntVar(&f.bootstrap, "bootstrap", 2000, "clean: resamples of patients for the intervals, `N`; 0: none")
	c.Flags().Uint64Var(&f.seed, "seed", 1, "clean: of the resamples, `N`")
	c.Flags().StringVar(&f.resamples, "resamples", "", "clean: take the resamples from `NPY` instead: integers, one row a resample, one column a patient, patients\nnumbered by first appearance")
	c.Flags().StringVar(&f.valLabels, "val-labels", "", "clean: labels of other rows, on which --threshold youden and --calibrate are fitted, `CSV`")
	c.Flags().StringVar(&f.valScores, "val-scores", "", "clean: scores of those rows, `CSV`")
	c.Flags().StringVar(&f.threshold, "threshold", "0.5", "clean: present is score >= `X`; youden: each label's own, the best of the validation rows")
	c.Flags().StringVar(&f.calibrate, "calibrate", "", "clean: also figures of scores that were calibrated on the validation rows `HOW`: platt, isotonic or temperature")
	c.Flags().StringVar(&f.uncertain, "uncertain", "missing", "clean: count a label of -1 `AS` missing, zero or one")
	c.Flags().StringVar(&f.reviewed, "reviewed", "", "clean: what people say of some of the rows, a `SHEET` as of label sample: prevalence and AUC are also\ncorrected for the mistakes of the labels")
	return c
}

func (f *scoresFlags) run(cmd *cobra.Command) error {
	i := slices.IndexFunc(protocols, func(p protocol) bool { return p.name == f.protocol })
	switch {
	case f.labels == "" || f.scores == "" || f.json == "":
		return usage(cmd, "--labels, --scores, --json: all three are needed")
	case i < 0:
		return usage(cmd, "--protocol: %q: one of %s%s", f.protocol, strings.Join(protocolNames(), ", "), didYouMean(f.protocol, protocolNames()))
	}
	if err := f.check(cmd); err != nil {
		return err
	}
	figures, err := protocols[i].run(f, cmd.OutOrStdout())
	if err != nil {
		return err
	}
	return writeFigures(f.json, figures)
}

// check names what is wrong with the flags of the protocol clean.
func (f *scoresFlags) check(cmd *cobra.Command) error {
	_, notNumber := strconv.ParseFloat(f.threshold, 64)
	fits := f.threshold == "youden" || f.calibrate != ""
	switch {
	case f.protocol != "clean":
		for _, name := range []string{"scores-b", "cluster", "bootstrap", "seed", "resamples", "val-labels", "val-scores", "threshold", "calibrate", "uncertain", "reviewed"} {
			if cmd.Flags().Changed(name) {
				return usage(cmd, "--%s: only with --protocol clean", name)
			}
		}
	case f.bootstrap < 0 || f.bootstrap == 1 || f.bootstrap > 100_000:
		return usage(cmd, "--bootstrap: %d: 0, or 2 to 100000", f.bootstrap)
	case f.reviewed != "" && f.bootstrap == 0:
		return usage(cmd, "--reviewed: what is corrected has its interval by --bootstrap, which is 0")
	case f.resamples != "" && (cmd.Flags().Changed("bootstrap") || cmd.Flags().Changed("seed")):
		return usage(cmd, "--resamples: they are given, so --bootstrap and --seed say nothing")
	case (f.valLabels == "") != (f.valScores == ""):
		return usage(cmd, "--val-labels, --val-scores: only together")
	case f.threshold != "youden" && (notNumber != nil || f.number() != f.number() || math.IsInf(f.number(), 0)):
		return usage(cmd, "--threshold: %q: a number, or youden", f.threshold)
	case f.calibrate != "" && !slices.Contains(metrics.Calibrations, f.calibrate):
		return usage(cmd, "--calibrate: %q: one of %s%s", f.calibrate, strings.Join(metrics.Calibrations, ", "), didYouMean(f.calibrate, metrics.Calibrations))
	case fits && f.valLabels == "":
		return usage(cmd, "--threshold youden, --calibrate: they are fitted on --val-labels and --val-scores, never on the rows they are judged by")
	case !fits && f.valLabels != "":
		return usage(cmd, "--val-labels: nothing is fitted on them without --threshold youden or --calibrate")
	case !slices.Contains([]string{"missing", "zero", "one"}, f.uncertain):
		return usage(cmd, "--uncertain: %q: missing, zero or one", f.uncertain)
	}
	return nil
}

func (f *scoresFlags) number() float64 {
	x, _ := strconv.ParseFloat(f.threshold, 64)
	return x
}

func (f *scoresFlags) clean(w io.Writer) (any, error) {
	t, err := readTruth(f.labels, f.cluster, f.asUncertain())
	if err != nil {
		return nil, err
	}
	s := metrics.Scores{Findings: t.findings, Y: t.y, Patient: t.patient, Uncertain: t.uncertain, Probability: true}
	if s.S, err = readScores(f.scores, t.findings, t.idTable); err != nil {
		return nil, err
	}
	var other [][]float64
	if f.scoresB != "" {
		if other, err = readScores(f.scoresB, t.findings, t.idTable); err != nil {
			return nil, err
		}
	}
	if err := f.fit(w, &s, t); err != nil {
		return nil, err
	}
	if s.Reviewed, err = f.readReviewed(t); err != nil {
		return nil, err
	}
	o, err := f.resampling()
	if err != nil {
		return nil, err
	}
	out, err := s.Compare(other, o)
	if err != nil {
		return nil, badInput("%s: %v", f.resamples, err) // the one input that the figures themselves look at
	}
	tellScores(w, t.findings, out)
	tellCorrected(w, t.findings, out)
	return out, nil
}

// readReviewed puts the sheet's rows at those of the labels; nil without one. Rows that the labels do not have are an error.
func (f *scoresFlags) readReviewed(t *truth) (*metrics.ReviewedRows, error) {
	if f.reviewed == "" {
		return nil, nil
	}
	s, err := readSheet(f.reviewed, t.findings, "", "")
	if err != nil {
		return nil, err
	}
	out := &metrics.ReviewedRows{Truth: make([][]int8, len(t.findings)), Weight: make([]float64, len(t.ids))}
	for k, name := range s.findings {
		y := slices.Repeat([]int8{missing}, len(t.ids))
		for i, id := range s.ids {
			row, ok := t.row[id]
			if !ok {
				return nil, badInput("%s:%d: column %q: %q is not in %s", s.path, s.lines[i], s.id, id, t.path)
			}
			if out.Weight[row] = 1; s.weight != nil {
				out.Weight[row] = s.weight[i]
			}
			if y[row] = metrics.Binary(s.states[k][i]); s.states[k][i] == taxonomy.Uncertain {
				y[row] = f.asUncertain()
			}
		}
		out.Truth[slices.Index(t.findings, name)] = y
	}
	return out, nil
}

func (f *scoresFlags) asUncertain() int8 {
	return map[string]int8{"missing": missing, "zero": 0, "one": 1}[f.uncertain]
}

// fit sets thresholds and calibrations, from the validation rows where there are any.
func (f *scoresFlags) fit(w io.Writer, s *metrics.Scores, judged *truth) error {
	s.Threshold = slices.Repeat([]float64{f.number()}, len(s.Findings))
	if f.valLabels == "" {
		return nil
	}
	v, err := readTruth(f.valLabels, "", f.asUncertain())
	if err != nil {
		return err
	}
	if err := v.need(s.Findings, f.labels); err != nil {
		return err
	}
	scores, err := readScores(f.valScores, s.Findings, v.idTable)
	if err != nil {
		return err
	}
	if err := v.apart(judged, scores, s.S); err != nil {
		return err
	}
	if both := v.patientsOf(judged); both != nil {
		line(w, "%s among the validation rows and those that are judged: %s", count(len(both), "patient"), strings.Join(both[:min(5, len(both))], ", "))
	}
	if f.calibrate != "" {
		s.Calibration = make([]*metrics.Calibration, len(s.Findings))
	}
	for k, name := range s.Findings {
		y := v.y[slices.Index(v.findings, name)]
		if f.threshold == "youden" {
			threshold, _, ok, err := metrics.Youden(y, scores[k])
			if err != nil {
				return err
			}
			if s.Threshold[k] = threshold; !ok {
				s.Threshold[k] = math.NaN()
			}
		}
		if f.calibrate != "" {
			if s.Calibration[k], err = metrics.FitCalibration(f.calibrate, y, scores[k]); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *scoresFlags) resampling() (o metrics.Resampling, err error) {
	o = metrics.Resampling{N: f.bootstrap, Seed: f.seed}
	if o.N == 0 {
		o.N = -1
	}
	if f.resamples != "" {
		o.Resamples, err = readResamples(f.resamples)
		o.N = len(o.Resamples)
	}
	return o, err
}

// tellScores prints a line a label: rows, positives, AUC with its interval by patient, AP, F1.
func tellScores(w io.Writer, findings []string, s *metrics.Summary) {
	line(w, "%-36s %6s %6s  %-20s%-7s%s", fmt.Sprintf("%s of %s", count(s.NRows, "row"), count(s.NPatients, "patient")), "n", "pos", "AUC", "AP", "F1")
	row := func(name, n, pos string, auc metrics.Figure, ap, f1 *float64) {
		line(w, "%s", strings.TrimRight(fmt.Sprintf("%-36s %6s %6s  %-20s%-7s%s", name, n, pos, cell3(auc), short3(ap), short3(f1)), " "))
	}
	for _, name := range findings {
		l := s.Labels[name]
		auc := metrics.Figure{Value: l.AUC, Interval: l.Logit}
		if s.Bootstrap != nil {
			auc.Interval = s.Bootstrap.AUC[name].Ends
		}
		var f1 *float64
		if l.Threshold != nil {
			f1 = l.Threshold.F1
		}
		row(name, fmt.Sprint(l.N), fmt.Sprint(l.NPos), auc, l.AP, f1)
	}
	macro := metrics.Figure{Value: s.Macro.AUC}
	if s.Bootstrap != nil {
		macro.Interval = s.Bootstrap.MacroAUC.Ends
	}
	row(fmt.Sprintf("macro over %s", count(s.Macro.NLabels, "label")), "", "", macro, s.Macro.AP, s.Macro.F1)
}

// tellCorrected prints what the reviewed rows make of it, where there are any.
func tellCorrected(w io.Writer, findings []string, s *metrics.Summary) {
	if s.Corrected == nil {
		return
	}
	line(w, "%-36s %6s %6s  %-20s%-20s%s", "corrected by the reviewed rows", "n", "pos", "prevalence", "by the labels", "AUC")
	figure := func(i metrics.Interval) string { return cell3(metrics.Figure{Value: i.Value, Interval: i.Ends}) }
	for _, name := range findings {
		if c, ok := s.Corrected[name]; ok {
			line(w, "%-36s %6d %6d  %-20s%-20s%s", name, c.NReviewed, c.NReviewedPos, figure(c.Prevalence.PPI), figure(c.Prevalence.Silver), figure(c.AUC.PPI))
		}
	}
}

// cell3 is a figure as .934 (.880-.971).
func cell3(f metrics.Figure) string {
	short := func(v float64) string { return strings.Replace(fmt.Sprintf("%.3f", v), "0.", ".", 1) }
	switch {
	case f.Value == nil:
		return "-"
	case f.Interval == nil:
		return short(*f.Value)
	}
	return fmt.Sprintf("%s (%s-%s)", short(*f.Value), short(f.Interval[0]), short(f.Interval[1]))
}

// short3 is a figure as .934; undefined is a dash.
func short3(v *float64) string { return cell3(metrics.Figure{Value: v}) }
