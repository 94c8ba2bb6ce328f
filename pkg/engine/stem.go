package engine

import (
	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// stem is the first convolution, any kernel and stride, with batch normalisation and ReLU. Its input's gradient is never
// computed. The volume is cut into patches once a step, a row of them being a matrix: taps, then channels.
type stem struct {
	op        net.ConvBN
	x         *value // as Run takes it: N, C, D, H, W
	out       *value
	w         *weight
	bn        *batchNorm
	k         int       // numbers in a patch
	kp        int       // with padding
	patches   []float32 // by output position
	raw       raws
	recompute bool // raw is computed again for the backward pass
	parts     []float32
}

func newStem(o net.ConvBN, ps []*param, x, out *value, m mode) *stem {
	s := &stem{op: o, x: x, out: out, w: newWeight(ps[0], full, false, "stem", m), bn: newBatchNorm(ps[1:6], out, o.FrozenBN), recompute: m.again}
	s.k = s.w.p.i * s.w.p.taps
	s.kp = padded(s.k)
	s.patches = make([]float32, out.rows*out.w*s.kp)
	s.raw = newRaws("one", out, out.half != nil, m)
	if m.grads {
		s.parts = make([]float32, out.n*s.kp*out.cp)
	}
	return s
}

var oneBlock = []int64{0}

func (s *stem) forward() {
	s.w.packForward()
	y := s.out
	eachPlane(y, func(p, first, end int) {
		s.cut(p)
		s.raw.fill(first, end, func(raw []float32) {
			s.multiply(p, raw)
			s.bn.measure(p, raw)
		})
	})
	s.bn.settle()
	eachPlaneIn(y, func(_, first, end int, buf [3][]float32) {
		for r := first; r < end; r++ {
			dst, raw := y.open(r, buf[0]), s.raw.row(r, buf[1])
			if s.op.NoReLU {
				simd.ScaleShift(dst, raw, s.bn.scale, s.bn.shift)
			} else {
				simd.ScaleShiftReLU(dst, raw, s.bn.scale, s.bn.shift)
			}
			y.shut(r, dst)
		}
	})
}

// multiply computes a plane from its patches.
func (s *stem) multiply(plane int, raw []float32) {
	rows := s.out.h * s.out.w
	simd.Rows(raw, s.out.cp, s.patches[plane*rows*s.kp:], s.kp, oneBlock, s.w.fwd, oneBlock, rows, s.out.cp, s.k, false)
}

// cut copies the patches of one sample and depth.
func (s *stem) cut(plane int) {
	o, x, y := s.op, s.x.shape, s.out
	n, d := plane/y.d, plane%y.d
	for h := range y.h {
		for w := range y.w {
			dst := s.patches[((plane*y.h+h)*y.w+w)*s.kp:][:s.kp]
			x0 := w*o.Stride[2] - o.Pad[2]
			tap := 0
			for kd := range o.Kernel[0] {
				for kh := range o.Kernel[1] {
					z, v := d*o.Stride[0]+kd-o.Pad[0], h*o.Stride[1]+kh-o.Pad[1]
					if z < 0 || z >= x[2] || v < 0 || v >= x[3] {
						clear(dst[tap*x[1]:][:o.Kernel[2]*x[1]])
						tap += o.Kernel[2]
						continue
					}
					if row := ((n*x[1]*x[2]+z)*x[3] + v) * x[4]; x[1] == 1 && o.Kernel[2] == 4 && o.Pad[2] == 0 {
						*(*[4]float32)(dst[tap:]) = *(*[4]float32)(s.x.data[row+x0:])
					} else {
						s.cutRow(dst[tap*x[1]:], row, x0)
					}
					tap += o.Kernel[2]
				}
			}
		}
	}
}

// cutRow copies the taps along W of all channels; row is where the first channel's row starts.
func (s *stem) cutRow(dst []float32, row, x0 int) {
	x := s.x.shape
	for kw := range s.op.Kernel[2] {
		for c := range x[1] {
			v := float32(0)
			if i := x0 + kw; i >= 0 && i < x[4] {
				v = s.x.data[row+c*x[2]*x[3]*x[4]+i]
			}
			dst[kw*x[1]+c] = v
		}
	}
}

func (s *stem) backward() {
	y := s.out
	if s.recompute {
		s.w.packForward()
	}
	eachPlaneIn(y, func(p, first, end int, buf [3][]float32) {
		if s.recompute {
			s.raw.fill(first, end, func(raw []float32) { s.multiply(p, raw) })
		}
		s.bn.start(p)
		for r := first; r < end; r++ {
			g := y.at(y.grad, r)
			if !s.op.NoReLU {
				simd.Mask(g, g, y.row(r, buf[0]))
			}
			s.bn.sumRow(p, g, s.raw.row(r, buf[1]))
		}
	})
	s.bn.settleGrad()
	n, rows := s.kp*y.cp, y.h*y.w
	parallel(y.n, func(sample int) {
		part := s.parts[sample*n : (sample+1)*n]
		mem := scratches.Get().(*scratch)
		defer scratches.Put(mem)
		line := y.w * y.cp
		grad := mem.take(y.h*line + line)
		for d := range y.d {
			p := sample*y.d + d
			for h := range y.h {
				r := p*y.h + h
				simd.GradInput(grad[h*line:][:line], y.at(y.grad, r), s.raw.row(r, grad[y.h*line:]), s.bn.ga, s.bn.gb, s.bn.gc)
			}
			simd.Cols(part, y.cp, s.patches[p*rows*s.kp:], s.kp, oneBlock, grad, y.cp, oneBlock, s.kp, y.cp, rows, d > 0, false)
		}
	})
	s.sum(n)
}

// sum adds the samples' parts, in order, into the parameter's gradient.
func (s *stem) sum(n int) {
	p := s.w.p
	for r := range s.k {
		for o := range p.o {
			sum := float32(0)
			for at := r*s.out.cp + o; at < len(s.parts); at += n {
				sum += s.parts[at]
			}
			p.Grad[p.index(r, o)] = sum
		}
	}
}

// avgPool is net.AvgPool.
type avgPool struct{ x, out *value }

func (k *avgPool) forward() {
	x, rows := k.x, k.x.d*k.x.h
	scale := 1 / float32(rows*x.w)
	parallel(x.n, func(n int) {
		dst := k.out.at(k.out.data, n)
		clear(dst)
		for r := range rows {
			for row := x.at(x.data, n*rows+r); len(row) > 0; row = row[x.cp:] {
				for c, v := range row[:x.cp] {
					dst[c] += v
				}
			}
		}
		for c := range dst {
			dst[c] *= scale
		}
	})
}

func (k *avgPool) backward() {
	x, rows := k.x, k.x.d*k.x.h
	scale := 1 / float32(rows*x.w)
	parallel(x.n, func(n int) {
		g := k.out.at(k.out.grad, n)
		for r := range rows {
			for row := x.at(x.grad, n*rows+r); len(row) > 0; row = row[x.cp:] {
				for c, v := range g {
					row[c] = v * scale
				}
			}
		}
	})
}
