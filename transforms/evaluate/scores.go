package evaluate

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
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
	known := m.Config.Findings
	if !slices.ContainsFunc(scored(p.judged), func(n string) bool { return slices.Contains(known, n) }) {
		return nil, fmt.Errorf("the model knows %s, and none of the run's findings", strings.Join(known, ", "))
	}
	var base [][]float64
	var err error
	if p.mapped() == nil {
		if base, err = baseline(p); err != nil {
			return nil, err
		}
	}
	r := &result.Scores{Protocol: "each volume scored by the model's output for the finding", Chance: .5}
	return r, f.judge(ctx, r, p, base, func(ctx context.Context, rows []shard.Row) ([][]float64, error) {
		logits, err := m.Logits(ctx, rows)
		return p.fold(columns(logits, known, scored(p.judged))), err
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

// zeroShot scores a finding by how much nearer a volume lies to its positive prompt than to its negative one: the difference
// of the two logits, in float64. Their softmax says the same until it is so near to 1 that ranks are lost.
func (f *modelFn) zeroShot(ctx context.Context, m *fit.Model, p *pool) (*result.Scores, error) {
	r := &result.Scores{Protocol: "cosine to the positive prompt minus cosine to the negative one", Chance: .5, Prompts: p.prompts}
	if m.Raw = f.Options.Likeness == Dot; m.Raw {
		r.Protocol = "dot product with the positive prompt minus dot product with the negative one"
	} else {
		p.factor = m.Scale()
	}
	texts := make([][][]float32, len(r.Prompts)) // set → prompt, positive and negative in turn
	for i, set := range r.Prompts {
		var prompts []string
		for _, name := range scored(p.judged) {
			prompts = append(prompts, set.Prompts[name][0], set.Prompts[name][1])
		}
		var err error
		if texts[i], err = m.EmbedTexts(ctx, prompts); err != nil {
			return nil, err
		}
	}
	var last string // the first volume of the split that is embedded
	var volumes [][]float32
	by := func(ctx context.Context, rows []shard.Row, asked func(set int) bool) (_ [][]float64, err error) {
		if last != rows[0].Volume {
			if volumes, err = m.EmbedVolumes(ctx, rows); err != nil {
				return nil, err
			}
			last = rows[0].Volume
		}
		return p.fold(differences(volumes, texts, asked)), nil
	}
	if err := f.choose(ctx, r.Prompts, p, by); err != nil {
		return nil, err
	}
	for _, set := range r.Prompts {
		if set.Asked {
			p.sealed.Prompts = append(p.sealed.Prompts, set.Prompts)
		}
	}
	return r, f.judge(ctx, r, p, nil, func(ctx context.Context, rows []shard.Row) ([][]float64, error) {
		return by(ctx, rows, func(set int) bool { return r.Prompts[set].Asked })
	})
}

// differences are finding → volume, the mean over the sets that are asked.
func differences(volumes [][]float32, texts [][][]float32, asked func(set int) bool) [][]float64 {
	out := make([][]float64, len(texts[0])/2)
	for k := range out {
		for _, v := range volumes {
			sum, n := 0.0, 0.0
			for set, t := range texts {
				if asked(set) {
					sum, n = sum+dot(v, t[2*k])-dot(v, t[2*k+1]), n+1
				}
			}
			out[k] = append(out[k], sum/n)
		}
	}
	return out
}

// choose marks the prompts that are asked: all, or those with the highest macro AUC on the split that the options name; of
// equals the first.
func (f *modelFn) choose(ctx context.Context, sets []result.PromptSet, p *pool, score func(context.Context, []shard.Row, func(int) bool) ([][]float64, error)) error {
	if !f.Options.Choose {
		for i := range sets {
			sets[i].Asked = true
		}
		return nil
	}
	q, err := f.other(p, f.Options.Tune)
	if err != nil {
		return fmt.Errorf("choose: %w", err)
	}
	best := -1
	for i := range sets {
		s, err := score(ctx, q.rows, func(set int) bool { return set == i })
		if err != nil {
			return err
		}
		sum, err := metrics.Scores{Findings: names(p.judged), Y: q.y, S: s}.Summarise(metrics.Resampling{N: -1})
		if err != nil {
			return fmt.Errorf("choose: %s: %w", sets[i].Name, err)
		}
		if sets[i].Tuned = sum.Macro.AUC; sets[i].Tuned == nil {
			return fmt.Errorf("choose: no finding of split %s has both classes", f.Options.Tune)
		}
		if best < 0 || *sets[i].Tuned > *sets[best].Tuned {
			best = i
		}
	}
	sets[best].Asked = true
	p.Tuned = f.Options.Tune
	return nil
}

// other opens another split of the data set.
func (f *modelFn) other(p *pool, split string) (pool, error) {
	q := *p
	q.Split, q.rows, q.patients, q.y = split, nil, nil, nil
	return q, f.open(&q)
}

// mapped are the findings of a protocol that are not the run's own; nil: they are.
func (p *pool) mapped() []metrics.MappedFinding {
	if slices.Equal(names(p.judged), p.tax.Names()) {
		return nil
	}
	return p.judged
}

// fold turns the scores of findings that are scored into those of findings that are judged: the highest counts; nil where one
// is not known.
func (p *pool) fold(scores [][]float64) [][]float64 {
	all, out := scored(p.judged), make([][]float64, len(p.judged))
	for k, m := range p.judged {
		out[k] = slices.Clone(scores[slices.Index(all, m.Scores[0])])
		for _, name := range m.Scores[1:] {
			other := scores[slices.Index(all, name)]
			if other == nil {
				out[k] = nil
			}
			for i := range out[k] {
				out[k][i] = max(out[k][i], other[i])
			}
		}
	}
	return out
}

// notInFVLM are CT-RATE's findings that fVLM's published means leave out.
var notInFVLM = []string{"Medical material", "Lymphadenopathy"}

// published computes the figures of the published protocol, if there is one, on probabilities in float64.
func (f *modelFn) published(p *pool, t metrics.Scores) (*metrics.PublishedSummary, error) {
	if f.Options.Protocol == "" || f.Options.Protocol == "clean" {
		return nil, nil
	}
	s := metrics.Scores{}
	for k, name := range t.Findings {
		if f.Options.Protocol == FVLMProtocol && slices.Contains(notInFVLM, name) {
			continue
		}
		probability := make([]float64, len(t.S[k]))
		for i, v := range t.S[k] {
			probability[i] = 1 / (1 + math.Exp(-p.factor*v))
		}
		if t.S[k] == nil {
			probability = nil
		}
		s.Findings, s.Y, s.S = append(s.Findings, name), append(s.Y, t.Y[k]), append(s.S, probability)
	}
	return s.Published()
}

// judge settles thresholds, seals them, and only then scores the split that is judged.
func (f *modelFn) judge(ctx context.Context, r *result.Scores, p *pool, base [][]float64, score scorer) error {
	t := metrics.Scores{Findings: names(p.judged), Y: p.y, Patient: p.patients, Threshold: make([]float64, len(p.y))}
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
	q, err := f.other(p, on)
	if err != nil {
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
	if r.Published, err = f.published(p, t); err != nil {
		return err
	}
	if r.Published != nil {
		r.PublishedBy = f.Options.Protocol
	}
	if r.Subgroups, err = f.subgroups(p, t); err != nil {
		return err
	}
	if t.Reviewed, err = f.reviewed(p); err != nil {
		return err
	}
	if t.Reviewed != nil {
		r.Reviewed = filepath.Base(f.Options.Reviewed)
	}
	if baseline == nil {
		r.Summary, err = t.Summarise(f.resampling())
		return err
	}
	if r.Summary, err = t.Compare(baseline, f.resampling()); err != nil {
		return fmt.Errorf("baseline: %w", err)
	}
	t.S, t.Threshold, t.Calibration, t.Reviewed = baseline, nil, nil, nil
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
