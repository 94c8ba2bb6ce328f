package engine

import (
	"math"
	"strings"
	"testing"

	"silverbeam/pkg/net"
)

// oracle is a file of testdata, which make.py writes with PyTorch, by kind of tensor ("w", "in", "out", "grad", "after").
func oracle(t *testing.T, file string) map[string]map[string]net.Tensor {
	t.Helper()
	all, _, err := net.LoadSafetensors("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]map[string]net.Tensor{}
	for n, v := range all {
		kind, name, _ := strings.Cut(n, "/")
		if kinds[kind] == nil {
			kinds[kind] = map[string]net.Tensor{}
		}
		kinds[kind][name] = v
	}
	return kinds
}

// near holds max|a-b|/max|b| to a bound. What is zero but for rounding counts as small as 1e-2: a softmax does not see its
// keys' bias, nor a batch normalisation the scale and bias before it.
func near(t *testing.T, name string, got, want []float32, bound float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d values, want %d", name, len(got), len(want))
		return
	}
	var off, top float64
	for i := range want {
		off = max(off, math.Abs(float64(got[i])-float64(want[i])))
		top = max(top, math.Abs(float64(want[i])))
	}
	if !(off <= bound*max(top, 1e-2)) {
		t.Errorf("%s: off by %.2g of %.2g", name, off, top)
	}
}

// against runs one training step and compares it with PyTorch's in float64, gradients by a bound.
func against(t *testing.T, file string, g *net.Graph, err error, bound float64) {
	if err != nil {
		t.Fatal(err)
	}
	o := oracle(t, file)
	p, err := Gorgonia().Compile(g, shapesOf(o["in"]), true)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Load(o["w"]); err != nil {
		t.Fatal(err)
	}
	out := run(t, p, o["in"])
	for name, want := range o["out"] {
		if _, ok := out[name]; !ok {
			continue // a net in training gives fewer
		}
		near(t, name, out[name].F32, want.F32, 2e-5)
	}
	grads := p.Gradients()
	if len(grads) != len(o["grad"]) {
		t.Errorf("%d gradients, want %d", len(grads), len(o["grad"]))
	}
	for name, want := range o["grad"] {
		near(t, "gradient of "+name, grads[name].F32, want.F32, bound)
	}
	after := p.Export()
	for name, want := range o["after"] {
		if net.IsCount(name) {
			if after[name].I64[0] != want.I64[0] {
				t.Errorf("%s = %d, want %d", name, after[name].I64[0], want.I64[0])
			}
			continue
		}
		near(t, name+" after the step", after[name].F32, want.F32, 2e-5)
	}
}

func TestR3DAgainstPyTorch(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		g, err := net.Supervised(net.ResNet3D{Width: 3, Classes: 5}, true, true)
		against(t, "r3d_18.safetensors", g, err, 3e-5)
	})
}

func TestCLIPAgainstPyTorch(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		g, err := net.NewCLIP(net.CLIP{Visual: net.ResNet3D{Width: 2, Kernel: [3]int{4, 4, 4}}, Dim: 20,
			Text: net.Bert{Layers: 2, Hidden: 24, Heads: 3, Intermediate: 40, Vocab: 30, MaxPositions: 12}})
		against(t, "clip.safetensors", g, err, 1e-3) // float32 sums through batch norms of four values
	})
}

// forward runs a net once and holds its outputs to PyTorch's, of each layer by 1e-5 of the largest value.
func forward(t *testing.T, file string, g *net.Graph, err error, train bool) {
	if err != nil {
		t.Fatal(err)
	}
	o := oracle(t, file)
	if err := g.Match(o["w"]); err != nil {
		t.Fatal(err)
	}
	p, err := Gorgonia().Compile(g, shapesOf(o["in"]), train)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Load(o["w"]); err != nil {
		t.Fatal(err)
	}
	out := run(t, p, o["in"])
	for _, n := range g.Outputs {
		near(t, n.Name, out[n.Name].F32, o["out"][n.Name].F32, 1e-5)
	}
}

func TestForwardAgainstPyTorch(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		t.Run("torchvision's stem", func(t *testing.T) {
			o := net.ResNet3D{Width: 2, Kernel: [3]int{3, 7, 7}, Stride: [3]int{1, 2, 2}, Pad: [3]int{1, 3, 3}, In: 3, Classes: 4, Features: true}
			g, err := net.Supervised(o, false, false)
			forward(t, "r3d_18_eval.safetensors", g, err, false)
		})
		t.Run("statistics of the batch without a loss", func(t *testing.T) {
			g, err := net.Supervised(net.ResNet3D{Width: 3, Classes: 5}, false, false)
			forward(t, "r3d_18.safetensors", g, err, true)
		})
		t.Run("bert", func(t *testing.T) {
			g, err := net.BertEncoder(net.Bert{Layers: 2, Hidden: 24, Heads: 3, Intermediate: 40, Vocab: 30, MaxPositions: 12})
			forward(t, "bert.safetensors", g, err, false)
		})
	})
}

func TestVisionTransformerAgainstPyTorch(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		g, err := net.VisionTransformer(net.ViT3D{Size: [3]int{4, 8, 6}, Patch: [3]int{2, 4, 3}, Hidden: 24, Layers: 2, Heads: 3, Intermediate: 40, Classes: 5}, true, true)
		against(t, "vit_3d.safetensors", g, err, 3e-5)
	})
}

func TestBertClassifierAgainstPyTorch(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		g, err := net.BertClassifier(net.Bert{Layers: 2, Hidden: 24, Heads: 3, Intermediate: 40, Vocab: 30, MaxPositions: 12, Classes: 5}, false)
		against(t, "bert_fit.safetensors", g, err, 3e-5)
	})
}
