package engine

import "silverbeam/pkg/simd"

// form is the numbers that a product multiplies; it adds in float32.
type form int

const (
	full    form = iota // float32
	rounded             // bf16 as float32: where the processor has no products of bf16, or the channels are odd
	paired              // pairs of bf16
)

// formOf is a product's form for bf16 wanted or not, over so many channels forward and backward.
func formOf(half bool, i, o int) form {
	switch {
	case !half:
		return full
	case simd.HasPairs() && i%2 == 0 && o%2 == 0:
		return paired
	}
	return rounded
}

// per is how many numbers an element holds.
func (f form) per() int {
	if f == paired {
		return 2
	}
	return 1
}

// take gives x in this form, in buf where that is not x itself.
func (f form) take(buf, x []float32) []float32 {
	switch f {
	case rounded:
		simd.Round(buf[:len(x)], x)
	case paired:
		simd.Pairs(buf[:len(x)/2], x)
	default:
		return x
	}
	return buf
}

// weight is a weight as kernels read it: in panels of outputs, and in panels of inputs for the gradient of inputs.
type weight struct {
	p        *param
	form     form
	ip, op   int         // I and O, padded to whole lanes
	fwd      simd.Matrix // panels of O, each taps, I; the parameter's own values where those are in panels
	bwd      simd.Matrix // panels of I, each taps, O; none where the gradient of inputs is not wanted
	grad     []float32   // panels of O, each taps, Ip; the parameter's own where nothing is padded
	ownGrad  bool
	ownPanel bool
}

// newWeight prepares a weight; input says that the gradient of inputs is wanted. Copies are made just before they are used
// (packForward, packBackward), in memory that weights of one role share.
func newWeight(p *param, f form, input bool, role string, m mode) *weight {
	w := &weight{p: p, form: f, ip: padded(p.i), op: padded(p.o), grad: p.Grad}
	per := w.form.per()
	matrix := func(k int) simd.Matrix {
		return simd.Matrix{Ld: simd.Panel, Next: p.taps * k / per * simd.Panel, Pairs: per == 2}
	}
	w.fwd = matrix(p.i)
	w.fwd.Data = p.Value
	if w.ownPanel = p.o%simd.Panel != 0 || w.form != full; w.ownPanel {
		w.fwd.Data = m.rooms.panels(role+" panels", p, p.o, w.fwd.Next)
	}
	if w.ownGrad = m.grads && (p.o%simd.Panel != 0 || w.ip != p.i); w.ownGrad {
		w.grad = make([]float32, panels(p.o)*p.taps*w.ip*simd.Panel)
	}
	if m.grads && input {
		w.bwd = matrix(p.o)
		w.bwd.Data = m.rooms.panels(role+" panels back", p, p.i, w.bwd.Next)
	}
	return w
}

// ks are how many elements of the left factor a place has, forward and backward.
func (w *weight) ks() (forward, backward int) {
	return w.p.i / w.form.per(), w.p.o / w.form.per()
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

// packForward copies the parameter's values for products forward.
func (w *weight) packForward() {
	p, per := w.p, w.form.per()
	if w.ownPanel {
		rows := p.taps * p.i
		parallel(panels(p.o)*p.taps, func(job int) {
			o, first := job/p.taps*simd.Panel, job%p.taps*p.i
			n := min(simd.Panel, p.o-o)
			for r := first; r < first+p.i; r += per {
				dst, src := w.fwd.Data[(o/simd.Panel*rows+r)/per*simd.Panel:][:n], p.Value[p.index(r, o):][:n]
				switch w.form {
				case paired:
					simd.PairRows(dst, src, p.Value[p.index(r+1, o):])
				case rounded:
					simd.Round(dst, src)
				default:
					copy(dst, src)
				}
			}
		})
	}
}

// packBackward copies them for the gradient of inputs.
func (w *weight) packBackward() {
	p, per := w.p, w.form.per()
	if w.bwd.Data == nil {
		return
	}
	parallel(p.taps*panels(p.i), func(job int) {
		tap, i0 := job/panels(p.i), job%panels(p.i)*simd.Panel
		var buf [simd.Panel]float32
		for o0 := 0; o0 < p.o; o0 += simd.Panel {
			dst := w.bwd.Data[i0/simd.Panel*w.bwd.Next+(tap*p.o+o0)/per*simd.Panel:]
			n := min(simd.Panel, p.o-o0)
			for i := range min(simd.Panel, p.i-i0) {
				for o, v := range w.form.take(buf[:], p.Value[p.index(tap*p.i+i0+i, o0):][:n])[:n/per] {
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
