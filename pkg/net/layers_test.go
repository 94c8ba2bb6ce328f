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
