package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"silverbeam/pkg/net"
)

// Losses of three pairs of vectors, worked out in double precision.
func TestContrastiveByHand(t *testing.T) {
	image := net.Tensor{Shape: []int{3, 3}, F32: []float32{1, 0, 2, 0, 1, -1, 2, 1, 0}}
	text := net.Tensor{Shape: []int{3, 3}, F32: []float32{1, 1, 1, 0, 2, -1, 1, 0, 1}}
	for name, c := range map[string]struct {
		op   net.Contrastive
		want float64
	}{
		"raw products":          {net.Contrastive{Scale: "none"}, 0.7793855164},
		"cosines over 0.07":     {net.Contrastive{Normalize: true, Scale: "fixed", Start: 1 / 0.07}, 1.6578141847},
		"images to texts alone": {net.Contrastive{Normalize: true, Scale: "fixed", Start: 1 / 0.07, Sides: [2]float64{1, 0}}, 1.5749798796},
		"texts count for more":  {net.Contrastive{Normalize: true, Scale: "fixed", Start: math.Exp(2.6592), Sides: [2]float64{0.25, 0.75}}, 1.6991439546},
		"soft targets":          {net.Contrastive{Normalize: true, Scale: "fixed", Start: 1, Targets: "self"}, 1.0281467894},
		"soft targets, times":   {net.Contrastive{Normalize: true, Scale: "fixed", Start: 1 / 0.07, Targets: "self", TargetScale: 0.07}, 6.9803690354},
		"every pair":            {net.Contrastive{Normalize: true, Scale: "learned", Start: 10, Sigmoid: true}, 2.5360291811},
	} {
		b := newLayerBench(t, c.op, []string{"image", "text"}, map[string]net.Tensor{"image": image, "text": text}, true)
		if c.op.Sigmoid {
			b.params["logit_scale"].Value[0], b.params["logit_bias"].Value[0] = float32(math.Log(10)), -10
		}
		b.kernel.forward()
		if got := float64(b.out.data[0]); math.Abs(got-c.want) > 1e-6*c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// A net whose features several layers read, for a weighted list of losses, has the gradients of finite differences.
func TestManyReadersAndLosses(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	g := &net.Graph{}
	x := g.Input("x", false, net.Unknown, 6)
	h := g.Layer("act", net.Activation{Form: "silu"}, g.Linear(x, "first", 20, true, 0.4))
	unit := g.Layer("unit", net.L2Norm{}, g.Linear(h, "project", 8, false, 0.3))
	h = g.Layer("sum", net.Add{}, h, g.Linear(h, "second", 20, true, 0.3))
	g.Loss = g.Layer("loss", net.Total{Weights: []float64{1, 0.5, 0.25, 2}},
		g.Layer("bce", net.BCE{}, g.Linear(h, "head", 3, true, 0.3), g.Input("labels", true, net.Unknown, 3)),
		g.Layer("supcon", net.SupCon{Temperature: 0.5}, unit, g.Input("classes", true, net.Unknown)),
		g.Layer("recon", net.Recon{Squared: true}, g.Linear(h, "back", 6, true, 0.3), x),
		g.Layer("pairs", net.Contrastive{Scale: "learned", Start: 3}, unit, unit))
	g.Output("loss", g.Loss)
	in := map[string]net.Tensor{"x": randomF32(r, 5, 6), "labels": randomIDs(r, 2, 5, 3), "classes": randomIDs(r, 2, 5)}
	p := compile(t, g, g.Err(), in, true)
	loss := func() float64 { return float64(run(t, p, in)["loss"].F32[0]) }
	loss()
	for _, q := range p.Params() {
		grad, start, slope := slices.Clone(q.Grad), slices.Clone(q.Value), 0.0
		for _, d := range grad {
			slope += float64(d) * float64(d)
		}
		size := 1e-2 / math.Sqrt(slope)
		move := func(by float64) float64 {
			for i := range q.Value {
				q.Value[i] = start[i] + float32(by*size)*grad[i]
			}
			return loss()
		}
		got := (move(1) - move(-1)) / (2 * size)
		copy(q.Value, start)
		if math.Abs(got-slope) > 1e-2*slope+1e-6 {
			t.Errorf("%s: slope %.6g, by differences %.6g", q.Name, slope, got)
		}
	}
}

// Dropout drops by seed, step and layer alone, keeps the mean, and passes the gradient where it kept. Channels and space
// lie otherwise in the engine than in PyTorch's layout, in which elements are counted.
func TestDropout(t *testing.T) {
	dropped := func(shape []int, stream uint64, seed, step int32) (*layerBench, []float32) {
		x := net.Tensor{Shape: shape, F32: make([]float32, net.Size(shape))}
		for i := range x.F32 {
			x.F32[i] = 1
		}
		op := net.Dropout{P: 0.25, Stream: stream}
		b := newLayerBench(t, op, []string{"x", "key"}, map[string]net.Tensor{"x": x, "key": {Shape: []int{2}, I32: []int32{seed, step}}}, true)
		b.kernel.forward()
		return b, slices.Clone(b.out.tensor().F32)
	}
	shape := []int{2, 5, 6, 7, 11}
	b, first := dropped(shape, 1, 3, 4)
	kept := 0
	for _, v := range first {
		if v != 0 && v != float32(1/0.75) {
			t.Fatalf("%v", v)
		}
		if v != 0 {
			kept++
		}
	}
	if share := float64(kept) / float64(len(first)); math.Abs(share-0.75) > 0.03 { // five standard deviations
		t.Errorf("%.3f stay, want 0.75", share)
	}
	b.back(slices.Repeat([]float32{3}, len(first)))
	for i, g := range b.grad("x") {
		if g != 3*first[i] {
			t.Fatalf("gradient %v where %v stayed", g, first[i])
		}
	}
	if _, again := dropped(shape, 1, 3, 4); !slices.Equal(again, first) {
		t.Error("the same seed and step drop others")
	}
	if _, flat := dropped([]int{len(first) / 10, 10}, 1, 3, 4); !slices.Equal(flat, first) {
		t.Error("rows and volumes of the same elements drop others")
	}
	for _, other := range [][3]int32{{2, 3, 4}, {1, 4, 4}, {1, 3, 5}} {
		_, got := dropped(shape, uint64(other[0]), other[1], other[2])
		same := 0
		for i, v := range got {
			if v == first[i] {
				same++
			}
		}
		if share := float64(same) / float64(len(got)); math.Abs(share-0.625) > 0.03 { // 0.75² + 0.25²
			t.Errorf("stream, seed and step %v: %.3f alike, want 0.625", other, share)
		}
	}
}
