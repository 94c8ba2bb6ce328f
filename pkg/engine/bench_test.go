package engine

import (
	"math/rand/v2"
	"syscall"
	"testing"

	"silverbeam/pkg/net"
)

// cpuSeconds is what this process has used of all cores.
func cpuSeconds() float64 {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	at := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return at(u.Utime) + at(u.Stime)
}

func benchmark(b *testing.B, g *net.Graph, err error, in map[string]net.Tensor) {
	p := compile(b, g, err, in, true)
	run(b, p, in)
	flops, _ := g.StepFLOPs(shapesOf(in))
	start := cpuSeconds()
	for b.Loop() {
		run(b, p, in)
	}
	b.ReportMetric(flops*float64(b.N)/(cpuSeconds()-start)/1e9, "GFLOP/cpu-s")
	b.ReportMetric(flops/1e9, "GFLOP/step")
}

// BenchmarkStep is a training step of the demo's first stage, on volumes of the preset demo.
func BenchmarkStep(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	in := map[string]net.Tensor{"x": randomF32(r, 8, 1, 48, 96, 96), "labels": {Shape: []int{8, 18}, I32: make([]int32, 8*18)}}
	g, err := net.Supervised(net.ResNet3D{Width: 16, Kernel: [3]int{4, 4, 4}, Classes: 18}, true, false)
	benchmark(b, g, err, in)
}

// BenchmarkCLIP is one of its second stage.
func BenchmarkCLIP(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	const n, t = 24, 160
	in := map[string]net.Tensor{"x": randomF32(r, n, 1, 48, 96, 96), "input_ids": randomIDs(r, 3000, n, t), "attention_mask": randomIDs(r, 1, n, t)}
	for i := range in["attention_mask"].I32 {
		in["attention_mask"].I32[i] = 1
	}
	g, err := net.NewCLIP(demoCLIP)
	benchmark(b, g, err, in)
}

var demoCLIP = net.CLIP{Visual: net.ResNet3D{Width: 16, Kernel: [3]int{4, 4, 4}}, Dim: 64,
	Text: net.Bert{Layers: 3, Hidden: 128, Heads: 4, Intermediate: 512, Vocab: 3000, MaxPositions: 160}}

func randomIDs(r *rand.Rand, below int, shape ...int) net.Tensor {
	t := net.Tensor{Shape: shape, I32: make([]int32, net.Size(shape))}
	for i := range t.I32 {
		t.I32[i] = int32(r.IntN(below))
	}
	return t
}
