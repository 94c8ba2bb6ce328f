package fit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// recipe is what a training does: a net with its loss, the views that feed it, and the numbers of its optimiser.
type recipe struct {
	graph *net.Graph
	split net.Split // graph for batches in parts
	views []view
	start map[string]net.Tensor      // weights that do not start at random, by name; nil: none
	rate  func(param string) float64 // factor on the learning rate; nil: 1
	hyper hyper
}

// Light augmentation: some voxels of shift, and the few HU and percent by which scanners and kernels differ.
var lightly = augment{ShiftMM: 4, OffsetHU: 10, Gain: 0.02}

// Strong augmentation: as patients lie and breathe, and as doses and kernels differ. No flips: reports say left and right.
var strongly = augment{ShiftMM: 10, OffsetHU: 20, Gain: 0.05, TurnDeg: 5, Scale: 0.1, NoiseHU: 30}

// supervisedHyper: AdamW as torch ships it but for a decay that small data needs; a tenth of the steps to warm up, since
// batch normalisation starts from nothing.
var supervisedHyper = hyper{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.05, MaxNorm: 1, Warmup: 0.1, Floor: 0.01}

// clipHyper: beta2 as in CLIP (Radford et al. 2021, table 18).
var clipHyper = hyper{Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, Decay: 0.2, MaxNorm: 1, Warmup: 0.1, Floor: 0.01}

// headRate is the classifier's factor on the learning rate. Pooled features differ little between volumes at first, and a
// classifier at the trunk's rate holds the whole net up: on phantoms of another seed than the demo's, ten times the rate
// took the macro AUC of held-out volumes from 0.70 to 0.74 in the same number of steps.
const headRate = 10

// In CLIP from trained weights of a tower, that one waits for the rest, which starts at random and must catch up.
const (
	visualRate = 0.1
	freshRate  = 3.0
)

// newRecipe makes the net and views that a configuration describes; text is clip's view of reports.
func newRecipe(c *Config, text view, from starts) (r *recipe, err error) {
	image := newImageView(c.Preset, pick(c.Augment == Strong, strongly, lightly))
	switch c.Recipe {
	case Supervised:
		r = &recipe{views: []view{image}, hyper: supervisedHyper}
		if c.Objectives == nil {
			r.views = append(r.views, labelView{findings: len(c.Findings)})
			r.graph, err = net.Supervised(c.visual(), true, false)
		} else {
			r.graph, err = net.SupervisedBy(c.visual(), weighted(c.Objectives))
		}
		r.split, r.start = net.Split{Towers: r.graph}, from.vision
		r.rate = func(name string) float64 { return pick(strings.HasPrefix(name, "fc."), headRate, 1.0) }
	case Clip:
		r = &recipe{views: []view{image, text}, hyper: clipHyper}
		if r.graph, err = net.NewCLIP(c.clip()); err == nil {
			r.split, err = net.SplitCLIP(c.clip(), c.Batch)
		}
		if err == nil {
			err = r.begin(from)
		}
	default:
		err = fmt.Errorf("recipe %q: want %s or %s", c.Recipe, Supervised, Clip)
	}
	if err == nil && c.Objectives != nil {
		r.views = append(r.views, viewsOf(c, r.graph)...)
	}
	if err == nil && c.Trainable != nil {
		err = r.freeze(c.Trainable)
	}
	return r, err
}

// begin has the towers of a clip recipe start from weights, and learn at a lower rate then than what starts at random.
func (r *recipe) begin(from starts) (err error) {
	r.start = map[string]net.Tensor{}
	var trained []string // the towers' prefixes
	if from.init != nil {
		if r.start, err = visualOf(r.graph, from.init); err != nil {
			return err
		}
		trained = append(trained, "visual.")
	}
	for prefix, weights := range map[string]map[string]net.Tensor{"visual.": from.vision, "text.": from.text} {
		if weights == nil {
			continue
		}
		trained = append(trained, prefix)
		for _, p := range r.graph.Params {
			if name, ok := strings.CutPrefix(p.Name, prefix); ok {
				if t, ok := weights[name]; ok {
					r.start[p.Name] = t
				}
			}
		}
	}
	if trained != nil {
		r.rate = func(name string) float64 {
			return pick(slices.ContainsFunc(trained, func(prefix string) bool { return strings.HasPrefix(name, prefix) }), visualRate, freshRate)
		}
	}
	return nil
}

// freeze has the recipe train what globs name alone; each must name some parameter.
func (r *recipe) freeze(globs []string) error {
	for _, glob := range globs {
		if !slices.ContainsFunc(r.graph.Params, func(p *net.Param) bool { return !p.Buffer && trains([]string{glob}, p.Name) }) {
			return fmt.Errorf("trainable %q names no parameter: want one such as %s", glob, r.graph.Params[0].Name)
		}
	}
	rate := r.rate
	r.rate = func(name string) float64 {
		switch {
		case !trains(globs, name):
			return 0
		case rate == nil:
			return 1
		}
		return rate(name)
	}
	return nil
}

// compile readies the net for batches of these shapes.
func (r *recipe) compile(e engine.Engine, shapes map[string][]int, o Options) (engine.Program, error) {
	r.graph.Recompute, r.split.Towers.Recompute = o.Recompute, o.Recompute
	if o.Accumulate > 1 {
		return Accumulate(e, r.split, shapes, o.Accumulate)
	}
	return e.Compile(r.graph, shapes, true)
}

// hidden is the share of tokens that a text loses in training: some, so that [UNK] comes to mean nothing in particular.
const hidden = 0.1

// visualOf takes the vision tower's weights from a supervised or clip model.
func visualOf(g *net.Graph, from map[string]net.Tensor) (map[string]net.Tensor, error) {
	out := map[string]net.Tensor{}
	for _, p := range g.Params {
		name, ok := strings.CutPrefix(p.Name, "visual.")
		if !ok {
			continue
		}
		t, ok := from[name]
		if !ok {
			t, ok = from[p.Name]
		}
		if !ok {
			return nil, fmt.Errorf("the initial model has no %s", name)
		}
		out[p.Name] = t
	}
	return out, nil
}

// weights are the recipe's first: random by seed, and start's in their place.
func (r *recipe) weights(seed uint64) map[string]net.Tensor {
	all := r.graph.Init(seed)
	maps.Copy(all, r.start)
	return all
}
