package evaluate

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/metrics"
	"silverbeam/pkg/shard"
	"silverbeam/transforms/internal/result"
)

// histogramBins is the number of HU intervals of the baseline's features: 40 HU each over [-1000, 1000].
const histogramBins = 50

// scorer scores volumes: finding → volume. A score of 0 stands for a probability of one half.
type scorer func(ctx context.Context, rows []shard.Row) ([][]float64, error)

// classifier scores a supervised model by its own outputs, beside a logistic regression on the HU histogram that learned
// from the same labels of the same training volumes. Rows are volumes, resampled by patient.
func (f *modelFn) classifier(ctx context.Context, m *fit.Model, p *pool) (*result.Scores, error) {
	names := p.tax.Names()
	if !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(m.Config.Findings, n) }) {
		return nil, fmt.Errorf("the model knows %s, and none of the run's findings", strings.Join(m.Config.Findings, ", "))
	}
	base, err := baseline(p)
	if err != nil {
		return nil, err
	}
	r := &result.Scores{Protocol: "each volume scored by the model's output for the finding", Chance: .5}
	return r, f.judge(ctx, r, p, base, func(ctx context.Context, rows []shard.Row) ([][]float64, error) {
		logits, err := m.Logits(ctx, rows)
		return columns(logits, m.Config.Findings, names), err
	})
}

// baseline scores by the HU histogram; nil where the data set has no split train to learn from.
func baseline(p *pool) ([][]float64, error) {
	train, err := p.data.Rows("train")
	if err != nil || len(train) == 0 {
		return nil, err
	}
	trained, err := histograms(train)
	if err != nil {
		return nil, err
	}
	held, err := histograms(p.rows)
	if err != nil {
		return nil, err
	}
	return metrics.Baseline(trained, silver(train, len(p.y)), held, metrics.BaselineLambda)
}

// zeroShot scores a finding by how much nearer a volume lies to its positive prompt than to its negative one.
func (f *modelFn) zeroShot(ctx context.Context, m *fit.Model, p *pool) (*result.Scores, error) {
	r := &result.Scores{Protocol: "cosine to the positive prompt minus cosine to the negative one", Chance: .5, Prompts: map[string][2]string{}}
	var prompts []string
	for _, name := range p.tax.Names() {
		x := p.prompts.Findings[p.prompts.Index(name)]
		prompts, r.Prompts[name] = append(prompts, x.Positive, x.Negative), [2]string{x.Positive, x.Negative}
	}
	texts, err := m.EmbedTexts(ctx, prompts)
	if err != nil {
		return nil, err
	}
	p.sealed.Prompts = []map[string][2]string{r.Prompts}
	return r, f.judge(ctx, r, p, nil, func(ctx context.Context, rows []shard.Row) ([][]float64, error) {
		volumes, err := m.EmbedVolumes(ctx, rows)
		scores := make([][]float64, len(p.y))
		for k := range scores {
			for _, v := range volumes {
				scores[k] = append(scores[k], dot(v, texts[2*k])-dot(v, texts[2*k+1]))
			}
		}
		return scores, err
	})
}

// judge settles thresholds, seals them, and only then scores the split that is judged.
func (f *modelFn) judge(ctx context.Context, r *result.Scores, p *pool, base [][]float64, score scorer) error {
	t := metrics.Scores{Findings: p.tax.Names(), Y: p.y, Patient: p.patients, Threshold: make([]float64, len(p.y))}
	if err := f.tune(ctx, &t, p, score); err != nil {
		return err
	}
	err := f.seal(p)
	if err != nil {
		return err
	}
	r.Header = p.Header
	if t.S, err = score(ctx, p.rows); err != nil {
		return err
	}
	return f.score(r, p, t, base)
}

// tune fits thresholds and calibrations on the split that the options name.
func (f *modelFn) tune(ctx context.Context, t *metrics.Scores, p *pool, score scorer) error {
	on := f.Options.Tune
	if on == "" {
		return nil
	}
	q := *p
	q.Split, q.rows, q.patients = on, nil, nil
	if err := f.open(&q); err != nil {
		return fmt.Errorf("tune: %w", err)
	}
	scores, err := score(ctx, q.rows)
	if err != nil {
		return err
	}
	t.Calibration = make([]*metrics.Calibration, len(t.Findings))
	p.sealed.Tuned, p.sealed.Thresholds, p.sealed.Platt = on, map[string]float64{}, map[string]*metrics.Calibration{}
	for k, name := range t.Findings {
		t.Threshold[k] = math.NaN()
		if scores[k] == nil {
			continue
		}
		x, _, ok, err := metrics.Youden(q.y[k], scores[k])
		if err != nil {
			return fmt.Errorf("tune: %s: %w", name, err)
		}
		if t.Calibration[k], err = metrics.FitCalibration("platt", q.y[k], scores[k]); err != nil {
			return fmt.Errorf("tune: %s: %w", name, err)
		}
		if ok {
			t.Threshold[k], p.sealed.Thresholds[name], p.sealed.Platt[name] = x, x, t.Calibration[k]
		}
	}
	p.Tuned = on
	return nil
}

// score fills in the figures of scores and, with a baseline, of the baseline and the difference.
func (f *modelFn) score(r *result.Scores, p *pool, t metrics.Scores, baseline [][]float64) (err error) {
	rows := result.Rows{Patients: p.patients, Findings: t.Findings, Y: t.Y, S: t.S}
	for _, x := range p.rows {
		rows.IDs, rows.Studies = append(rows.IDs, x.Volume), append(rows.Studies, x.Study)
	}
	if err := rows.Write(f.Run.Dir, f.Name); err != nil {
		return err
	}
	if r.ROC, err = curves(t); err != nil {
		return err
	}
	if baseline == nil {
		r.Summary, err = t.Summarise(f.resampling())
		return err
	}
	if r.Summary, err = t.Compare(baseline, f.resampling()); err != nil {
		return fmt.Errorf("baseline: %w", err)
	}
	t.S, t.Threshold, t.Calibration = baseline, nil, nil
	if r.BaselineROC, err = curves(t); err != nil {
		return err
	}
	r.Baseline, err = t.Summarise(f.resampling())
	return err
}

func curves(t metrics.Scores) (map[string][]metrics.Point, error) {
	out := map[string][]metrics.Point{}
	for k, name := range t.Findings {
		if t.S[k] == nil {
			continue
		}
		points, err := metrics.ROC(t.Y[k], t.S[k], 100)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = points
	}
	return out, nil
}

func histograms(rows []shard.Row) ([][]float64, error) {
	out := make([][]float64, len(rows))
	for i, r := range rows {
		hu, err := r.Voxels()
		if err != nil {
			return nil, err
		}
		out[i] = metrics.HistogramFeatures(hu, histogramBins)
		r.Release()
	}
	return out, nil
}

// columns turns row → the model's finding into finding → row; nil for a finding that the model does not know.
func columns(rows [][]float32, known, findings []string) [][]float64 {
	out := make([][]float64, len(findings))
	for k, name := range findings {
		if at := slices.Index(known, name); at >= 0 {
			for _, r := range rows {
				out[k] = append(out[k], float64(r[at]))
			}
		}
	}
	return out
}

func dot(a, b []float32) (s float64) {
	for i := range a {
		s += float64(a[i]) * float64(b[i])
	}
	return s
}
