package fit

import (
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// TestFullSize takes three steps of either training, in parts of one study, with recomputation. With SILVERBEAM_FULL it is
// the published configuration: width 64, 96 x 192 x 192 voxels, batches of 10, a text tower of BERT-base's size on 128 tokens,
// which must fit in 20 GiB; it then takes CPU hours. Otherwise it is a small net, to see that the test works.
func TestFullSize(t *testing.T) {
	vision, text, x, tokens := net.ResNet3D{Width: 4, Classes: 18}, net.Bert{Layers: 1, Hidden: 16, Heads: 2, Intermediate: 32, Vocab: 50, MaxPositions: 16}, []int{10, 1, 12, 24, 24}, 8
	if os.Getenv("SILVERBEAM_FULL") != "" {
		vision.Width, x, tokens = 64, []int{10, 1, 96, 192, 192}, 128
		text = net.Bert{Layers: 12, Hidden: 768, Heads: 12, Intermediate: 3072, Vocab: 30522, MaxPositions: 512}
	}
	n, r := x[0], rand.New(rand.NewPCG(1, 2))
	volumes := net.Tensor{Shape: x, F32: make([]float32, net.Size(x))}
	for i := range volumes.F32 {
		volumes.F32[i] = float32(r.NormFloat64())
	}
	three := func(name string, s net.Split, first map[string]net.Tensor, in map[string]net.Tensor) {
		s.Towers.Recompute = true
		shapes := map[string][]int{}
		for name, v := range in {
			shapes[name] = v.Shape
		}
		p, err := Accumulate(engine.Gorgonia(), s, shapes, n)
		p = compiled(t, p, err, first)
		adam := &AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.05}
		d := newDescent(p, adam, nil, 1)
		for step := range 3 {
			began, cpu := time.Now(), processCPU()
			rec := Record{Step: step, LR: 1e-4}
			if err := d.step(in, &rec); err != nil {
				t.Fatal(err)
			}
			t.Logf("%s, step %d: loss %.4f, gradient %.3g; %.0f s, %.0f CPU-s, peak %.0f MB", name, step, rec.Loss, rec.GradNorm,
				time.Since(began).Seconds(), processCPU()-cpu, peakMB())
		}
		if got := peakMB(); got > 20<<30/1e6 {
			t.Errorf("%s: %.0f MB, want at most 20 GiB", name, got)
		}
	}
	g, err := net.Supervised(vision, true, false)
	if err != nil {
		t.Fatal(err)
	}
	three("supervised", net.Split{Towers: g}, g.Init(1), map[string]net.Tensor{"x": volumes, "labels": testIDs(r, 2, n, 18)})
	vision.Classes = 0
	o := net.CLIP{Visual: vision, Text: text, Dim: 512}
	s, err := net.SplitCLIP(o, n)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := net.NewCLIP(o)
	if err != nil {
		t.Fatal(err)
	}
	three("clip", s, pair.Init(1), map[string]net.Tensor{"x": volumes, "input_ids": testIDs(r, text.Vocab, n, tokens),
		"attention_mask": {Shape: []int{n, tokens}, I32: slices.Repeat([]int32{1}, n*tokens)}})
}
