package publish

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"silverbeam/pkg/html"
	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/transforms/internal/result"
)

// ErrUnpaired says that two runs have nothing to compare row by row.
var ErrUnpaired = errors.New("no pair")

// resamples of patients behind each interval of a comparison, and their seed.
var paired = metrics.Resampling{N: 2000, Seed: 1}

// Compare tests the evaluations that two runs share, by name, on the same rows: the same volumes, studies or queries of the
// same patients, with the same labels. It reads the run folders alone.
func Compare(a, b string) (*html.Comparison, error) {
	one, err := read(a)
	if err != nil {
		return nil, err
	}
	two, err := read(b)
	if err != nil {
		return nil, err
	}
	c := &html.Comparison{A: filepath.Base(filepath.Clean(a)), B: filepath.Base(filepath.Clean(b)), Changed: changes(one, two)}
	if c.A == c.B {
		c.A, c.B = a, b
	}
	shared := 0
	for _, s := range one.report.Steps {
		x, errA := result.ReadRows(a, s.Name)
		y, errB := result.ReadRows(b, s.Name)
		switch {
		case errors.Is(errA, os.ErrNotExist) || errors.Is(errB, os.ErrNotExist):
			continue
		case errA != nil || errB != nil:
			return nil, errors.Join(errA, errB)
		}
		shared++
		if why := unpaired(x, y); why != "" {
			return nil, fmt.Errorf("%w: %s: %s", ErrUnpaired, s.Name, why)
		}
		t, err := compareStep(x, y, thresholds(a, s.Name, x.Findings), thresholds(b, s.Name, x.Findings))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		t.Step, t.Type = s.Name, s.Type
		for _, run := range []string{b, a} {
			if err := describe(run, s.Name, t); err != nil {
				return nil, err
			}
		}
		c.Tests = append(c.Tests, *t)
	}
	if shared == 0 {
		return nil, fmt.Errorf("%w: %s and %s have no evaluation of the same name with its rows (runs of older versions keep none: run them again)", ErrUnpaired, a, b)
	}
	return c, nil
}

// WriteComparison renders the paired page to a file, whole or not at all.
func WriteComparison(path string, c *html.Comparison) error {
	var b bytes.Buffer
	if err := html.RenderComparison(&b, c); err != nil {
		return err
	}
	return shard.WriteFile(path, b.Bytes())
}

// unpaired says why rows cannot be compared, or "".
func unpaired(a, b result.Rows) string {
	switch {
	case !slices.Equal(a.IDs, b.IDs):
		return fmt.Sprintf("%d rows in the first run, %d in the second, %s: the same data set is needed, and the same split", len(a.IDs), len(b.IDs), strange(a.IDs, b.IDs))
	case !slices.Equal(a.Patients, b.Patients):
		return "the rows' patients differ"
	case !slices.Equal(a.Findings, b.Findings):
		return "the findings differ"
	}
	for f := range a.Y {
		for i, y := range a.Y[f] {
			if y != b.Y[f][i] {
				return fmt.Sprintf("%s of %s is labelled otherwise in the two: judge both by one truth (truth:)", a.Findings[f], a.IDs[i])
			}
		}
	}
	return ""
}

// strange names a row that only one of them has.
func strange(a, b []string) string {
	for _, pair := range [][2][]string{{a, b}, {b, a}} {
		for _, id := range pair[0] {
			if !slices.Contains(pair[1], id) {
				return id + " in one alone"
			}
		}
	}
	return "in another order"
}

// thresholds are those at which a step's result says present; 0.5 where it has none, as for labels.
func thresholds(run, step string, findings []string) []float64 {
	var r struct {
		Summary struct {
			Labels map[string]metrics.LabelScore
		}
	}
	p, err := os.ReadFile(filepath.Join(run, "eval", step+".json"))
	if err == nil {
		_ = json.Unmarshal(p, &r) // the page of the run says what is wrong with it
	}
	out := slices.Repeat([]float64{.5}, len(findings))
	for f, name := range findings {
		if at := r.Summary.Labels[name].Threshold; at != nil {
			out[f] = at.Threshold
		}
	}
	return out
}

// describe fills in what the step measures.
func describe(run, step string, t *html.PairedTest) error {
	var r struct{ Split, Labels, Truth string }
	p, err := os.ReadFile(filepath.Join(run, "eval", step+".json"))
	if err != nil {
		return err
	}
	var loose map[string]json.RawMessage // an evaluate.Labels result has its labels by split
	if err := json.Unmarshal(p, &loose); err != nil {
		return fmt.Errorf("%s: eval/%s.json: %w", run, step, err)
	}
	for name, to := range map[string]*string{"split": &r.Split, "labels": &r.Labels, "truth": &r.Truth} {
		_ = json.Unmarshal(loose[name], to)
	}
	var why string
	if _ = json.Unmarshal(loose["exploratory"], &why); why != "" {
		t.Exploratory = filepath.Base(run) + ": " + why
	}
	_ = json.Unmarshal(loose["primary"], &t.Primary)
	t.Split, t.Truth = r.Split, cmp.Or(r.Truth, r.Labels)
	switch t.Type {
	case "evaluate.Labels":
		t.Figure, t.Unit = "balanced accuracy", "studies"
	case "evaluate.Retrieval":
		t.Figure, t.Unit, t.Truth = "recall", "queries", ""
	default:
		t.Figure, t.Unit = "AUC", "volumes"
	}
	return nil
}

// compareStep tests one evaluation.
func compareStep(a, b result.Rows, at, bt []float64) (*html.PairedTest, error) {
	clusters := metrics.ClustersOf(a.Patients)
	t := &html.PairedTest{Rows: len(a.IDs), Patients: clusters.N}
	p := &pairing{clusters: clusters, test: t}
	var err error
	if a.Y == nil {
		err = p.ranks(a.S[0], b.S[0])
	} else {
		err = p.findings(a, b, at, bt)
	}
	if err != nil || len(p.stats) == 0 {
		return t, err
	}
	return t, p.intervals(a.Y != nil)
}

// pairing gathers the rows of a test, whose statistics stand in pairs.
type pairing struct {
	clusters metrics.Clusters
	test     *html.PairedTest
	stats    []metrics.Statistic // of row i: 2i of a, 2i+1 of b
	mcnemar  []float64
}

func (p *pairing) add(row html.PairedRow, m metrics.McNemar, a, b metrics.Statistic) {
	row.OnlyA, row.OnlyB, row.McNemar = m.OnlyA, m.OnlyB, &m.P
	p.test.Findings = append(p.test.Findings, row)
	p.stats, p.mcnemar = append(p.stats, a, b), append(p.mcnemar, m.P)
}

// findings compares AUCs, and what is called present at each run's own thresholds.
func (p *pairing) findings(a, b result.Rows, at, bt []float64) error {
	var ps []float64
	var tested []int
	for f, name := range a.Findings {
		row := html.PairedRow{Name: name}
		if a.S[f] == nil || b.S[f] == nil {
			continue
		}
		d, ok, err := metrics.DeLongPaired(a.Y[f], a.S[f], b.S[f])
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if ok && d.P == d.P {
			row.P = &d.P
			ps, tested = append(ps, d.P), append(tested, len(p.test.Findings))
		}
		sa, err := metrics.AUCStatistic(a.Y[f], a.S[f], p.clusters)
		if err != nil {
			return err
		}
		sb, err := metrics.AUCStatistic(b.Y[f], b.S[f], p.clusters)
		if err != nil {
			return err
		}
		p.add(row, metrics.NewMcNemar(a.Y[f], present(a.S[f], at[f]), present(b.S[f], bt[f])), sa, sb)
	}
	for i, holm := range metrics.Holm(ps) {
		p.test.Findings[tested[i]].Holm = &holm
	}
	return nil
}

// recallAt are the sizes at which two retrievals are compared.
var recallAt = []int{1, 5, 10, 50, 100}

// ranks compares recalls: a query is right where its own study's rank is k at most.
func (p *pairing) ranks(a, b []float64) error {
	right := slices.Repeat([]int8{1}, len(a))
	for _, k := range recallAt {
		if k >= len(a) {
			break
		}
		ha, hb := within(a, k), within(b, k)
		sa, err := metrics.MeanStatistic(floats(ha), p.clusters)
		if err != nil {
			return err
		}
		sb, err := metrics.MeanStatistic(floats(hb), p.clusters)
		if err != nil {
			return err
		}
		p.add(html.PairedRow{Name: fmt.Sprintf("recall@%d", k)}, metrics.NewMcNemar(right, ha, hb), sa, sb)
	}
	return nil
}

// intervals resamples patients for every row and, with macro, for the mean over rows that are defined.
func (p *pairing) intervals(macro bool) error {
	r, err := metrics.Bootstrap(p.clusters.N, p.stats, paired)
	if err != nil {
		return err
	}
	var as, bs []int
	for i := range p.test.Findings {
		row := &p.test.Findings[i]
		as, bs = append(as, 2*i), append(bs, 2*i+1)
		row.A, row.B = r.Interval(2*i).Value, r.Interval(2*i+1).Value
		row.Difference = estimate(r.Difference([]int{2 * i}, []int{2*i + 1}), p.test.Rows)
	}
	for i, holm := range metrics.Holm(p.mcnemar) {
		p.test.Findings[i].McNemarHolm = &holm
	}
	if macro {
		p.test.Macro = &html.PairedRow{Name: "Macro, unweighted mean", A: r.Mean(as...).Value, B: r.Mean(bs...).Value, Difference: estimate(r.Difference(as, bs), p.test.Rows)}
	}
	return nil
}

func estimate(i metrics.Interval, n int) html.Estimate {
	return html.Estimated(i.Value, i.Ends, n)
}

func present(s []float64, threshold float64) []int8 {
	out := make([]int8, len(s))
	for i, v := range s {
		if v >= threshold {
			out[i] = 1
		}
	}
	return out
}

func within(ranks []float64, k int) []int8 {
	out := make([]int8, len(ranks))
	for i, r := range ranks {
		if r >= 1 && r <= float64(k) {
			out[i] = 1
		}
	}
	return out
}

func floats(hits []int8) []float64 {
	out := make([]float64, len(hits))
	for i, h := range hits {
		out[i] = float64(h)
	}
	return out
}

// changes lists what was otherwise in the second run: parameters, data, models and versions.
func changes(a, b *source) (out []html.Change) {
	of := func(s *source) map[string]string {
		r := s.report
		facts := map[string]string{"pipeline": r.Name, "configuration": short(r.ConfigDigest), "data set": short(r.Digest), "findings": r.Findings}
		for k, v := range r.Params {
			facts["parameter "+k] = v
		}
		for k, v := range r.Versions {
			facts["version of "+k] = v
		}
		for _, step := range r.Steps {
			if trains(step.Type) {
				maps.Copy(facts, s.modelFacts(step.Name))
			}
		}
		return facts
	}
	x, y := of(a), of(b)
	all := maps.Clone(x)
	maps.Copy(all, y)
	for _, k := range slices.Sorted(maps.Keys(all)) {
		if x[k] != y[k] {
			out = append(out, html.Change{Name: k, A: x[k], B: y[k]})
		}
	}
	return out
}

// short is the head of a digest.
func short(digest string) string { return digest[:min(12, len(digest))] }

// modelFacts is what a model was made with, by "STEP: key".
func (src *source) modelFacts(step string) map[string]string {
	var c map[string]any
	p, err := os.ReadFile(filepath.Join(src.dir, "models", step, "config.json"))
	if err != nil || json.Unmarshal(p, &c) != nil {
		return nil
	}
	out := map[string]string{}
	for _, k := range []string{"recipe", "width", "stem", "epochs", "batch", "lr", "seed", "sample", "share", "window", "studies", "weights"} {
		if v, ok := c[k]; ok {
			out[step+": "+k] = short(fmt.Sprint(v))
		}
	}
	return out
}
