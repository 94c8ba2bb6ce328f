package net

import (
	"fmt"
	"math"
	"slices"
)

// The layers of this file stand alone: any net can be put together from them, by Layer.

// Layer appends a layer; its parameters are named under the layer's own name and a dot.
func (g *Graph) Layer(name string, op Op, in ...*Node) *Node { return g.add(name, name+".", op, in...) }

// Conv is a 3D convolution (a 2D one has depth 1). Params: weight [Out, I, D, H, W], bias if Bias.
type Conv struct {
	Out                 int
	Kernel, Stride, Pad [3]int
	Dilation            int // 0: 1
	Bias                bool
}

func (Conv) Kind() string { return "conv" }

// Reach is how far a kernel's last tap is from its first, plus one.
func (o Conv) Reach(axis int) int { return (o.Kernel[axis]-1)*max(1, o.Dilation) + 1 }

func (o Conv) infer(in [][]int) ([]int, error) {
	reach := [3]int{o.Reach(0), o.Reach(1), o.Reach(2)}
	return ConvBN{Out: o.Out, Kernel: reach, Stride: o.Stride, Pad: o.Pad}.infer(in)
}
func (o Conv) params(in [][]int) []*Param {
	w := convWeight("", o.Out, in[0][1], o.Kernel)
	w.Name = "weight"
	if !o.Bias {
		return []*Param{w}
	}
	return []*Param{w, {Name: "bias", Shape: []int{o.Out}}}
}
func (o Conv) flops(in [][]int, out []int) float64 { return ConvBN{Kernel: o.Kernel}.flops(in, out) }

// GroupNorm normalises groups of channels of each sample over space (Wu and He 2018): [N, C, D, H, W], C a multiple of
// Groups. Params: weight, bias.
type GroupNorm struct {
	Groups int
	Eps    float64
}

func (GroupNorm) Kind() string { return "groupnorm" }
func (o GroupNorm) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 5, "input"); err != nil {
		return nil, err
	}
	if o.Groups < 1 || in[0][1]%o.Groups != 0 {
		return nil, fmt.Errorf("%d channels are not a multiple of %d groups", in[0][1], o.Groups)
	}
	return in[0], nil
}
func (GroupNorm) params(in [][]int) []*Param   { return bnParams("", in[0][1])[:2] }
func (GroupNorm) flops([][]int, []int) float64 { return 0 }

// LayerNorm normalises over the last axis (Ba et al. 2016). Params: weight, bias.
type LayerNorm struct{ Eps float64 }

func (LayerNorm) Kind() string                    { return "layernorm" }
func (LayerNorm) infer(in [][]int) ([]int, error) { return last(in) }
func (LayerNorm) params(in [][]int) []*Param      { return bnParams("", in[0][len(in[0])-1])[:2] }
func (LayerNorm) flops([][]int, []int) float64    { return 0 }

// Activation is a function of each element: relu, gelu (x·Φ(x)), gelu_tanh (its approximation, Hendrycks and Gimpel
// 2016), quick_gelu (x·σ(1.702x)), silu (x·σ(x)) or sigmoid.
type Activation struct{ Form string }

// Activations are the forms.
var Activations = []string{"relu", "gelu", "gelu_tanh", "quick_gelu", "silu", "sigmoid"}

func (o Activation) Kind() string { return o.Form }
func (o Activation) infer(in [][]int) ([]int, error) {
	if !slices.Contains(Activations, o.Form) {
		return nil, fmt.Errorf("want one of %v", Activations)
	}
	return in[0], nil
}
func (Activation) params([][]int) []*Param      { return nil }
func (Activation) flops([][]int, []int) float64 { return 0 }

// MaxPool takes the largest of each window; the padding is smaller than all. Where several are largest the gradient goes
// to the first, in the order of D, H, W. An input that is NaN is not looked for.
type MaxPool struct{ Kernel, Stride, Pad [3]int }

func (MaxPool) Kind() string { return "maxpool" }
func (o MaxPool) infer(in [][]int) ([]int, error) {
	for i, p := range o.Pad {
		if 2*p > o.Kernel[i] {
			return nil, fmt.Errorf("padding %v is more than half the kernel %v", o.Pad, o.Kernel)
		}
	}
	c := Conv{Kernel: o.Kernel, Stride: o.Stride, Pad: o.Pad}
	if len(in[0]) > 1 {
		c.Out = in[0][1]
	}
	return c.infer(in)
}
func (MaxPool) params([][]int) []*Param      { return nil }
func (MaxPool) flops([][]int, []int) float64 { return 0 }

// Embedding takes rows of a table: ids of any shape int32 to [..., Width]. Params: weight [Rows, Width].
type Embedding struct {
	Rows, Width int
	Padding     int // the row that is never trained, as PyTorch's padding_idx; below 0: none
}

func (Embedding) Kind() string                      { return "embedding" }
func (o Embedding) infer(in [][]int) ([]int, error) { return append(slices.Clone(in[0]), o.Width), nil }
func (o Embedding) params([][]int) []*Param {
	return []*Param{{Name: "weight", Shape: []int{o.Rows, o.Width}, Init: Init{Std: 1}}}
}
func (Embedding) flops([][]int, []int) float64 { return 0 }

// Softmax is over the last axis.
type Softmax struct{}

func (Softmax) Kind() string                    { return "softmax" }
func (Softmax) infer(in [][]int) ([]int, error) { return last(in) }
func (Softmax) params([][]int) []*Param         { return nil }
func (Softmax) flops([][]int, []int) float64    { return 0 }

// Attention is PyTorch's MultiheadAttention, batch first: queries from x [N, T, E]; keys and values from the same or,
// with Cross, from a second input [N, S, E]. With Masked a last input [N, S] int32 says which keys are there (not 0).
// Params: in_proj_weight [3E, E] (q, k, v), in_proj_bias, out_proj.weight, out_proj.bias.
type Attention struct {
	Heads         int
	Causal        bool // a query sees the keys up to its own place
	Cross, Masked bool
}

func (Attention) Kind() string { return "attention" }
func (o Attention) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 3, "input"); err != nil {
		return nil, err
	}
	if e := in[0][2]; o.Heads < 1 || e%o.Heads != 0 {
		return nil, fmt.Errorf("width %d is not a multiple of %d heads", e, o.Heads)
	}
	keys := o.keys(in)
	if len(keys) != 3 || !same(keys[0], in[0][0]) || keys[2] != in[0][2] {
		return nil, fmt.Errorf("keys of shape %v do not fit queries of shape %v", keys, in[0])
	}
	if m := in[len(in)-1]; o.Masked && (len(m) != 2 || !same(m[0], keys[0]) || !same(m[1], keys[1])) {
		return nil, fmt.Errorf("mask of shape %v does not fit keys of shape %v", m, keys)
	}
	return in[0], nil
}
func (o Attention) keys(in [][]int) []int {
	if o.Cross {
		return in[1]
	}
	return in[0]
}
func (Attention) params(in [][]int) []*Param {
	e := in[0][2]
	std := 1 / math.Sqrt(float64(e))
	return append([]*Param{{Name: "in_proj_weight", Shape: []int{3 * e, e}, Init: Init{Std: std}}, {Name: "in_proj_bias", Shape: []int{3 * e}}},
		linearParams("out_proj", e, e, std, true)...)
}
func (o Attention) flops(in [][]int, _ []int) float64 {
	n, t, e, s := float64(in[0][0]), float64(in[0][1]), float64(in[0][2]), float64(o.keys(in)[1])
	return n * (4*t*e*e + 4*s*e*e + 4*t*s*e)
}

// CE is the mean cross entropy of logits [N, C] with classes [N] int32; 0 where all are Ignore.
type CE struct {
	Smoothing float64 // this share of the target is spread over all classes (Szegedy et al. 2016)
	Ignore    int32   // a class that is left out; PyTorch's default is -100
}

func (CE) Kind() string { return "ce" }
func (CE) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 2, "logits"); err != nil {
		return nil, err
	}
	if len(in[1]) != 1 || !same(in[1][0], in[0][0]) {
		return nil, fmt.Errorf("classes of shape %v do not fit logits of shape %v", in[1], in[0])
	}
	return []int{}, nil
}
func (CE) params([][]int) []*Param      { return nil }
func (CE) flops([][]int, []int) float64 { return 0 }

// SigLIP is the pairwise sigmoid loss of two sets of unit vectors [N, E] whose rows belong together (Zhai et al. 2023,
// algorithm 1). Params: logit_scale, the logarithm of the logits' factor, from ln 10; logit_bias, from -10.
type SigLIP struct{}

func (SigLIP) Kind() string                    { return "siglip" }
func (SigLIP) infer(in [][]int) ([]int, error) { return InfoNCE{}.infer(in) }
func (SigLIP) params([][]int) []*Param {
	return []*Param{{Name: "logit_scale", Shape: []int{}, Init: Init{Mean: math.Log(10)}}, {Name: "logit_bias", Shape: []int{}, Init: Init{Mean: -10}}}
}
func (SigLIP) flops(in [][]int, out []int) float64 { return InfoNCE{}.flops(in, out) }

func last(in [][]int) ([]int, error) {
	if len(in[0]) < 1 {
		return nil, fmt.Errorf("input of shape %v, want at least 1 axis", in[0])
	}
	return in[0], nil
}
