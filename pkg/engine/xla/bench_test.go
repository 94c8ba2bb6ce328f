package xla

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
	"unsafe"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// BenchmarkStep is what testdata/gpu.py runs beside PyTorch: a training step with AdamW of a CT r3d_18 at full width, in bf16,
// on a batch of SILVERBEAM_BATCH (NxDxHxW; 10x96x192x192), the next one staged meanwhile. It reports the median step, its arithmetic,
// the memory traffic that XLA counts for it, and the device's largest memory.
func BenchmarkStep(b *testing.B) {
	c := plugin(b)
	shape := []int{10, 1, 96, 192, 192}
	if s := os.Getenv("SILVERBEAM_BATCH"); s != "" {
		if _, err := fmt.Sscanf(s, "%dx%dx%dx%d", &shape[0], &shape[2], &shape[3], &shape[4]); err != nil {
			b.Fatalf("SILVERBEAM_BATCH %q: want NxDxHxW: %v", s, err)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	x := net.Tensor{Shape: shape, F32: make([]float32, net.Size(shape))}
	for i := range x.F32 {
		x.F32[i] = float32(r.NormFloat64())
	}
	in := map[string]net.Tensor{"x": x, "labels": {Shape: []int{shape[0], 18}, I32: make([]int32, 18*shape[0])}}
	g, err := net.Supervised(net.ResNet3D{Width: 64, Classes: 18}, true, false)
	if err != nil {
		b.Fatal(err)
	}
	g.Recompute = os.Getenv("SILVERBEAM_RECOMPUTE") != ""
	compiled, err := xla{c, true}.Compile(g, shapesOf(in), true)
	if err != nil {
		b.Fatal(err)
	}
	p := compiled.(*program)
	defer p.free()
	if err := p.Load(g.Init(1)); err != nil {
		b.Fatal(err)
	}
	u := engine.Update{Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, Clip: 1}
	for _, q := range p.Params() {
		if !q.Buffer {
			n := len(q.Value)
			u.Slots = append(u.Slots, engine.Slot{Param: q, Rate: 1, Decay: 0.05, M: make([]float32, n), V: make([]float32, n)})
		}
	}
	p.Bind(u)
	var stages, seconds []float64          // of a batch to the device, and of a step
	stage := func() <-chan engine.Staged { // the next batch, while a step is taken, as a training does
		out := make(chan engine.Staged, 1)
		go func() {
			start := time.Now()
			s, err := p.Stage(in)
			stages = append(stages, time.Since(start).Seconds())
			if err != nil {
				b.Error(err)
			}
			out <- s
		}()
		return out
	}
	next := stage()
	for i, start := int64(0), time.Now(); b.Loop(); i++ {
		batch := <-next
		next = stage()
		if _, _, err := p.Step(batch, 1e-4, i+1); err != nil {
			b.Fatal(err)
		}
		if i > 1 { // the first compiles, the second warms up
			seconds = append(seconds, time.Since(start).Seconds())
		}
		start = time.Now()
	}
	(<-next).Drop()
	if slices.Sort(seconds); len(seconds) == 0 {
		b.Fatal("want at least three steps: -benchtime 12x")
	}
	slices.Sort(stages)
	median := seconds[len(seconds)/2]
	flops, err := g.StepFLOPs(shapesOf(in))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(1000*median, "ms/step")
	b.ReportMetric(1000*stages[len(stages)/2], "ms/stage")
	b.ReportMetric(flops/median/1e12, "TFLOP/s")
	b.ReportMetric(p.step.compiled.cost("bytes accessed")/median/1e9, "GB/s")
	b.ReportMetric(c.peakMemory()/1e9, "GB")
	b.Logf("%s on %s", c.platform, c.path)
}

// peakMemory is the device's largest use in bytes, 0 where the plugin does not count it.
func (c *client) peakMemory() float64 {
	const memoryStats = 34 // its place in the table
	a := newArgs(c.device)
	if c.call(memoryStats, a) != nil {
		return 0
	}
	return float64(a.words[4])
}

// cost is a figure of the plugin's analysis of a module, 0 where it has none.
func (x *executable) cost(name string) float64 {
	const getExecutable, costAnalysis, executableFree, valueWords = 51, 46, 40, 7 // places in the table; words of a PJRT_NamedValue
	a := newArgs(x.handle)
	if x.c.call(getExecutable, a) != nil {
		return 0
	}
	of := a.words[3]
	defer func() { _ = x.c.call(executableFree, newArgs(of)) }()
	if a = newArgs(of); x.c.call(costAnalysis, a) != nil {
		return 0
	}
	for i := range a.words[3] {
		v := unsafe.Slice((*uintptr)(at(a.words[4]+8*valueWords*i)), valueWords)
		if text(v[2], v[3]) == name {
			return float64(math.Float32frombits(uint32(v[5])))
		}
	}
	return 0
}
