package net

import (
	"fmt"
	"math"
	"slices"
)

// Add is the sum of two results of one shape.
type Add struct{}

func (Add) Kind() string { return "add" }
func (Add) infer(in [][]int) ([]int, error) {
	if len(in[0]) != len(in[1]) || !slices.EqualFunc(in[0], in[1], same) {
		return nil, fmt.Errorf("shapes %v and %v do not add", in[0], in[1])
	}
	return in[0], nil
}
func (Add) params([][]int) []*Param      { return nil }
func (Add) flops([][]int, []int) float64 { return 0 }

// Dropout sets elements to zero with probability P in training and divides the others by 1-P; otherwise it changes
// nothing. Its second input [2] int32 is the seed and the step: the same two drop the same elements, on any engine.
type Dropout struct {
	P      float64
	Stream uint64 // tells this layer's random numbers from those of others
}

func (Dropout) Kind() string { return "dropout" }
func (o Dropout) infer(in [][]int) ([]int, error) {
	if !(o.P >= 0 && o.P < 1) {
		return nil, fmt.Errorf("p %g: want at least 0 and less than 1", o.P)
	}
	if len(in[1]) != 1 || !same(in[1][0], 2) {
		return nil, fmt.Errorf("key of shape %v, want [2]: seed and step", in[1])
	}
	return in[0], nil
}
func (Dropout) params([][]int) []*Param      { return nil }
func (Dropout) flops([][]int, []int) float64 { return 0 }

// Key is the random stream of a seed and step.
func (o Dropout) Key(seed, step int32) uint64 {
	return mix(mix(uint64(uint32(seed))<<32|uint64(uint32(step))) ^ mix(o.Stream))
}

// Keeps says whether element i, counted in PyTorch's layout, stays: its 64 random bits, as a number below 2^64, are at
// least P·2^64.
func (o Dropout) Keeps(key uint64, i int) bool { return mix(key+uint64(i)) >= uint64(o.P*(1<<63))<<1 }

// Patchify cuts a volume [N, C, D, H, W] into blocks, whose edges divide it, and projects each: tokens [N, T, Out], W
// fastest. Params: weight [Out, C, patch], bias, those of a convolution whose stride is its kernel.
type Patchify struct {
	Out   int
	Patch [3]int
}

func (Patchify) Kind() string { return "patchify" }
func (o Patchify) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 5, "input"); err != nil {
		return nil, err
	}
	tokens := 1
	for i, n := range in[0][2:] {
		switch {
		case n == Unknown:
			return []int{in[0][0], Unknown, o.Out}, nil
		case o.Patch[i] < 1 || n%o.Patch[i] != 0:
			return nil, fmt.Errorf("input of shape %v is not whole patches of %v", in[0], o.Patch)
		}
		tokens *= n / o.Patch[i]
	}
	return []int{in[0][0], tokens, o.Out}, nil
}
func (o Patchify) params(in [][]int) []*Param {
	w := convWeight("", o.Out, in[0][1], o.Patch)
	fan := float64(in[0][1] * o.Patch[0] * o.Patch[1] * o.Patch[2])
	w.Name, w.Init = "weight", Init{Std: math.Sqrt(1 / fan)} // as torchvision's vision transformers
	return []*Param{w, {Name: "bias", Shape: []int{o.Out}}}
}
func (o Patchify) flops(in [][]int, out []int) float64 {
	return 2 * float64(Size(out)*in[0][1]*o.Patch[0]*o.Patch[1]*o.Patch[2])
}

// Positions puts a class token before tokens [N, T, E] and adds each place's embedding: [N, T+1, E].
// Params: class_token [1, 1, E], encoder.pos_embedding [1, T+1, E], torchvision's names.
type Positions struct{ Tokens int }

func (Positions) Kind() string { return "positions" }
func (o Positions) infer(in [][]int) ([]int, error) {
	if err := rank(in[0], 3, "tokens"); err != nil {
		return nil, err
	}
	if !same(in[0][1], o.Tokens) {
		return nil, fmt.Errorf("%d tokens, want %d", in[0][1], o.Tokens)
	}
	return []int{in[0][0], o.Tokens + 1, in[0][2]}, nil
}
func (o Positions) params(in [][]int) []*Param {
	e := in[0][2]
	return []*Param{{Name: "class_token", Shape: []int{1, 1, e}},
		{Name: "encoder.pos_embedding", Shape: []int{1, o.Tokens + 1, e}, Init: Init{Std: vitStd}}}
}
func (Positions) flops([][]int, []int) float64 { return 0 }

// ViT3D is a vision transformer of volumes (Dosovitskiy et al. 2021), under the names of torchvision's.
type ViT3D struct {
	Size, Patch         [3]int // of the volume and of a patch, in voxels, ordered D, H, W
	In                  int    // channels of the volume; 0: 1
	Hidden, Layers      int
	Heads, Intermediate int
	Classes             int     // of heads.head
	Dropout             float64 // after each attention and each MLP, in training
}

const (
	vitStd = 0.02 // torchvision's, of position embeddings
	vitEps = 1e-6 // of its layer norms
)

// DropoutKey is the input of nets that drop elements in training: seed and step.
const DropoutKey = "dropout_key"

// VisionTransformer is the net: input x [N, In, Size]; outputs logits [N, Classes] and pooled [N, Hidden]. With loss it also
// takes what Supervised takes and gives loss, and, if it drops elements, takes DropoutKey.
func VisionTransformer(o ViT3D, loss, posWeight bool) (*Graph, error) {
	g := &Graph{}
	x := g.Input("x", false, append([]int{Unknown, max(1, o.In)}, o.Size[:]...)...)
	var key *Node
	if loss && o.Dropout > 0 {
		key = g.Input(DropoutKey, true, 2)
	}
	x = g.vit(x, key, o)
	if loss {
		g.bce(x, o.Classes, posWeight)
	}
	return g, g.Err()
}

// vit adds the net: x to logits. key is Dropout's, nil without.
func (g *Graph) vit(x, key *Node, o ViT3D) *Node {
	x = g.Layer("conv_proj", Patchify{Out: o.Hidden, Patch: o.Patch}, x) // [N, T, E]
	tokens := 1
	for i, n := range o.Size {
		tokens *= n / max(1, o.Patch[i])
	}
	x = g.add("positions", "", Positions{tokens}, x) // [N, T+1, E]
	drop := func(name string, x *Node) *Node {
		if key == nil {
			return x
		}
		return g.Layer(name, Dropout{P: o.Dropout, Stream: uint64(len(g.Nodes))}, x, key)
	}
	for i := range o.Layers {
		at := fmt.Sprintf("encoder.layers.encoder_layer_%d.", i)
		h := g.Layer(at+"ln_1", LayerNorm{vitEps}, x)
		h = g.Layer(at+"self_attention", Attention{Heads: o.Heads}, h)
		x = g.Layer(at+"add_1", Add{}, drop(at+"dropout_1", h), x)
		h = g.Layer(at+"ln_2", LayerNorm{vitEps}, x)
		h = g.Linear(h, at+"mlp.0", o.Intermediate, true, 1/math.Sqrt(float64(o.Hidden)))
		h = g.Layer(at+"gelu", Activation{"gelu"}, h)
		h = g.Linear(h, at+"mlp.3", o.Hidden, true, 1/math.Sqrt(float64(o.Intermediate)))
		x = g.Layer(at+"add_2", Add{}, drop(at+"dropout_2", h), x)
	}
	x = g.Layer("encoder.ln", LayerNorm{vitEps}, x)
	x = g.add("cls", "", CLS{}, x) // [N, E]
	g.Output("pooled", x)
	x = g.Linear(x, "heads.head", o.Classes, true, fcStd)
	g.Output("logits", x)
	return x
}
