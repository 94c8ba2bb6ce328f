package engine

import (
	"fmt"
	"hash"
	"hash/fnv"
	"math"

	"github.com/chewxy/hm"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"silverbeam/pkg/simd"
)

// kernel is one layer. It owns its result, the gradients of its inputs and what it needs in between, so that a step
// allocates nothing of size. backward reads the result's gradient and fills those of inputs and parameters.
type kernel interface {
	forward()
	backward()
}

// layer is a kernel as an operation of gorgonia: graph, order and tape are gorgonia's, memory and arithmetic the kernel's.
// gorgonia's values are views of the kernel's buffers, the same in every run.
type layer struct {
	name   string
	id     int // two layers that look alike must hash apart, or gorgonia merges them
	kernel kernel
	out    *value
	inputs []input
	result G.Value

	watch *bool   // the program's
	seen  bool    // peak is of some run
	peak  float64 // largest magnitude of out since the watch began
}

// input is what a layer reads: an earlier result, a parameter, or a tensor of Run, which alone has no gradient.
type input struct {
	t    hm.Type
	s    tensor.Shape
	grad G.Value // nil: not differentiable
}

var _ G.SDOp = (*layer)(nil)

// typeOf is gorgonia's type of a tensor with so many axes.
func typeOf(axes int, of tensor.Dtype) hm.Type {
	if axes == 0 {
		return of
	}
	return G.TensorType{Dims: axes, Of: of}
}

// shapeOf is the shape of v's buffer. Where several nodes read v it is a stand-in's of one number: gorgonia adds the
// gradients of readers, and of these it shall add nothing but that; value.join adds the true ones. So it is of pairs.
func shapeOf(v *value) tensor.Shape {
	switch {
	case v.shared, v.half != nil:
		return tensor.Shape{1}
	case len(v.shape) == 0:
		return tensor.ScalarShape()
	case v.n > 0:
		return tensor.Shape{v.n, v.d, v.h, v.w + 2, v.cp}
	}
	return tensor.Shape{v.rows, v.cp}
}

// view is a buffer as a value of gorgonia; a scalar is a copy.
func view(shape tensor.Shape, buf []float32) G.Value {
	if shape.IsScalar() {
		return G.NewF32(buf[0])
	}
	if len(buf) != shape.TotalSize() {
		buf = make([]float32, shape.TotalSize()) // a stand-in
	}
	return tensor.New(tensor.WithShape(shape...), tensor.WithBacking(buf))
}

func (o *layer) Arity() int { return len(o.inputs) }
func (o *layer) Type() hm.Type {
	return hm.NewFnType(append(o.types(), typeOf(shapeOf(o.out).Dims(), tensor.Float32))...)
}
func (o *layer) types() []hm.Type {
	var ts []hm.Type
	for _, in := range o.inputs {
		ts = append(ts, in.t)
	}
	return ts
}
func (o *layer) InferShape(...G.DimSizer) (tensor.Shape, error) { return shapeOf(o.out), nil }
func (o *layer) ReturnsPtr() bool                               { return false }
func (o *layer) CallsExtern() bool                              { return false }
func (o *layer) OverwritesInput() int                           { return -1 }
func (o *layer) WriteHash(h hash.Hash)                          { h.Write([]byte(o.String())) }
func (o *layer) Hashcode() uint32                               { return hashOf(o.String()) }
func (o *layer) String() string                                 { return fmt.Sprintf("%s#%d", o.name, o.id) }

// Do runs the layer forward.
func (o *layer) Do(...G.Value) (G.Value, error) {
	o.kernel.forward()
	if *o.watch {
		o.seen, o.peak = true, top(o.peak, o.out.data)
		var some [simd.Lanes]float32
		for pairs := o.out.half; len(pairs) > 0; pairs = pairs[len(some)/2:] {
			simd.Unpair(some[:], pairs[:len(some)/2])
			o.peak = top(o.peak, some[:])
		}
	}
	if len(o.out.shape) == 0 {
		*o.result.(*G.F32) = G.F32(o.out.data[0])
	}
	return o.result, nil
}

func (o *layer) DiffWRT(int) []bool {
	d := make([]bool, len(o.inputs))
	for i, in := range o.inputs {
		d[i] = in.grad != nil
	}
	return d
}

// SymDiff adds one node that runs the layer backward and gives its first gradient, and one that gives each other.
func (o *layer) SymDiff(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	all := make(G.Nodes, len(in))
	var first *G.Node
	for i := range in {
		if o.inputs[i].grad == nil {
			continue
		}
		var err error
		if first == nil {
			first, err = G.ApplyOp(&gradient{layer: o, which: i, run: true}, append(append(G.Nodes{}, in...), out, grad)...)
			all[i] = first
		} else {
			all[i], err = G.ApplyOp(&gradient{layer: o, which: i, from: first.Type()}, first)
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// gradient is a layer's backward pass (run), or one more of its results.
type gradient struct {
	*layer
	which int
	run   bool
	from  hm.Type // where run is false: of the node that ran
}

func (o *gradient) Arity() int {
	if o.run {
		return len(o.inputs) + 2
	}
	return 1
}
func (o *gradient) Type() hm.Type {
	if !o.run {
		return hm.NewFnType(o.from, o.inputs[o.which].t)
	}
	out := typeOf(shapeOf(o.out).Dims(), tensor.Float32)
	return hm.NewFnType(append(o.types(), out, out, o.inputs[o.which].t)...)
}
func (o *gradient) InferShape(...G.DimSizer) (tensor.Shape, error) { return o.inputs[o.which].s, nil }
func (o *gradient) WriteHash(h hash.Hash)                          { h.Write([]byte(o.String())) }
func (o *gradient) Hashcode() uint32                               { return hashOf(o.String()) }
func (o *gradient) String() string {
	return fmt.Sprintf("gradient %d of %s", o.which, o.layer)
}

func (o *gradient) Do(...G.Value) (G.Value, error) {
	if o.run {
		o.out.join()
		o.kernel.backward()
	}
	return o.inputs[o.which].grad, nil
}

func hashOf(s string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(s))
	return h.Sum32()
}

// top is the larger of a magnitude and the largest of a buffer's; NaN where either holds one.
func top(old float64, buf []float32) float64 {
	high, low := float32(old), float32(0)
	for _, x := range buf {
		if x != x {
			return math.NaN()
		}
		high, low = max(high, x), min(low, x)
	}
	return float64(max(high, -low))
}
