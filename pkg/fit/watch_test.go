package fit

import (
	"math"
	"strings"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// watched is a step's worth of a small net: its program, with the gradients of one run.
func watched(t *testing.T, change func(weights map[string]net.Tensor)) (*descent, map[string]net.Tensor) {
	t.Helper()
	g, err := net.Supervised(net.ResNet3D{Width: 4, Kernel: [3]int{2, 2, 2}, Classes: 2}, true, false)
	if err != nil {
		t.Fatal(err)
	}
	x := net.Tensor{Shape: []int{2, 1, 8, 8, 8}, F32: make([]float32, 1024)}
	for i := range x.F32 {
		x.F32[i] = float32(i%7) / 7
	}
	in := map[string]net.Tensor{"x": x, "labels": {Shape: []int{2, 2}, I32: []int32{1, 0, 0, 1}}}
	p, err := engine.Gorgonia().Compile(g, map[string][]int{"x": x.Shape, "labels": {2, 2}}, true)
	first := g.Init(1)
	if change != nil {
		change(first)
	}
	p = compiled(t, p, err, first)
	d := newDescent(p, &AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8}, nil, 1)
	d.watcher = p.(engine.Watcher)
	return d, in
}

// What is no number is traced to the batch, or to the first layer that has it.
func TestDivergenceNamesTheLayer(t *testing.T) {
	for name, c := range map[string]struct {
		weights func(w map[string]net.Tensor)
		x       float32
		want    string
	}{
		"weights of a block": {func(w map[string]net.Tensor) { w["layer3.0.conv1.0.weight"].F32[13] = float32(math.NaN()) }, 0,
			"step 7: loss NaN, gradient norm NaN at learning rate 0.002: training diverged; the first layer whose results are no numbers is layer3.0; try a tenth of the lr"},
		"weights of the classifier": {func(w map[string]net.Tensor) { w["fc.bias"].F32[1] = float32(math.Inf(1)) }, 0,
			"the first layer whose results are no numbers is fc; "},
		"a volume": {nil, float32(math.Inf(-1)), "x of the batch holds what is no number: the data set's volumes"},
	} {
		t.Run(name, func(t *testing.T) {
			d, in := watched(t, c.weights)
			if c.x != 0 {
				in["x"].F32[100] = c.x
			}
			if err := d.step(&batch{in: in}, &Record{Step: 7, LR: 0.002}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}

// Every watchSteps the largest result of any layer is noted, and of those steps alone.
func TestPeaksAreNoted(t *testing.T) {
	d, in := watched(t, func(w map[string]net.Tensor) {
		for i := range w["fc.bias"].F32 {
			w["fc.bias"].F32[i] = -1e4
		}
	})
	r := Record{Step: 2 * watchSteps, LR: 1e-6}
	if err := d.step(&batch{in: in}, &r); err != nil || r.PeakOf != "fc" || math.Abs(r.Peak-1e4) > 100 {
		t.Errorf("%+v, %v", r, err)
	}
	if r = (Record{Step: 2*watchSteps + 1}); d.step(&batch{in: in}, &r) != nil || r.Peak != 0 || r.PeakOf != "" {
		t.Errorf("%+v", r)
	}
}

// A gradient that stays far above what it was stops a training, and says where and what to do; one that comes back does not.
func TestWildGradientsStop(t *testing.T) {
	d, in := watched(t, nil)
	if err := d.step(&batch{in: in}, &Record{}); err != nil {
		t.Fatal(err)
	}
	h := newHistory(5)
	calm := func(n int) {
		for i := range n {
			if err := d.watch(Record{Step: i, GradNorm: 1 + float64(i%3)}, h); err != nil {
				t.Fatal(err)
			}
		}
	}
	calm(60)
	for range h.norms.limit - 1 {
		if err := d.watch(Record{GradNorm: 1e5}, h); err != nil {
			t.Fatal(err)
		}
	}
	calm(1)
	var err error
	for i := 0; i < h.norms.limit && err == nil; i++ {
		err = d.watch(Record{Step: 90 + i, GradNorm: 1e5, LR: 0.5}, h)
	}
	const want = "step 109: the gradient's norm, 1e+05, has been over 1000 times its median of 2 for 20 steps, at learning rate 0.5, most of it at "
	if err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), advice) {
		t.Error(err)
	}
}

// Results that have grown twice in a row stop a training too.
func TestWildResultsStop(t *testing.T) {
	d, h := &descent{}, newHistory(5)
	var err error
	for i, peak := range []float64{3, 4, 5, 4, 3, 4, 9e3, 4, 9e3, 2e4} {
		if err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		err = d.watch(Record{Step: i * watchSteps, GradNorm: 1, Peak: peak, PeakOf: "layer2.1", LR: 0.1}, h)
	}
	const want = "step 450: results of layer2.1 have grown to 2e+04, over 1000 times the median of 4 that the largest of any layer had, at learning rate 0.1: training diverges; " + advice
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}
