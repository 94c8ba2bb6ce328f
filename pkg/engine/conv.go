package engine

import "silverbeam/pkg/simd"

// conv is a convolution of volumes, kernel 1 or 3, stride 1 or 2, half padding, without bias.
//
// Every row of the result is one simd.Rows over the taps that fall into the volume: no copies of the input, and nothing
// is multiplied with the padding above, below, before and behind. The gradient of the input is the same product with the
// transposed weights over the gradient's rows, once for even and once for odd columns where the stride is 2.
type conv struct {
	geometry
	w     *weight
	x     *value // read
	y     *value // shape of the result, and with y.grad its gradient; y.data is not used
	raw   []float32
	plan  *plan
	parts []float32 // weight gradients by sample, where they are summed that way
}

func newConv(g geometry, w *weight, x, y *value, train bool) *conv {
	c := &conv{geometry: g, w: w, x: x, y: y, raw: make([]float32, y.rows*y.w*y.cp)}
	c.plan = newPlan(g, x, y, w.p.i*w.op, w.p.o*w.ip)
	if n := w.p.taps * w.ip * w.op; train && n <= partLimit && x.n > 1 {
		c.parts = make([]float32, x.n*n)
	}
	return c
}

// partLimit is the largest weight (in numbers) whose gradient is summed by sample; for larger ones, of small volumes,
// each tap is summed over all samples at once.
const partLimit = 32 << 10

// plane computes raw for all rows of one sample and depth of the result.
func (c *conv) plane(nd int) {
	x, y := c.x, c.y
	sd := c.forward(nd%y.d, x.d)
	for h := range y.h {
		sh := c.geometry.forward(h, x.h)
		dst := c.raw[(nd*y.h+h)*y.w*y.cp:]
		off := &c.plan.forward[sd.taps][sh.taps]
		src := x.data[((nd/y.d*x.d+sd.first)*x.h+sh.first)*x.line():]
		simd.Rows(dst, y.cp, src, c.s*x.cp, off.a, c.w.fwd, c.w.op, off.b, y.w, c.w.op, c.w.p.i, false)
	}
}

// gradPlane computes (or with add, adds to) the gradient of one sample and depth of the input.
func (c *conv) gradPlane(nd int, dst []float32, add bool) {
	x, y := c.x, c.y
	sd := c.backward(nd%x.d, y.d)
	for h := range x.h {
		sh := c.geometry.backward(h, y.h)
		row := x.at(dst, nd*x.h+h)
		if sd.taps == 0 || sh.taps == 0 {
			if !add {
				clear(row)
			}
			continue
		}
		src := y.grad[((nd/x.d*y.d+sd.first)*y.h+sh.first)*y.line():]
		for odd := range c.s {
			off := &c.plan.backward[sd.taps][sh.taps][odd]
			m := (x.w - odd + c.s - 1) / c.s
			if m > 0 && len(off.a) > 0 {
				simd.Rows(row[odd*x.cp:], c.s*x.cp, src, y.cp, off.a, c.w.bwd, c.w.ip, off.b, m, c.w.ip, c.w.p.o, add)
			} else if m > 0 && !add {
				for i := range m {
					clear(row[(odd+i*c.s)*x.cp:][:x.cp])
				}
			}
		}
	}
}

// gradWeight computes the weight's gradient from y.grad and x.
func (c *conv) gradWeight() {
	n := c.w.p.taps * c.w.ip * c.w.op
	if c.parts == nil {
		blocks := (c.w.ip + gradBlock - 1) / gradBlock
		parallel(c.w.p.taps*blocks, func(job int) { c.gradTap(job/blocks, job%blocks*gradBlock) })
	} else {
		parallel(c.x.n, func(s int) {
			part := c.parts[s*n : (s+1)*n]
			for d := range c.y.d {
				c.gradPart(part, s, d)
			}
		})
		sumParts(c.w.grad[:n], c.parts)
	}
	c.w.unpack()
}

const gradBlock = 64 // channels of one job of gradTap

// gradPart adds one sample's and depth's share to all taps of part.
func (c *conv) gradPart(part []float32, s, d int) {
	var buf [2][64]int64
	for kd := range c.k {
		for kh := range c.k {
			oa, ob := c.rows(buf[0][:0], buf[1][:0], s, d, kd, kh)
			for kw := range c.k {
				tap := (kd*c.k+kh)*c.k + kw
				c.cols(part[tap*c.w.ip*c.w.op:], kw, 0, c.w.ip, oa, ob, d > 0)
			}
		}
	}
}

// gradTap sets one tap's gradient, for a block of the input's channels.
func (c *conv) gradTap(tap, i0 int) {
	var buf [2][64]int64
	kd, kh, kw := tap/(c.k*c.k), tap/c.k%c.k, tap%c.k
	add := false
	for s := range c.x.n {
		for d := range c.y.d {
			oa, ob := c.rows(buf[0][:0], buf[1][:0], s, d, kd, kh)
			c.cols(c.w.grad[tap*c.w.ip*c.w.op+i0*c.w.op:], kw, i0, min(gradBlock, c.w.ip-i0), oa, ob, add)
			add = true
		}
	}
}

// rows lists where the rows of x and y start that meet at a depth of the result and two taps.
func (c *conv) rows(oa, ob []int64, s, d, kd, kh int) ([]int64, []int64) {
	x, y := c.x, c.y
	xd := d*c.s + kd - c.p
	if xd < 0 || xd >= x.d {
		return oa, ob
	}
	for h := range y.h {
		if xh := h*c.s + kh - c.p; xh >= 0 && xh < x.h {
			oa = append(oa, int64(((s*x.d+xd)*x.h+xh)*x.line()))
			ob = append(ob, int64(((s*y.d+d)*y.h+h)*y.line()+y.cp))
		}
	}
	return oa, ob
}

// cols is one tap's product over rows; where there are none and nothing is added to, it clears.
func (c *conv) cols(dst []float32, kw, i0, m int, oa, ob []int64, add bool) {
	if len(oa) > 0 {
		simd.Cols(dst, c.w.op, c.x.data[(kw-c.p+1)*c.x.cp+i0:], c.s*c.x.cp, oa, c.y.grad, c.y.cp, ob, m, c.w.op, c.y.w, add)
	} else if !add {
		clear(dst[:m*c.w.op])
	}
}
