package fit

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// bounds watches a number that may vary, but not grow without end. It is wild when it is wildTimes the median of those before.
type bounds struct {
	old    []float64 // the newest that were not wild, size at most
	size   int       // before so many are known nothing is wild
	row    int       // how many in a row were
	limit  int       // so many in a row are out of bounds: one or some come of a hard batch
	median float64
}

const wildTimes = 1000

// wild takes the next number, and says whether as many in a row as the limit were wild.
func (b *bounds) wild(x float64) bool {
	if len(b.old) < b.size {
		b.old = append(b.old, x)
		return false
	}
	b.median = slices.Sorted(slices.Values(b.old))[b.size/2]
	if !(b.median > 0 && x > wildTimes*b.median) {
		b.row = 0
		b.old = append(b.old[1:], x)
		return false
	}
	b.row++
	return b.row >= b.limit
}

// watchSteps is how often the results of layers are looked at: it costs a pass over them.
const watchSteps = 50

// newHistory watches gradients by the last 50, of which 20 in a row may be wild (clipping holds them), and results, which are
// seen every watchSteps, by the last 5 and two in a row.
func newHistory(epochSteps int) *history {
	return &history{span: epochSteps, norms: bounds{size: 50, limit: 20}, peaks: bounds{size: 5, limit: 2}}
}

// watch is the error of a step whose gradient or results have grown out of all bounds, though they are numbers yet. It says where
// in the net.
func (d *descent) watch(r Record, h *history) error {
	switch {
	case h.norms.wild(r.GradNorm):
		return fmt.Errorf("step %d: the gradient's norm, %.3g, has been over %d times its median of %.3g for %d steps, at learning rate %.3g, most of it at %s: training diverges; %s",
			r.Step, r.GradNorm, wildTimes, h.norms.median, h.norms.limit, r.LR, d.largest(), advice)
	case r.Peak > 0 && h.peaks.wild(r.Peak):
		return fmt.Errorf("step %d: results of %s have grown to %.3g, over %d times the median of %.3g that the largest of any layer had, at learning rate %.3g: training diverges; %s",
			r.Step, r.PeakOf, r.Peak, wildTimes, h.peaks.median, r.LR, advice)
	}
	return nil
}

// advice is what helps against a divergence, in the order to try it.
const advice = "try a tenth of the lr, a larger batch, or dtype f32 if it is bf16"

// cause looks for the first thing that is no number: in the batch, then in layers' results, then in gradients.
func (d *descent) cause(in map[string]net.Tensor) string {
	for _, name := range slices.Sorted(maps.Keys(in)) {
		for _, x := range in[name].F32 {
			if bad(float64(x)) {
				return fmt.Sprintf("%s of the batch holds what is no number: the data set's volumes, or the preset's window, are wrong", name)
			}
		}
	}
	for _, p := range d.peaks(in) {
		if bad(p.Max) {
			return fmt.Sprintf("training diverged; the first layer whose results are no numbers is %s; %s", p.Layer, advice)
		}
	}
	return fmt.Sprintf("training diverged; the gradient is no number at %s; %s", d.largest(), advice)
}

func bad(x float64) bool { return math.IsNaN(x) || math.IsInf(x, 0) }

// peaks are those of the step's batch: of the step itself if it was watched, else of one more run. nil: the program can not tell.
func (d *descent) peaks(in map[string]net.Tensor) []engine.Peak {
	w, ok := d.program.(engine.Watcher)
	if !ok || d.stepper != nil { // whose weights are gone with the step
		return nil
	}
	w.Watch(true)
	defer w.Watch(false)
	if _, err := d.program.Run(in); err != nil {
		return nil
	}
	return w.Peaks()
}

// largest names the parameter with the largest gradient; of those whose gradient is no number the last, next to the loss:
// from there backwards all are.
func (d *descent) largest() string {
	all := d.program.Gradients()
	name, top := "", -1.0
	for _, p := range d.program.Params() {
		if _, ok := all[p.Name]; !ok {
			continue
		}
		sum := 0.0
		for _, x := range all[p.Name].F32 {
			sum += float64(x) * float64(x)
		}
		if math.IsNaN(sum) {
			sum = math.Inf(1)
		}
		if sum >= top {
			name, top = p.Name, sum
		}
	}
	return fmt.Sprintf("%s (norm %.3g)", name, math.Sqrt(top))
}
