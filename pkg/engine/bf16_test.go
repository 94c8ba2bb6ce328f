package engine

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// In bf16 results stay within 2e-2 of the largest of PyTorch's values in float64, by pairs where the
// processor has them (avx512) and by rounding (the other levels).
func TestBF16AgainstPyTorch(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		for _, c := range []struct {
			file  string
			train bool
			build func() (*net.Graph, error)
		}{
			{"r3d_18.safetensors", true, func() (*net.Graph, error) { return net.Supervised(net.ResNet3D{Width: 3, Classes: 5}, true, true) }},
			{"r3d_18_eval.safetensors", false, func() (*net.Graph, error) {
				return net.Supervised(net.ResNet3D{Width: 2, Kernel: [3]int{3, 7, 7}, Stride: [3]int{1, 2, 2}, Pad: [3]int{1, 3, 3}, In: 3, Classes: 4, Features: true}, false, false)
			}},
			{"bert.safetensors", false, func() (*net.Graph, error) {
				return net.BertEncoder(net.Bert{Layers: 2, Hidden: 24, Heads: 3, Intermediate: 40, Vocab: 30, MaxPositions: 12})
			}},
		} {
			o := oracle(t, c.file)
			g, err := c.build()
			if err != nil {
				t.Fatal(err)
			}
			p, err := BF16().Compile(g, shapesOf(o["in"]), c.train)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Load(o["w"]); err != nil {
				t.Fatal(err)
			}
			for name, v := range run(t, p, o["in"]) {
				near(t, c.file+" "+name, v.F32, o["out"][name].F32, 2e-2)
			}
		}
	})
}

// A convolution in bf16 is the one in float32 of numbers rounded to bf16, forward and for the gradients of its input and weight.
func TestConvolutionInBF16(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		for _, c := range []struct{ i, o, k, s, w int }{{16, 32, 3, 1, 5}, {16, 32, 3, 1, 6}, {6, 20, 3, 2, 5}, {6, 20, 3, 2, 8}, {3, 8, 3, 1, 5}, {34, 64, 1, 2, 5}, {34, 64, 1, 1, 3}, {32, 2, 3, 1, 5},
			{64, 64, 3, 1, 2}, {64, 32, 3, 2, 1}} {
			r := rand.New(rand.NewPCG(4, 5))
			x, g := randomF32(r, 2, c.i, 3, 4, c.w), geometry{c.k, c.s, c.k / 2}
			w := randomF32(r, c.o, c.i, c.k, c.k, c.k)
			simd.Round(x.F32, x.F32)
			simd.Round(w.F32, w.F32)
			results := func(half bool) (y, gx, gw []float32) {
				p := newParam(&net.Param{Name: "w", Shape: w.Shape}, true)
				if err := p.Load(map[string]net.Tensor{"w": w}); err != nil {
					t.Fatal(err)
				}
				in := newValue(x.Shape)
				out := newValue([]int{2, c.o, convExtent(3, c.s), convExtent(4, c.s), convExtent(c.w, c.s)})
				in.data, in.grad, out.grad = make([]float32, in.size()), make([]float32, in.size()), make([]float32, out.size())
				in.enter(in.data, x.F32)
				m, f := mode{grads: true}, formOf(half, c.i, c.o)
				k := newConv(g, newWeight(p, f, true, "", m), in, out, "", m)
				k.w.packForward()
				k.lower(in, in.data)
				y = make([]float32, out.places()*out.cp)
				for nd := range out.n * out.d {
					k.plane(nd, y[nd*out.h*out.w*out.cp:])
				}
				seed := rand.New(rand.NewPCG(6, 7))
				grad := randomF32(seed, out.shape...)
				simd.Round(grad.F32, grad.F32)
				out.enter(out.grad, grad.F32)
				if k.up != nil {
					simd.Pairs(k.up, out.grad)
				} else {
					k.lower(out, out.grad)
				}
				k.w.packBackward()
				for nd := range in.n * in.d {
					k.gradPlane(nd, in.grad, false)
				}
				k.gradWeight()
				return y, in.grad, p.Grad
			}
			y, gx, gw := results(true)
			wantY, wantGX, wantGW := results(false)
			near(t, "result", y, wantY, 1e-6)
			near(t, "gradient", gx, wantGX, 1e-6)
			near(t, "weight's gradient", gw, wantGW, 1e-6)
		}
	})
}

// So is a linear layer, for rows odd and even in number.
func TestLinearInBF16(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		for _, c := range []struct{ i, o, rows int }{{32, 48, 6}, {34, 18, 7}, {70, 130, 301}, {16, 6, 1}} {
			r := rand.New(rand.NewPCG(4, 6))
			w, x, up := randomF32(r, c.o, c.i), randomF32(r, c.rows, c.i), randomF32(r, c.rows, c.o)
			for _, v := range []net.Tensor{w, x, up} {
				simd.Round(v.F32, v.F32)
			}
			results := func(half bool) [3][]float32 {
				p := newParam(&net.Param{Name: "w", Shape: w.Shape}, true)
				if err := p.Load(map[string]net.Tensor{"w": w}); err != nil {
					t.Fatal(err)
				}
				in, out := newValue(x.Shape), newValue(up.Shape)
				for _, v := range []*value{in, out} {
					v.data, v.grad = make([]float32, v.size()), make([]float32, v.size())
				}
				in.enter(in.data, x.F32)
				out.enter(out.grad, up.F32)
				k := &linearNode{newLinear(p, nil, c.rows, true, "", mode{grads: true, half: half}), in, out}
				k.forward()
				k.backward()
				return [3][]float32{out.data, in.grad, p.Grad}
			}
			got, want := results(true), results(false)
			for i, name := range []string{"result", "gradient", "weight's gradient"} {
				near(t, name, got[i], want[i], 1e-6)
			}
		}
	})
}

// The gradients of a whole net's convolutions in bf16 point where those in float32 do (batch normalisation of a few places makes much
// of rounding); all are the same bits at any number of threads, recomputed, and whatever
// columns of pairs hold at a time.
func TestGradientsInBF16(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	in := map[string]net.Tensor{"x": randomF32(r, 3, 1, 12, 20, 22), "labels": randomIDs(r, 2, 3, 5)}
	gradients := func(e Engine, width int, again bool) map[string]net.Tensor {
		g, err := net.Supervised(net.ResNet3D{Width: width, Kernel: [3]int{2, 2, 2}, Classes: 5}, true, false)
		if err != nil {
			t.Fatal(err)
		}
		g.Recompute = again
		p, err := e.Compile(g, shapesOf(in), true)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Load(g.Init(3)); err != nil {
			t.Fatal(err)
		}
		run(t, p, in)
		return p.Gradients()
	}
	limit, threads := slabLimit, runtime.GOMAXPROCS(0)
	t.Cleanup(func() { slabLimit = limit; runtime.GOMAXPROCS(threads) })
	for _, width := range []int{16, 17, 6} {
		want, got := gradients(Gorgonia(), width, false), gradients(BF16(), width, false)
		for name, w := range want {
			var ww, gg, wg float64
			for i, v := range w.F32 {
				g := got[name].F32[i]
				ww, gg, wg = ww+float64(v*v), gg+float64(g*g), wg+float64(v*g)
			}
			if cos := wg / math.Sqrt(ww*gg); len(w.Shape) == 5 && !(cos > 0.85) {
				t.Errorf("width %d: %s: cosine to float32's %.4f", width, name, cos)
			}
		}
		for _, c := range []struct {
			slab, threads int
			again         bool
		}{{1, 3, false}, {20000, 1, true}} {
			slabLimit = c.slab
			runtime.GOMAXPROCS(c.threads)
			for name, g := range gradients(BF16(), width, c.again) {
				if !slices.Equal(g.F32, got[name].F32) {
					t.Errorf("width %d, %+v: %s differs", width, c, name)
				}
			}
			slabLimit = limit
			runtime.GOMAXPROCS(threads)
		}
	}
}

func convExtent(n, stride int) int { return (n-1)/stride + 1 }

// A net trained in bf16 learns a batch.
func TestOverfitsInBF16(t *testing.T) { overfits(t, BF16()) }
