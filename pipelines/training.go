package pipelines

import (
	"cmp"
	"errors"
	"fmt"

	"silverbeam/pkg/fit"
	"silverbeam/pkg/ledger"
	"silverbeam/pkg/taxonomy"
	"silverbeam/pkg/volume"
	"silverbeam/transforms/dataset"
	"silverbeam/transforms/train"
)

// Training is what a train.Model step would take.
type Training struct {
	Step string `json:"step"`
	fit.Forecast
	Pace fit.Pace `json:"pace"`
	CPU  Guess    `json:"cpu_seconds"` // wall time on this machine's processor, for engine gorgonia
	H100 Guess    `json:"h100_seconds"`
	Says []string `json:"assumes"`
}

// h100 is the peak of dense products of bf16 on an NVIDIA H100 SXM5, in FLOP/s (NVIDIA's H100 data sheet, half of the figure for
// sparse ones), and what share of it a training is assumed to reach: the published encoder's step on ten volumes reached 0.36
// (docs/benchmarks.md), and so did CLIP's; smaller nets reach less. However small, a step is at least some milliseconds of launches
// and transfers.
var h100 = struct {
	peak  float64
	share Guess // of low time, expected, high
	step  Guess // seconds at least
}{989.4e12, Guess{0.37, 0.35, 0.2}, Guess{0.002, 0.005, 0.02}}

// apart is the share of an ideal division of the work over cores that a training reaches.
const apart = 0.9

// Trainings foretells the steps that train, by some steps of each net that it takes here: up to some CPU seconds. Studies that
// intake has cut are counted, and what would be rejected later too.
func (p *Plan) Trainings(g *Graph) error {
	studiesIn := 0
	for _, b := range g.Batches {
		if b.Split == "train" {
			studiesIn += studies(b)
		}
	}
	tax, err := taxonomy.Load(g.Findings)
	if err != nil {
		return err
	}
	preset := "demo"
	models := map[string]*train.Options{}
	for _, s := range g.Pipeline.Steps {
		switch o := s.Options.(type) {
		case *dataset.Options:
			if o.Preset != "" {
				preset = o.Preset
			}
		case *train.CommandOptions:
			models[s.Name] = &train.Options{Width: o.Width, Stem: o.Stem}
		case *train.Options:
			models[s.Name] = o
			if o.Weights != "" {
				continue // what evaluation has embedded is little
			}
			t, err := foretell(s.Name, *o, models[o.Init], preset, len(g.Names), studiesIn)
			if err != nil {
				return fmt.Errorf("%s: %w", s.Name, err)
			}
			if o.Embeddings.Endpoint != "" {
				says, err := embedding(*o, tax, int(p.Rows))
				if err != nil {
					return fmt.Errorf("%s: %w", s.Name, err)
				}
				t.Says = append(t.Says, says)
			}
			p.Training = append(p.Training, t)
		}
	}
	return nil
}

// foretell measures a training's net here. from is the step that it begins with; nil: none.
func foretell(name string, o train.Options, from *train.Options, preset string, findings, studies int) (t Training, err error) {
	shape, err := volume.PresetByName(preset)
	if err != nil {
		return t, err
	}
	fo := o.Fit()
	if o.Embeds() {
		fo.Embedder = &fit.Embedder{}
	}
	if from != nil {
		fo.Width, fo.Stem = from.Width, from.Stem
	}
	t.Step = name
	if t.Forecast, err = fit.Foresee(fo, shape, findings, studies); err != nil {
		return t, err
	}
	if t.Steps == 0 {
		t.Says = []string{fmt.Sprintf("%d studies to train on do not fill a batch of %d", t.Studies, t.Batch)}
		return t, nil
	}
	if t.Pace, err = t.Measure(); err != nil {
		return t, err
	}
	steps := float64(t.Steps)
	alone := steps * (t.StepFLOPs/(t.Pace.PerCore*1e9*float64(t.Pace.Cores)) + t.Pace.Optimizer)
	now := steps * (t.StepFLOPs/(t.Pace.GFLOPS*1e9) + t.Pace.Optimizer)
	t.CPU = Guess{alone, alone / apart, max(now, 1.5*alone)}
	t.H100 = guess(func(i int) float64 {
		return steps * max(h100.step.all()[i], t.StepFLOPs/(h100.peak*h100.share.all()[i]))
	})
	t.Says = []string{
		fmt.Sprintf("this CPU: measured %.0f GFLOP/s a core on %s, %d cores of which %.0f %% is reached together; at worst the %.0f GFLOP/s of the load of now, or half as long again",
			t.Pace.PerCore, t.Pace.Measured, t.Pace.Cores, 100*apart, t.Pace.GFLOPS),
		fmt.Sprintf("H100: %.0f %% (%.0f to %.0f) of its peak of %.0f TFLOP/s in bf16, as width 64 on batches of 10 x 96 x 192 x 192 has reached; at least %.0f ms a step, engine xla, and six cores that prepare batches",
			100*h100.share.Expected, 100*h100.share.High, 100*h100.share.Low, h100.peak/1e12, 1000*h100.step.Expected),
		"all studies of the split train pass; reading, validation and checkpoints are not counted"}
	return t, nil
}

// reportBytes is a report's length, as over CT-RATE's. Of each, the whole, its conclusion and its sentences are embedded: some 2.2
// times as much, less where sentences are equal.
const reportBytes = 1836

var embedded = [3]float64{1.2, 2.2, 2.4}

// embedding says where the reports of so many studies would be embedded, and for how much.
func embedding(o train.Options, t *taxonomy.Taxonomy, studies int) (string, error) {
	f, host, err := o.Embedding(t)
	if err != nil {
		return "", err
	}
	tokens := guess(func(i int) float64 { return float64(studies) * reportBytes * embedded[i] / bytesPerToken[i] })
	says := fmt.Sprintf("embeddings: reports of %d studies, their conclusions and sentences, go to %s; some %.2g tokens (%.2g to %.2g) of reports of %d bytes",
		studies, cmp.Or(host, "this machine"), tokens.Expected, tokens.Low, tokens.High, reportBytes)
	switch {
	case f.Price.Hour > 0:
		return says + "; priced by the hour", nil
	case f.Price.Input == 0:
		return says + "; free", nil
	}
	var pico [3]int64
	for i, n := range tokens.all() {
		var no error
		pico[i], no = f.Price.Cost(ledger.Usage{Input: int64(n)})
		err = errors.Join(err, no)
	}
	return says + fmt.Sprintf("; $%.2f ($%.2f to $%.2f)", float64(pico[1])/1e12, float64(pico[0])/1e12, float64(pico[2])/1e12), err
}
