package net

import (
	"fmt"
	"math"
	"slices"
)

// Contrastive is the loss of two sets of vectors [N, E], of which row i of one belongs to row i of the other. InfoNCE and
// SigLIP are its common cases.
//
// Inputs after the two sets, in this order, as options ask: Targets class: classes [N] int32; Targets labels: labels [N, C]
// int32; Negatives: more vectors [M, E], which rows of the first set are told from; Groups: scans [N] int32, of which two rows
// of one are not told from each other. Params: logit_scale if learned, logit_bias if Sigmoid.
type Contrastive struct {
	Normalize bool    // rows are first scaled to length 1
	Scale     string  // of dot products: learned (a logarithm), fixed, or none: 1
	Start     float64 // the factor, learned: at first
	MaxScale  float64 // of a learned factor; above it the gradient is zero; 0: none

	// Targets says which columns a row is meant for. identity, or "": its own. class: all of its class in equal parts; one
	// below 0 is a class of its own. self: softmax of the mean of both sets' own dot products, times TargetScale (the soft
	// targets of many CLIP training programs), for rows of the second set, and its transpose for the first's; no gradient
	// flows through them. labels: softmax of the cosines of label vectors,
	// 1 for present and 0 for others, times TargetScale (Wang et al. 2022, MedCLIP).
	Targets     string
	TargetScale float64 // 0: 1

	Sides     [2]float64 // weights of rows of the first set and of the second; both 0: a half each
	Sigmoid   bool       // every pair on its own (Zhai et al. 2023), over N; for targets identity and class
	Negatives bool
	Groups    bool
}

func (Contrastive) Kind() string { return "contrastive" }
func (o Contrastive) infer(in [][]int) ([]int, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	if _, err := (InfoNCE{}).infer(in); err != nil {
		return nil, err
	}
	rest, n := in[2:], in[0][0]
	next := func(what string, axes int, size func(s []int) bool) error {
		if len(rest) == 0 || len(rest[0]) != axes || !size(rest[0]) {
			return fmt.Errorf("%s of shapes %v do not fit vectors of shape %v", what, rest, in[0])
		}
		rest = rest[1:]
		return nil
	}
	rows := func(s []int) bool { return same(s[0], n) }
	var err error
	switch {
	case o.Targets == "class":
		err = next("classes", 1, rows)
	case o.Targets == "labels":
		err = next("labels", 2, rows)
	}
	if err == nil && o.Negatives {
		err = next("negatives", 2, func(s []int) bool { return s[1] == in[0][1] })
	}
	if err == nil && o.Groups {
		err = next("groups", 1, rows)
	}
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("inputs of shapes %v are not asked for", rest)
	}
	return []int{}, err
}

func (o Contrastive) validate() error {
	switch {
	case !slices.Contains([]string{"learned", "fixed", "none"}, o.Scale):
		return fmt.Errorf("scale %q: want learned, fixed or none", o.Scale)
	case o.Scale != "none" && !(o.Start > 0):
		return fmt.Errorf("start %g: want more than 0", o.Start)
	case !slices.Contains([]string{"", "identity", "class", "self", "labels"}, o.Targets):
		return fmt.Errorf("targets %q: want identity, class, self or labels", o.Targets)
	case o.Sigmoid && (o.Targets == "self" || o.Targets == "labels"):
		return fmt.Errorf("targets %q: the sigmoid form takes identity and class", o.Targets)
	case o.Sides[0] < 0 || o.Sides[1] < 0:
		return fmt.Errorf("sides %v: want at least 0 each", o.Sides)
	}
	return nil
}

func (o Contrastive) params([][]int) (ps []*Param) {
	if o.Scale == "learned" {
		ps = append(ps, &Param{Name: "logit_scale", Shape: []int{}, Init: Init{Mean: math.Log(o.Start)}})
	}
	if o.Sigmoid {
		ps = append(ps, &Param{Name: "logit_bias", Shape: []int{}, Init: Init{Mean: -10}})
	}
	return ps
}
func (Contrastive) flops(in [][]int, out []int) float64 { return InfoNCE{}.flops(in, out) }

// Contrastive is CLIP's loss as a case of the general one.
func (InfoNCE) Contrastive() Contrastive {
	return Contrastive{Scale: "learned", Start: 1 / 0.07, MaxScale: 100}
}

// Contrastive is SigLIP as a case of the general one.
func (SigLIP) Contrastive() Contrastive {
	return Contrastive{Scale: "learned", Start: 10, Sigmoid: true}
}

// SupCon is the supervised contrastive loss (Khosla et al. 2020, equation 2) of unit vectors [N, E] with classes [N] int32:
// of each row with others of its class, the mean over these of the cross entropy over all other rows, by dot products over
// Temperature; then the mean over such rows, 0 if there are none. A row of a class below 0 has none of its class. Where
// every class has two rows it is NT-Xent (Chen et al. 2020).
type SupCon struct{ Temperature float64 }

func (SupCon) Kind() string { return "supcon" }
func (o SupCon) infer(in [][]int) ([]int, error) {
	if !(o.Temperature > 0) {
		return nil, fmt.Errorf("temperature %g: want more than 0", o.Temperature)
	}
	if err := rank(in[0], 2, "vectors"); err != nil {
		return nil, err
	}
	if len(in[1]) != 1 || !same(in[1][0], in[0][0]) {
		return nil, fmt.Errorf("classes of shape %v do not fit vectors of shape %v", in[1], in[0])
	}
	return []int{}, nil
}
func (SupCon) params([][]int) []*Param { return nil }
func (SupCon) flops(in [][]int, _ []int) float64 {
	return 2 * float64(in[0][0]*in[0][0]*in[0][1])
}

// Recon is the mean of |x - target|, or with Squared of its square, over elements; a third input of the same shape weighs
// them: 1 in the region that is rebuilt, 0 elsewhere. 0 where all weights are.
type Recon struct{ Squared bool }

func (Recon) Kind() string { return "recon" }
func (Recon) infer(in [][]int) ([]int, error) {
	for _, s := range in[1:] {
		if _, err := (Add{}).infer([][]int{in[0], s}); err != nil {
			return nil, fmt.Errorf("result of shape %v and target or weights of shape %v are not alike", in[0], s)
		}
	}
	return []int{}, nil
}
func (Recon) params([][]int) []*Param      { return nil }
func (Recon) flops([][]int, []int) float64 { return 0 }

// Total is the sum of losses, each times its weight.
type Total struct{ Weights []float64 }

func (Total) Kind() string { return "total" }
func (o Total) infer(in [][]int) ([]int, error) {
	if len(in) != len(o.Weights) {
		return nil, fmt.Errorf("%d losses, %d weights", len(in), len(o.Weights))
	}
	for _, s := range in {
		if len(s) != 0 {
			return nil, fmt.Errorf("loss of shape %v, want a scalar", s)
		}
	}
	return []int{}, nil
}
func (Total) params([][]int) []*Param      { return nil }
func (Total) flops([][]int, []int) float64 { return 0 }
