package net

import (
	"fmt"
	"slices"
	"strings"
)

// ShapeError is a tensor that a graph or program cannot take: bad input data, not a bad program.
type ShapeError struct {
	Tensor     string
	Want, Have []int  // Unknown in Want: any; nil Have: missing
	Why        string // what is wrong other than the shape; "" if it is the shape
}

func (e *ShapeError) Error() string {
	switch {
	case e.Why != "":
		return fmt.Sprintf("tensor %s: %s", e.Tensor, e.Why)
	case e.Have == nil:
		return fmt.Sprintf("tensor %s: missing, want shape %s", e.Tensor, dims(e.Want))
	}
	return fmt.Sprintf("tensor %s: shape %v, want %s", e.Tensor, e.Have, dims(e.Want))
}

// dims writes a shape with "any" where it is Unknown.
func dims(shape []int) string {
	return strings.ReplaceAll(fmt.Sprint(shape), fmt.Sprint(Unknown), "any")
}

// Input is a tensor that Run takes.
type Input struct {
	Shape []int
	I32   bool
}

func (Input) Kind() string                   { return "input" }
func (o Input) infer([][]int) ([]int, error) { return o.Shape, nil }
func (o Input) params([][]int) []*Param      { return nil }
func (o Input) flops([][]int, []int) float64 { return 0 }
func (o Input) fits(name string, s []int) error {
	bad := len(s) != len(o.Shape)
	for i := range min(len(s), len(o.Shape)) {
		bad = bad || s[i] < 1 || o.Shape[i] != Unknown && s[i] != o.Shape[i]
	}
	if bad {
		return &ShapeError{Tensor: name, Want: o.Shape, Have: s}
	}
	return nil
}

// Size is the number of elements of a shape with nothing unknown.
func Size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// Check says whether t is a tensor of the shape (Unknown: any) and type asked for, as a *ShapeError if not.
func Check(name string, t Tensor, shape []int, ids bool) error {
	if err := (Input{Shape: shape}).fits(name, t.Shape); err != nil {
		return err
	}
	n, want := len(t.F32), "F32"
	if ids {
		n, want = len(t.I32), "I32"
	}
	if n != Size(t.Shape) {
		return &ShapeError{Tensor: name, Why: fmt.Sprintf("%s %v of %d values, want %s", t.DType(), t.Shape, len(t.F32)+len(t.I32)+len(t.I64), want)}
	}
	return nil
}

func rank(in []int, r int, what string) error {
	if len(in) != r {
		return fmt.Errorf("%s of shape %v, want %d axes", what, in, r)
	}
	return nil
}

// same says whether two dimensions can be one; either may be Unknown.
func same(a, b int) bool { return a == b || a == Unknown || b == Unknown }

// convOut is the extent after a convolution along one axis, 0 where the kernel does not fit.
func convOut(in, k, stride, pad int) int {
	if in == Unknown {
		return Unknown
	}
	if in+2*pad < k {
		return 0
	}
	return (in+2*pad-k)/stride + 1
}

func with(shape []int, last int) []int {
	out := slices.Clone(shape)
	out[len(out)-1] = last
	return out
}
