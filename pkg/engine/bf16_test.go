package engine

import (
	"math/rand/v2"
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

// A convolution in bf16 is the one in float32 of numbers rounded to bf16, forward and for the gradient of its input.
func TestConvolutionInBF16(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		for _, c := range []struct{ i, o, k, s int }{{16, 32, 3, 1}, {6, 20, 3, 2}, {3, 8, 3, 1}, {34, 64, 1, 2}, {32, 2, 3, 1}} {
			r := rand.New(rand.NewPCG(4, 5))
			x, g := randomF32(r, 2, c.i, 3, 4, 5), geometry{c.k, c.s, c.k / 2}
			w := randomF32(r, c.o, c.i, c.k, c.k, c.k)
			simd.Round(x.F32, x.F32)
			simd.Round(w.F32, w.F32)
			results := func(half bool) (y, gx []float32) {
				p := newParam(&net.Param{Name: "w", Shape: w.Shape}, true)
				if err := p.Load(map[string]net.Tensor{"w": w}); err != nil {
					t.Fatal(err)
				}
				in := newValue(x.Shape)
				out := newValue([]int{2, c.o, convExtent(3, c.s), convExtent(4, c.s), convExtent(5, c.s)})
				in.data, in.grad, out.grad = make([]float32, in.size()), make([]float32, in.size()), make([]float32, out.size())
				in.enter(in.data, x.F32)
				k := newConv(g, newWeight(p, true, true, half), in, out, "", mode{grads: true})
				k.w.pack()
				k.lower(in, in.data)
				for nd := range out.n * out.d {
					k.plane(nd)
				}
				seed := rand.New(rand.NewPCG(6, 7))
				up := randomF32(seed, out.shape...)
				simd.Round(up.F32, up.F32)
				out.enter(out.grad, up.F32)
				k.lower(out, out.grad)
				for nd := range in.n * in.d {
					k.gradPlane(nd, in.grad, false)
				}
				return k.raw, in.grad
			}
			y, gx := results(true)
			wantY, wantGX := results(false)
			near(t, "result", y, wantY, 1e-6)
			near(t, "gradient", gx, wantGX, 1e-6)
		}
	})
}

func convExtent(n, stride int) int { return (n-1)/stride + 1 }

// A net trained in bf16 learns a batch.
func TestOverfitsInBF16(t *testing.T) { overfits(t, BF16()) }
