package fit

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
	"silverbeam/pkg/volume"
)

// Forecast is what a training would do: its steps, and their arithmetic as the net's graph has it.
type Forecast struct {
	Studies   int     `json:"studies"` // that it would be trained on, rejects aside
	Epochs    int     `json:"epochs"`
	Steps     int     `json:"steps"`
	Batch     int     `json:"batch"`
	StepFLOPs float64 `json:"step_flops"` // products forward and backward; blocks that are computed again and a second pass forward are counted as often as they run

	options Options
	config  *Config
}

// Foresee describes a training on so many studies of volumes of a preset, of which as many findings are known. An initial model's
// width and stem are the caller's to fill in.
func Foresee(o Options, p volume.Preset, findings, studies int) (f Forecast, err error) {
	init := o.Init
	o.Init = "" // nothing is read
	o.FrozenBN = o.FrozenBN && init == ""
	if o, err = o.defaults(); err != nil {
		return f, err
	}
	_, held, _ := ParseValidate(o.Validate)
	studies = int(math.Ceil(o.Share * float64(studies-int(math.Ceil(held*float64(studies))))))
	c := &Config{Recipe: o.Recipe, Width: cmp.Or(o.Width, defaultWidth), Stem: cmp.Or(o.Stem, defaultStem), Preset: p, Findings: make([]string, findings), Batch: o.Batch, Objectives: o.Objectives}
	switch {
	case o.Embedder != nil:
		c.Embeddings, c.Dim = &Embeddings{Width: usualWidth}, commonDim
	case o.Recipe == Clip:
		text := textTower
		text.Vocab, text.MaxPositions = vocabulary, textLength
		if o.Text != "" {
			b, err := os.ReadFile(filepath.Join(o.Text, "config.json"))
			if err != nil {
				return f, fmt.Errorf("text: %w", err)
			}
			given, err := hfBert(b)
			if err != nil {
				return f, fmt.Errorf("text: %s: config.json: %w", o.Text, err)
			}
			text = *given
		}
		c.Text, c.Tokens, c.Dim = &text, min(textLength, text.MaxPositions), commonDim
	}
	f = Forecast{Studies: studies, Epochs: o.Epochs, Steps: o.Epochs * (studies / o.Batch), Batch: o.Batch, options: o, config: c}
	f.StepFLOPs, err = f.flops(o.Batch, p.Shape, true)
	return f, err
}

// graph is the net for volumes of any shape, and its inputs' shapes.
func (f Forecast) graph(batch int, shape [3]int) (*net.Graph, map[string][]int, error) {
	c := *f.config
	c.Preset.Shape = shape
	r, err := newRecipe(&c, c.textView(&net.WordPiece{}, nil), starts{})
	if err != nil {
		return nil, nil, err
	}
	r.graph.Recompute = f.options.Recompute
	var in []input
	for _, v := range r.views {
		in = append(in, v.inputs(batch)...)
	}
	return r.graph, shapes(in), nil
}

// flops of a step; accumulated: as the options take a batch in parts.
func (f Forecast) flops(batch int, shape [3]int, accumulated bool) (float64, error) {
	g, in, err := f.graph(batch, shape)
	if err != nil {
		return 0, err
	}
	all, err := g.StepFLOPs(in)
	if err != nil {
		return 0, err
	}
	layers, err := g.Summary(in)
	forward := 0.0
	for _, l := range layers {
		forward += l.FLOPs
	}
	if f.options.Recompute {
		all += forward
	}
	if accumulated && f.options.Accumulate > 1 && f.options.Recipe == Clip {
		all += forward
	}
	return all, err
}

// Pace is how fast this machine trains a net, measured.
type Pace struct {
	GFLOPS    float64 `json:"gflops"`            // of the net's arithmetic, forward and backward, by wall time and under whatever load there was
	PerCore   float64 `json:"gflops_per_core"`   // the same by processor time
	Cores     int     `json:"cores"`             // that were used
	Optimizer float64 `json:"optimizer_seconds"` // of the weights' update, a step
	Measured  string  `json:"measured"`          // on what
}

// calibration bounds what is measured: a step of so many FLOPs (of the published net one of 48 x 96 x 96 voxels, 2 to 3 CPU-s; by
// smaller ones it would seem a quarter slower), for so long.
const (
	calibrationFLOPs = 300e9
	calibrationTime  = 400 * time.Millisecond
)

// Measure takes some steps of the net on a smaller batch, of smaller volumes if need be, of noise.
func (f Forecast) Measure() (Pace, error) {
	batch, shape, cost, err := f.sample()
	if err != nil {
		return Pace{}, err
	}
	g, in, err := f.graph(batch, shape)
	if err != nil {
		return Pace{}, err
	}
	e, err := NewEngine("", f.options.DType)
	if err != nil {
		return Pace{}, err
	}
	program, err := e.Compile(g, in, true)
	if err == nil {
		err = program.Load(g.Init(1))
	}
	if err != nil {
		return Pace{}, err
	}
	feed := noise(g, in)
	adam := &AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}
	adam.Bind(program.Params(), nil)
	var wall, cpu, update []float64
	for began := time.Now(); len(wall) < 2 || time.Since(began) < calibrationTime; {
		start, busy := time.Now(), processCPU()
		if _, err := program.Run(feed); err != nil {
			return Pace{}, err
		}
		wall, cpu = append(wall, time.Since(start).Seconds()), append(cpu, processCPU()-busy)
		start = time.Now()
		adam.Norm()
		adam.Step(1e-6, 1)
		update = append(update, time.Since(start).Seconds())
	}
	median := func(x []float64) float64 { return slices.Sorted(slices.Values(x[1:]))[(len(x)-1)/2] } // the first warms up
	return Pace{cost / median(wall) / 1e9, cost / median(cpu) / 1e9, runtime.GOMAXPROCS(0), median(update),
		fmt.Sprintf("%d of %d x %d x %d voxels in %s, %s", batch, shape[0], shape[1], shape[2], simd.Level, cmp.Or(f.options.DType, "f32"))}, nil
}

// sample is the largest batch, of a part of the training's, and else volumes halved along all axes, that cost no more than
// calibrationFLOPs.
func (f Forecast) sample() (batch int, shape [3]int, cost float64, err error) {
	batch, shape = f.Batch/max(1, f.options.Accumulate), f.config.Preset.Shape
	least := 1
	if f.options.Recipe == Clip {
		least = min(2, f.Batch)
	}
	batch = max(batch, least)
	for {
		if cost, err = f.flops(batch, shape, false); err != nil || cost <= calibrationFLOPs {
			return batch, shape, cost, err
		}
		smaller := shape
		for i := range smaller {
			smaller[i] = smaller[i] / 2 / 8 * 8
		}
		switch {
		case batch > least:
			batch = max(least, batch/2)
		case slices.Min(smaller[:]) < 16:
			return batch, shape, cost, nil
		default:
			shape = smaller
		}
	}
}

// noise fills inputs: volumes with numbers between 0 and 1, texts with the first tokens, labels with absent.
func noise(g *net.Graph, in map[string][]int) map[string]net.Tensor {
	feed, r := map[string]net.Tensor{}, stream(1)
	for _, n := range g.Nodes {
		op, ok := n.Op.(net.Input)
		if !ok {
			continue
		}
		t := net.Tensor{Shape: in[n.Name]}
		size := net.Size(t.Shape)
		if op.I32 {
			t.I32 = make([]int32, size)
			for i := range t.I32 {
				t.I32[i] = int32(i % 2)
			}
		} else {
			t.F32 = make([]float32, size)
			for i := range t.F32 {
				t.F32[i] = r.Float32()
			}
		}
		feed[n.Name] = t
	}
	return feed
}
