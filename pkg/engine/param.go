package engine

import (
	"slices"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// param is a Param of this engine.
type param struct{ Param }

// index is where a weight's element of an output and an input's tap (row: tap*i + input) is held: in panels of outputs,
// as products read them, or, where the outputs don't fill panels, by row.
func (p *Param) index(row, o int) int {
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
func (p *Param) matrix() {
	p.o, p.i = p.Shape[0], p.Shape[1]
	p.taps = len(p.Value) / (p.o * p.i)
}

// Tensor copies values, laid out as Value is, into PyTorch's layout.
func (p *Param) Tensor(values []float32) net.Tensor {
	t := net.Tensor{Shape: slices.Clone(p.Shape)}
	if net.IsCount(p.Name) {
		t.I64 = []int64{int64(values[0])}
		return t
	}
	t.F32 = make([]float32, len(values))
	p.copy(func(here, torch int) { t.F32[torch] = values[here] })
	return t
}

// Set is Tensor's inverse: it copies a tensor of this parameter's shape into values, laid out as Value is. name is what an
// error calls it.
func (p *Param) Set(values []float32, name string, t net.Tensor) error {
	if !slices.Equal(t.Shape, p.Shape) {
		return &net.ShapeError{Tensor: name, Want: p.Shape, Have: t.Shape}
	}
	if err := net.Check(name, t, p.Shape, false); err != nil {
		return err
	}
	p.copy(func(here, torch int) { values[here] = t.F32[torch] })
	return nil
}

// Load takes Value from a file's tensors, as Program.Load does.
func (p *Param) Load(all map[string]net.Tensor) error {
	t, ok := all[p.Name]
	if net.IsCount(p.Name) {
		p.Value[0] = 0
		if len(t.I64) == 1 {
			p.Value[0] = float32(t.I64[0])
		}
		return nil
	}
	if !ok {
		return &net.ShapeError{Tensor: p.Name, Want: p.Shape}
	}
	return p.Set(p.Value, p.Name, t)
}

// copy visits every index in both layouts.
func (p *Param) copy(f func(here, torch int)) {
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
