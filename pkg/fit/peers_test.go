package fit

import (
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// cpuSeconds is what this process has used of all cores.
func cpuSeconds() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	at := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return at(u.Utime) + at(u.Stime)
}

// BenchmarkPeer is what testdata/peers.py runs beside PyTorch: a CT r3d_18 at full width forward and in training steps with
// AdamW, and BERT-base likewise.
func BenchmarkPeer(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	volumes := func(n, d, h, w int) map[string]net.Tensor {
		x := net.Tensor{Shape: []int{n, 1, d, h, w}, F32: make([]float32, n*d*h*w)}
		for i := range x.F32 {
			x.F32[i] = float32(r.NormFloat64())
		}
		return map[string]net.Tensor{"x": x}
	}
	texts := func() map[string]net.Tensor {
		ids, mask := net.Tensor{Shape: []int{10, 128}, I32: make([]int32, 1280)}, net.Tensor{Shape: []int{10, 128}, I32: slices.Repeat([]int32{1}, 1280)}
		for i := range ids.I32 {
			ids.I32[i] = int32(r.IntN(30522))
		}
		return map[string]net.Tensor{"input_ids": ids, "attention_mask": mask}
	}
	vision := net.Spec{R3D18: &net.ResNet3D{Width: 64, Classes: 18}}
	text := net.Spec{Bert: &net.Bert{Layers: 12, Hidden: 768, Heads: 12, Intermediate: 3072, Vocab: 30522, MaxPositions: 512, Classes: 18}}
	for name, c := range map[string]struct {
		spec             net.Spec
		in               func() map[string]net.Tensor
		train, recompute bool
	}{
		"forward":       {vision, func() map[string]net.Tensor { return volumes(1, 48, 96, 96) }, false, false},
		"step":          {vision, func() map[string]net.Tensor { return volumes(1, 48, 96, 96) }, true, false},
		"recompute":     {vision, func() map[string]net.Tensor { return volumes(1, 48, 96, 96) }, true, true},
		"step64":        {vision, func() map[string]net.Tensor { return volumes(2, 64, 64, 64) }, true, false},
		"step192":       {vision, func() map[string]net.Tensor { return volumes(1, 96, 192, 192) }, true, false},
		"recompute192":  {vision, func() map[string]net.Tensor { return volumes(1, 96, 192, 192) }, true, true},
		"bert":          {text, texts, false, false},
		"bertstep":      {text, texts, true, false},
		"bertrecompute": {text, texts, true, true},
	} {
		for dtype, e := range map[string]engine.Engine{"f32": engine.Gorgonia(), "bf16": engine.BF16()} {
			b.Run(name+"/"+dtype, func(b *testing.B) {
				g, err := c.spec.Graph()
				in := c.in()
				if c.train {
					g, err = c.spec.Training(false)
					for _, t := range in {
						in["labels"] = net.Tensor{Shape: []int{t.Shape[0], 18}, I32: make([]int32, t.Shape[0]*18)}
						break
					}
				}
				if err == nil {
					g.Recompute = c.recompute
				}
				peer(b, e, g, err, in, c.train)
			})
		}
	}
}

// peer times runs of a net, in training with the optimizer's step, and reports the median of their CPU-seconds.
func peer(b *testing.B, e engine.Engine, g *net.Graph, err error, in map[string]net.Tensor, train bool) {
	if err != nil {
		b.Fatal(err)
	}
	shapes := map[string][]int{}
	for n, t := range in {
		shapes[n] = t.Shape
	}
	p, err := e.Compile(g, shapes, train)
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Load(g.Init(1)); err != nil {
		b.Fatal(err)
	}
	debug.FreeOSMemory() // as Train does
	adam := AdamW{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Decay: 0.05}
	if train {
		adam.Bind(p.Params(), nil)
	}
	var seconds []float64
	for i := 0; b.Loop(); i++ {
		start := cpuSeconds()
		if _, err := p.Run(in); err != nil {
			b.Fatal(err)
		}
		if train {
			adam.Step(1e-4, 1)
		}
		if i > 0 { // the first warms up
			seconds = append(seconds, cpuSeconds()-start)
		}
	}
	if slices.Sort(seconds); len(seconds) > 0 {
		b.ReportMetric(seconds[len(seconds)/2], "cpu-s")
	}
	b.ReportMetric(peakMB(), "peak-MB")
}

// peakMB is the largest resident set that this process had, in 10^6 bytes (getrusage(2) has units of 1024 on Linux).
func peakMB() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Maxrss) * 1024 / 1e6
}
