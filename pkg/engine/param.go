package engine

import (
	"slices"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// param is a Param and how its layout differs from PyTorch's.
type param struct {
	Param
	o, i, taps int // of a weight O I taps; o is 0 where the layouts are the same
}

// index is where a weight's element of an output and an input's tap (row: tap*i + input) is held: in panels of outputs,
// as products read them, or, where the outputs don't fill panels, by row.
func (p *param) index(row, o int) int {
	if p.o%simd.Panel != 0 {
		return row*p.o + o
	}
	return (o/simd.Panel*p.taps*p.i+row)*simd.Panel + o%simd.Panel
}

// newParam makes room for a parameter. Weights of convolutions have five axes; which of those with two are weights of
// linear layers (and not tables) their kernel says by calling flat.
func newParam(p *net.Param, train bool) *param {
	q := &param{Param: Param{Name: p.Name, Shape: p.Shape, Buffer: p.Buffer, Value: make([]float32, net.Size(p.Shape))}}
	if train && !p.Buffer {
		q.Grad = make([]float32, len(q.Value))
	}
	if len(p.Shape) == 5 {
		q.matrix()
	}
	return q
}

// flat marks a weight of products whose inputs are all its axes but the first.
func (p *param) flat() { p.o, p.i, p.taps = p.Shape[0], len(p.Value)/p.Shape[0], 1 }

// matrix marks a weight of products.
func (p *param) matrix() {
	p.o, p.i = p.Shape[0], p.Shape[1]
	p.taps = len(p.Value) / (p.o * p.i)
}

func (p *param) tensor() net.Tensor {
	t := net.Tensor{Shape: slices.Clone(p.Shape)}
	if net.IsCount(p.Name) {
		t.I64 = []int64{int64(p.Value[0])}
		return t
	}
	t.F32 = make([]float32, len(p.Value))
	p.copy(func(here, torch int) { t.F32[torch] = p.Value[here] })
	return t
}

func (p *param) load(all map[string]net.Tensor) error {
	t, ok := all[p.Name]
	if net.IsCount(p.Name) {
		p.Value[0] = 0
		if len(t.I64) == 1 {
			p.Value[0] = float32(t.I64[0])
		}
		return nil
	}
	if !ok || !slices.Equal(t.Shape, p.Shape) {
		return &net.ShapeError{Tensor: p.Name, Want: p.Shape, Have: t.Shape}
	}
	if err := net.Check(p.Name, t, p.Shape, false); err != nil {
		return err
	}
	p.copy(func(here, torch int) { p.Value[here] = t.F32[torch] })
	return nil
}

// copy visits every index in both layouts.
func (p *param) copy(f func(here, torch int)) {
	if p.o == 0 {
		for i := range p.Value {
			f(i, i)
		}
		return
	}
	for o := range p.o {
		for i := range p.i {
			for t := range p.taps {
				f(p.index(t*p.i+i, o), (o*p.i+i)*p.taps+t)
			}
		}
	}
}
