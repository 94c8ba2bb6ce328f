package fit

import (
	"context"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// same holds the gradients of a batch in parts to those of the whole: 1e-5 of the largest, 2e-5 in plain Go, whose sums are
// of one number after another.
func same(t *testing.T, whole, parts engine.Program, in map[string]net.Tensor, bound float64) {
	t.Helper()
	out, err := whole.Run(in)
	if err != nil {
		t.Fatal(err)
	}
	loss := float64(out["loss"].F32[0])
	if out, err = parts.Run(in); err != nil {
		t.Fatal(err)
	}
	if got := float64(out["loss"].F32[0]); math.Abs(got-loss) > bound*loss {
		t.Errorf("loss %v, of the whole batch %v", got, loss)
	}
	grads, want := parts.Gradients(), whole.Gradients()
	if len(grads) != len(want) {
		t.Errorf("%d gradients, want %d", len(grads), len(want))
	}
	for name, g := range want {
		var off, top float64
		for i, v := range g.F32 {
			off, top = max(off, math.Abs(float64(grads[name].F32[i]-v))), max(top, math.Abs(float64(v)))
		}
		if off > bound*max(top, 5e-2) { // a softmax does not see its keys' bias, nor a norm the shift before it: there it is rounding
			t.Errorf("gradient of %s: off by %.2g of %.2g", name, off, top)
		}
	}
}

func testVolumes(r *rand.Rand, n int) net.Tensor {
	x := net.Tensor{Shape: []int{n, 1, 8, 16, 12}, F32: make([]float32, n*8*16*12)}
	for i := range x.F32 {
		x.F32[i] = float32(r.NormFloat64())
	}
	return x
}

func testIDs(r *rand.Rand, below int, shape ...int) net.Tensor {
	t := net.Tensor{Shape: shape, I32: make([]int32, net.Size(shape))}
	for i := range t.I32 {
		t.I32[i] = int32(r.IntN(below))
	}
	return t
}

// moved gives statistics that are not those of a start.
func moved(all map[string]net.Tensor, r *rand.Rand) map[string]net.Tensor {
	for _, name := range slices.Sorted(maps.Keys(all)) { // always the same numbers
		v := all[name]
		for i := range v.F32 {
			switch {
			case len(name) > 12 && name[len(name)-12:] == "running_mean":
				v.F32[i] = float32(r.NormFloat64()) / 4
			case len(name) > 11 && name[len(name)-11:] == "running_var":
				v.F32[i] = 0.5 + r.Float32()
			}
		}
	}
	return all
}

func compiled(t *testing.T, p engine.Program, err error, all map[string]net.Tensor) engine.Program {
	t.Helper()
	if err == nil {
		err = p.Load(all)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Batches in parts have the whole batch's gradient, where batch normalisation does not look at the batch: of labels of which
// parts know more and fewer, and, in two passes, of a contrastive loss over all of them.
func TestAccumulatedIsTheWholeBatch(t *testing.T) {
	r, bound := rand.New(rand.NewPCG(3, 4)), pick(simd.Level == "go", 2e-5, 1e-5)
	x := testVolumes(r, 6)
	t.Run("labels", func(t *testing.T) {
		in := map[string]net.Tensor{"x": x, "labels": testIDs(r, 3, 6, 4), "pos_weight": {Shape: []int{4}, F32: []float32{1, 2, 0.5, 3}}}
		for i := range in["labels"].I32 {
			in["labels"].I32[i]--
		}
		for i := range 8 {
			in["labels"].I32[i] = -1 // a part that knows nothing
		}
		g, err := net.Supervised(net.ResNet3D{Width: 4, Classes: 4, FrozenBN: true}, true, true)
		if err != nil {
			t.Fatal(err)
		}
		shapes, first := map[string][]int{"x": x.Shape, "labels": {6, 4}, "pos_weight": {4}}, moved(g.Init(1), r)
		whole, err := engine.Gorgonia().Compile(g, shapes, true)
		whole = compiled(t, whole, err, first)
		for _, n := range []int{1, 3, 6} {
			p, err := Accumulate(engine.Gorgonia(), net.Split{Towers: g}, shapes, n)
			same(t, whole, compiled(t, p, err, first), in, bound)
		}
		if _, err := Accumulate(engine.Gorgonia(), net.Split{Towers: g}, shapes, 4); err == nil {
			t.Error("6 volumes in 4 parts")
		}
	})
	pairs := func(t *testing.T, given int, losses []net.Weighted) {
		o := net.CLIP{Losses: losses, Classes: 4, Given: given, Visual: net.ResNet3D{Width: 4, FrozenBN: true}, Dim: 20,
			Text: net.Bert{Layers: 2, Hidden: 24, Heads: 3, Intermediate: 40, Vocab: 30, MaxPositions: 12}}
		in := map[string]net.Tensor{"x": x, "input_ids": testIDs(r, 30, 6, 9), "attention_mask": testIDs(r, 2, 6, 9),
			"labels": testIDs(r, 2, 6, 4), "classes": testIDs(r, 3, 6), "pos_weight": {Shape: []int{4}, F32: []float32{1, 2, 0.5, 3}},
			"text_features": {Shape: []int{6, given}, F32: x.F32[:6*given]}}
		for n := range 6 {
			in["attention_mask"].I32[9*n] = 1
		}
		g, err := net.NewCLIP(o)
		if err != nil {
			t.Fatal(err)
		}
		shapes, first := map[string][]int{"x": x.Shape, "input_ids": {6, 9}, "attention_mask": {6, 9}, "labels": {6, 4}, "classes": {6}, "pos_weight": {4}, "text_features": {6, given}}, moved(g.Init(1), r)
		whole, err := engine.Gorgonia().Compile(g, shapes, true)
		whole = compiled(t, whole, err, first)
		for _, n := range []int{2, 6} {
			s, err := net.SplitCLIP(o, 6)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Accumulate(engine.Gorgonia(), s, shapes, n)
			p = compiled(t, p, err, first)
			same(t, whole, p, in, bound)
			same(t, whole, p, in, bound) // sums begin anew
		}
		if e := engines(t)["xla"]; e != nil { // beside its own whole: where a ReLU's input is near 0, engines part, and a GPU's algorithms for other batches (4e-4 on an H100)
			whole, err := e.Compile(g, shapes, true)
			whole = compiled(t, whole, err, first)
			s, err := net.SplitCLIP(o, 6)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Accumulate(e, s, shapes, 2)
			p = compiled(t, p, err, first)
			same(t, whole, p, in, 1e-3)
			same(t, whole, p, in, 1e-3)
		}
	}
	t.Run("pairs", func(t *testing.T) { pairs(t, 0, nil) })
	t.Run("pairs of given vectors", func(t *testing.T) { pairs(t, 10, nil) })
	t.Run("pairs and more", func(t *testing.T) {
		pairs(t, 0, []net.Weighted{{Op: net.Contrastive{Normalize: true, Scale: "learned", Start: 5, Targets: "labels"}, Weight: 1}, {Op: net.BCE{}, Weight: 2, PosWeight: true}, {Op: net.SupCon{Temperature: 0.5}, Weight: 0.5}})
	})
}

// Where batch normalisation does look, its running statistics move once a part, in either kind of loss.
func TestAccumulatedMovesStatisticsOncePerPart(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	o := net.CLIP{Visual: net.ResNet3D{Width: 4}, Dim: 8, Text: net.Bert{Layers: 1, Hidden: 8, Heads: 1, Intermediate: 8, Vocab: 30, MaxPositions: 12}}
	s, err := net.SplitCLIP(o, 4)
	if err != nil {
		t.Fatal(err)
	}
	g, _ := net.NewCLIP(o)
	in := map[string]net.Tensor{"x": testVolumes(r, 4), "input_ids": testIDs(r, 30, 4, 5), "attention_mask": testIDs(r, 1, 4, 5)}
	for i := range in["attention_mask"].I32 {
		in["attention_mask"].I32[i] = 1
	}
	p, err := Accumulate(engine.Gorgonia(), s, map[string][]int{"x": in["x"].Shape, "input_ids": {4, 5}, "attention_mask": {4, 5}}, 2)
	p = compiled(t, p, err, g.Init(1))
	if _, err := p.Run(in); err != nil {
		t.Fatal(err)
	}
	after := p.Export()
	if n, head := after["visual.stem.1.num_batches_tracked"].I64[0], after["visual_norm.num_batches_tracked"].I64[0]; n != 2 || head != 1 {
		t.Errorf("counts of batches %d and %d, want 2 of the tower and 1 of the head", n, head)
	}
	if want := g.Init(1); len(after) != len(want) {
		t.Errorf("%d tensors, want the %d of the net", len(after), len(want))
	}
}

// A training in parts goes on from its checkpoint to the same bits.
func TestAccumulatedTrainingGoesOn(t *testing.T) {
	for _, recipe := range []string{Supervised, Clip} {
		o := Options{Recipe: recipe, Width: 8, Epochs: 2, Batch: 4, Accumulate: 2, Recompute: true, Checkpoint: -1}
		weights := func(stop int) map[string]net.Tensor {
			dir := t.TempDir()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if stop > 0 {
				_, err := train(ctx, engine.Gorgonia(), toy(8), nil, "", dir, o, func(p Progress) {
					if p.Step == stop {
						cancel()
					}
				})
				if err == nil {
					t.Fatal("was not stopped")
				}
			}
			if _, err := train(t.Context(), engine.Gorgonia(), toy(8), nil, "", dir, o, nil); err != nil {
				t.Fatal(err)
			}
			_, all, err := loadWeights(dir)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		if !maps.EqualFunc(weights(0), weights(3), func(a, b net.Tensor) bool { return string(bytesOf(a)) == string(bytesOf(b)) }) {
			t.Errorf("%s: other weights after a stop", recipe)
		}
	}
}

func bytesOf(t net.Tensor) []byte {
	b, err := net.EncodeSafetensors(map[string]net.Tensor{"": t}, nil)
	if err != nil {
		panic(err)
	}
	return b
}
