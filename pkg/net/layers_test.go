package net

import (
	"strings"
	"testing"
)

func TestShapesThatDoNotFit(t *testing.T) {
	one := [3]int{1, 1, 1}
	for name, c := range map[string]struct {
		op   Op
		in   [][]int
		want string
	}{
		"a stem whose kernel is as deep as two slices": {ConvBN{Out: 4, Kernel: [3]int{2, 2, 2}, Stride: [3]int{2, 2, 2}}, [][]int{{1, 1, 1, 8, 8}}, "too small"},
		"a dilated kernel that reaches too far":        {Conv{Out: 4, Kernel: [3]int{3, 1, 1}, Stride: one, Dilation: 2}, [][]int{{1, 1, 4, 8, 8}}, "too small"},
		"groups":                                       {GroupNorm{Groups: 4}, [][]int{{1, 6, 2, 2, 2}}, "not a multiple of 4 groups"},
		"heads":                                        {Attention{Heads: 5}, [][]int{{1, 4, 12}}, "not a multiple of 5 heads"},
		"keys":                                         {Attention{Heads: 2, Cross: true}, [][]int{{1, 4, 12}, {1, 4, 10}}, "do not fit"},
		"mask":                                         {Attention{Heads: 2, Masked: true}, [][]int{{1, 4, 12}, {1, 5}}, "mask of shape [1 5]"},
		"padding of a pool":                            {MaxPool{Kernel: one, Stride: one, Pad: one}, [][]int{{1, 2, 4, 4, 4}}, "more than half the kernel"},
		"form":                                         {Activation{Form: "mish"}, [][]int{{3}}, "want one of"},
		"classes":                                      {CE{}, [][]int{{4, 3}, {4, 3}}, "do not fit"},
		"volumes of 4 axes":                            {Conv{Out: 1, Kernel: one, Stride: one}, [][]int{{1, 2, 3, 4}}, "want 5 axes"},
		"patches":                                      {Patchify{Out: 4, Patch: [3]int{2, 2, 3}}, [][]int{{1, 1, 4, 4, 4}}, "not whole patches"},
		"places":                                       {Positions{Tokens: 3}, [][]int{{1, 4, 8}}, "4 tokens, want 3"},
		"a key of dropout":                             {Dropout{P: 0.5}, [][]int{{1, 4}, {1}}, "want [2]: seed and step"},
		"a loss that is none":                          {Total{[]float64{1}}, [][]int{{2}}, "want a scalar"},
		"weights of losses":                            {Total{[]float64{1}}, [][]int{{}, {}}, "2 losses, 1 weights"},
		"no scale":                                     {Contrastive{}, [][]int{{2, 4}, {2, 4}}, "want learned, fixed or none"},
		"classes left out":                             {Contrastive{Scale: "none", Targets: "class"}, [][]int{{2, 4}, {2, 4}}, "classes of shapes []"},
		"groups of another batch":                      {Contrastive{Scale: "none", Groups: true}, [][]int{{2, 4}, {2, 4}, {3}}, "groups of shapes [[3]]"},
		"soft targets in pairs":                        {Contrastive{Scale: "none", Sigmoid: true, Targets: "self"}, [][]int{{2, 4}, {2, 4}}, "the sigmoid form takes"},
		"supcon's temperature":                         {SupCon{}, [][]int{{2, 4}, {2}}, "want more than 0"},
		"a target":                                     {Recon{}, [][]int{{2, 4}, {2, 5}}, "not alike"},
		"too much cut off":                             {ConvTranspose{Out: 1, Kernel: one, Stride: one, Pad: one}, [][]int{{1, 1, 2, 4, 4}}, "too small for padding"},
		"batch norm of rows":                           {BatchNorm{}, [][]int{{1, 2, 3}}, "want 2 axes"},
	} {
		g := &Graph{}
		var in []*Node
		for i, s := range c.in {
			in = append(in, g.Input(strings.Repeat("x", i+1), false, s...))
		}
		g.Layer("layer", c.op, in...)
		if err := g.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
