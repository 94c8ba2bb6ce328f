package engine

import (
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"silverbeam/pkg/net"
)

// What is computed again is the same bits: results, gradients and running statistics, in f32 and bf16.
func TestRecomputeIsTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	clip := net.CLIP{Visual: net.ResNet3D{Width: 8, Kernel: [3]int{4, 4, 4}}, Dim: 20,
		Text: net.Bert{Layers: 3, Hidden: 24, Heads: 3, Intermediate: 40, Vocab: 30, MaxPositions: 12}}
	in := map[string]net.Tensor{"x": randomF32(r, 3, 1, 16, 24, 20), "input_ids": randomIDs(r, 30, 3, 9), "attention_mask": randomIDs(r, 2, 3, 9)}
	for n := range 3 {
		in["attention_mask"].I32[9*n] = 1
	}
	var keep []Program // so that what is given back between two looks is none of them
	for name, e := range map[string]Engine{"f32": Gorgonia(), "bf16": BF16()} {
		var seen []map[string]net.Tensor
		var size [2]int64
		for i, again := range []bool{false, true} {
			g, err := net.NewCLIP(clip)
			if err != nil {
				t.Fatal(err)
			}
			g.Recompute = again
			before := heap()
			p := compileOn(t, e, g, nil, in, true)
			size[i] = heap() - before
			keep = append(keep, p)
			for range 2 {
				out := maps.Clone(run(t, p, in))
				for n, v := range out {
					v.F32 = slices.Clone(v.F32)
					out[n] = v
				}
				seen = append(seen, out, p.Gradients(), p.Export())
			}
		}
		for i, want := range seen[:6] {
			for n, v := range want {
				if got := seen[6+i][n]; !slices.Equal(got.F32, v.F32) || !slices.Equal(got.I64, v.I64) {
					t.Fatalf("%s: %s differs", name, n)
				}
			}
		}
		if size[1] >= size[0] {
			t.Errorf("%s: %d bytes with recomputation, %d without", name, size[1], size[0])
		}
	}
	runtime.KeepAlive(keep)
}

// heap is what is in use, in bytes.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools hold goes at the second
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A step leaves no garbage of size: buffers are the program's.
func TestStepAllocatesNothingOfSize(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	g, err := net.Supervised(net.ResNet3D{Width: 8, Kernel: [3]int{4, 4, 4}, Classes: 3}, true, false)
	in := map[string]net.Tensor{"x": randomF32(r, 2, 1, 32, 48, 48), "labels": randomIDs(r, 2, 2, 3)}
	p := compile(t, g, err, in, true)
	run(t, p, in)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const steps = 10
	for range steps {
		run(t, p, in)
	}
	runtime.ReadMemStats(&after)
	if got := int(after.TotalAlloc-before.TotalAlloc) / steps; got > 256<<10 {
		t.Errorf("%d bytes a step, of activations of megabytes", got)
	}
}
