package net

import (
	"fmt"
	"math"
	"slices"
)

// Linear is x·Wᵀ (+ bias) over the last axis. Params: weight [out, in], bias.
type Linear struct {
	Out  int
	Bias bool
	Std  float64 // of the first weights
}

func (Linear) Kind() string { return "linear" }
func (o Linear) infer(in [][]int) ([]int, error) {
	if len(in[0]) < 2 {
		return nil, fmt.Errorf("input of shape %v, want at least 2 axes", in[0])
	}
	return with(in[0], o.Out), nil
}
func (o Linear) params(in [][]int) []*Param {
	return linearParams("", in[0][len(in[0])-1], o.Out, o.Std, o.Bias)
}
func (o Linear) flops(in [][]int, out []int) float64 {
	return 2 * float64(Size(out)*in[0][len(in[0])-1])
}

func linearParams(name string, in, out int, std float64, bias bool) []*Param {
	if name != "" {
		name += "."
	}
	ps := []*Param{{Name: name + "weight", Shape: []int{out, in}, Init: Init{Std: std}}}
	if bias {
		ps = append(ps, &Param{Name: name + "bias", Shape: []int{out}})
	}
	return ps
}

// L2Norm divides each row by its length, at least 1e-12 (PyTorch's F.normalize).
type L2Norm struct{}

func (L2Norm) Kind() string                    { return "l2norm" }
func (L2Norm) infer(in [][]int) ([]int, error) { return in[0], rank(in[0], 2, "input") }
func (L2Norm) params([][]int) []*Param         { return nil }
func (L2Norm) flops([][]int, []int) float64    { return 0 }

// BCE is the mean binary cross entropy of logits [N, C] with labels [N, C] in {0, 1, -1: unknown, left out}; 0 where all
// are unknown. An optional third input [C] weighs the positive term.
type BCE struct {
	Sum     bool   // not their mean, their sum
	Missing string // of unknown labels: mask, or "": left out; zero and one: taken as 0 or as 1
}

func (BCE) Kind() string { return "bce" }
func (o BCE) infer(in [][]int) ([]int, error) {
	if !slices.Contains([]string{"", "mask", "zero", "one"}, o.Missing) {
		return nil, fmt.Errorf("missing %q: want mask, zero or one", o.Missing)
	}
	if err := rank(in[0], 2, "logits"); err != nil {
		return nil, err
	}
	if len(in[1]) != 2 || !same(in[1][0], in[0][0]) || !same(in[1][1], in[0][1]) {
		return nil, fmt.Errorf("labels of shape %v do not fit logits of shape %v", in[1], in[0])
	}
	if len(in) > 2 && (len(in[2]) != 1 || !same(in[2][0], in[0][1])) {
		return nil, fmt.Errorf("pos_weight of shape %v does not fit logits of shape %v", in[2], in[0])
	}
	return []int{}, nil
}
func (BCE) params([][]int) []*Param      { return nil }
func (BCE) flops([][]int, []int) float64 { return 0 }

// MaxLogitScale is the clamp of InfoNCE's log temperature: the logits' factor stays at or under 100 (Radford et al.
// 2021, section 2.5). Above it the gradient is zero.
var MaxLogitScale = math.Log(100)

// InfoNCE is CLIP's symmetric loss of two sets of unit vectors [N, E] whose rows belong together.
// Params: logit_scale, the logarithm of the logits' factor, starting at ln(1/0.07).
type InfoNCE struct{}

func (InfoNCE) Kind() string { return "infonce" }
func (InfoNCE) infer(in [][]int) ([]int, error) {
	if len(in[0]) != 2 || len(in[1]) != 2 || !same(in[0][0], in[1][0]) || in[0][1] != in[1][1] {
		return nil, fmt.Errorf("shapes %v and %v do not pair", in[0], in[1])
	}
	return []int{}, nil
}
func (InfoNCE) params([][]int) []*Param {
	return []*Param{{Name: "logit_scale", Shape: []int{}, Init: Init{Mean: math.Log(1 / 0.07)}}}
}
func (InfoNCE) flops(in [][]int, _ []int) float64 {
	return 2 * float64(in[0][0]*in[0][0]*in[0][1])
}
