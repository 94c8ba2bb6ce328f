package engine

import "silverbeam/pkg/simd"

// weight is a weight as kernels read it: in panels of outputs, and in panels of inputs for the gradient of inputs.
type weight struct {
	p        *param
	ip, op   int         // I and O, padded to whole lanes
	fwd      simd.Matrix // panels of O, each taps, I; the parameter's own values where those are in panels
	bwd      simd.Matrix // panels of I, each taps, O; none where the gradient of inputs is not wanted
	grad     []float32   // panels of O, each taps, Ip; the parameter's own where nothing is padded
	ownGrad  bool
	ownPanel bool
}

// newWeight prepares a weight; input says that the gradient of inputs is wanted.
func newWeight(p *param, train, input bool) *weight {
	w := &weight{p: p, ip: padded(p.i), op: padded(p.o), grad: p.Grad}
	w.fwd = simd.Matrix{Data: p.Value, Ld: simd.Panel, Next: p.taps * p.i * simd.Panel}
	if w.ownPanel = p.o%simd.Panel != 0; w.ownPanel {
		w.fwd.Data = make([]float32, panels(p.o)*w.fwd.Next)
	}
	if w.ownGrad = train && (w.ownPanel || w.ip != p.i); w.ownGrad {
		w.grad = make([]float32, panels(p.o)*p.taps*w.ip*simd.Panel)
	}
	if train && input {
		w.bwd = simd.Matrix{Ld: simd.Panel, Next: p.taps * p.o * simd.Panel}
		w.bwd.Data = make([]float32, panels(p.i)*w.bwd.Next)
	}
	return w
}

func panels(n int) int { return (n + simd.Panel - 1) / simd.Panel }

// forward and backward are one tap's matrix.
func (w *weight) forward(tap int) simd.Matrix {
	m := w.fwd
	m.Data = m.Data[tap*w.p.i*simd.Panel:]
	return m
}

func (w *weight) backward(tap int) simd.Matrix {
	m := w.bwd
	m.Data = m.Data[tap*w.p.o*simd.Panel:]
	return m
}

// gradAt is where the gradient of a tap, an input and a panel's first output is, rows of inputs being a Panel apart.
func (w *weight) gradAt(grad []float32, tap, i, o int) []float32 {
	return grad[((o/simd.Panel*w.p.taps+tap)*w.ip+i)*simd.Panel:]
}

// pack refreshes the copies from the parameter's values.
func (w *weight) pack() {
	p := w.p
	for r := 0; w.ownPanel && r < p.taps*p.i; r++ {
		for o := 0; o < p.o; o += simd.Panel {
			copy(w.fwd.Data[o/simd.Panel*w.fwd.Next+r*simd.Panel:], p.Value[r*p.o+o:][:min(simd.Panel, p.o-o)])
		}
	}
	if w.bwd.Data == nil {
		return
	}
	parallel(p.taps*panels(p.i), func(job int) {
		tap, i0 := job/panels(p.i), job%panels(p.i)*simd.Panel
		for o0 := 0; o0 < p.o; o0 += simd.Panel {
			dst := w.bwd.Data[i0/simd.Panel*w.bwd.Next+(tap*p.o+o0)*simd.Panel:]
			for i := range min(simd.Panel, p.i-i0) {
				for o, v := range p.Value[p.index(tap*p.i+i0+i, o0):][:min(simd.Panel, p.o-o0)] {
					dst[o*simd.Panel+i] = v
				}
			}
		}
	})
}

// unpack moves the padded gradient into the parameter's.
func (w *weight) unpack() {
	p := w.p
	for r := 0; w.ownGrad && r < p.taps*p.i; r++ {
		for o := 0; o < p.o; o += simd.Panel {
			n := min(simd.Panel, p.o-o)
			copy(p.Grad[p.index(r, o):][:n], w.gradAt(w.grad, r/p.i, r%p.i, o))
		}
	}
}
