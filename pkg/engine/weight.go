package engine

// weight is a parameter taps, I, O as kernels read it: padded to whole lanes, and transposed for the gradient of inputs.
type weight struct {
	p        *param
	ip, op   int       // I and O with padding
	fwd      []float32 // taps, I, Op; the parameter's own values where nothing is padded
	bwd      []float32 // taps, O, Ip
	grad     []float32 // taps, Ip, Op; the parameter's own where nothing is padded
	needsBwd bool
}

// newWeight prepares a weight; input says that the gradient of inputs is wanted.
func newWeight(p *param, train, input bool) *weight {
	w := &weight{p: p, ip: padded(p.i), op: padded(p.o), fwd: p.Value, grad: p.Grad, needsBwd: train && input}
	if w.op != p.o {
		w.fwd = make([]float32, p.taps*p.i*w.op)
	}
	if train && (w.op != p.o || w.ip != p.i) {
		w.grad = make([]float32, p.taps*w.ip*w.op)
	}
	if w.needsBwd {
		w.bwd = make([]float32, p.taps*p.o*w.ip)
	}
	return w
}

// pack refreshes the copies from the parameter's values.
func (w *weight) pack() {
	p := w.p
	if w.op != p.o {
		for r := range p.taps * p.i {
			copy(w.fwd[r*w.op:], p.Value[r*p.o:][:p.o])
		}
	}
	if !w.needsBwd {
		return
	}
	blocks := (p.o + 15) / 16
	parallel(p.taps*blocks, func(job int) {
		t, o0 := job/blocks, job%blocks*16
		src := p.Value[t*p.i*p.o:][:p.i*p.o]
		for o := o0; o < min(p.o, o0+16); o++ {
			dst := w.bwd[(t*p.o+o)*w.ip:][:p.i]
			for i := range dst {
				dst[i] = src[i*p.o+o]
			}
		}
	})
}

// unpack moves the padded gradient into the parameter's.
func (w *weight) unpack() {
	p := w.p
	if w.op == p.o && w.ip == p.i {
		return
	}
	for t := range p.taps {
		for i := range p.i {
			copy(p.Grad[(t*p.i+i)*p.o:][:p.o], w.grad[(t*w.ip+i)*w.op:])
		}
	}
}
