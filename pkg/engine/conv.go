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
	y     *value // shape of the result, and with y.grad or up its gradient; y.data is not used
	plan  *plan
	parts []float32 // weight gradients by sample, where they are summed that way
	low   []float32 // x as products read it, where that is neither x.data nor x.half; y.grad too, where numbers are rounded
	up    []float32 // y's gradient as pairs, laid out like y; nil where it is y.grad

	left, right columns // what the weight's gradient sums over: x's places and the gradient's
	slab        int     // planes of the gradient that columns of pairs hold at a time
}

func newConv(g geometry, w *weight, x, y *value, role string, m mode) *conv {
	c := &conv{geometry: g, w: w, x: x, y: y}
	c.plan = newPlan(g, x, y, w.p.i*simd.Panel, w.p.o*simd.Panel, w.form.per())
	switch {
	case w.form == rounded:
		c.low = m.rooms.plain("low", max(x.size(), y.size()))
	case w.form == paired && x.half == nil:
		c.low = m.rooms.plain("low", x.size()/2)
	}
	switch {
	case !m.grads:
	case w.form == paired:
		c.up = m.rooms.take(pick(role == "down", "up of down", "up"), y.halved())
		c.inPairs(m)
	default:
		c.left, c.right = columns{data: x.data, line: x.line(), step: g.s * x.cp, n: y.w}, columns{data: y.grad, line: y.line(), step: y.cp, n: y.w}
		for kw := range g.k {
			c.left.from[kw], c.right.from[kw] = (kw-g.p+1)*x.cp, y.cp
		}
		if n := len(w.grad); n <= partLimit && x.n > 1 {
			c.parts = make([]float32, x.n*n)
		}
	}
	return c
}

func pick[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// partLimit is the largest weight (in numbers) whose gradient is summed by sample; larger ones, of small volumes, are
// summed over all samples at once.
const partLimit = 32 << 10

// lower readies data, laid out like v, for plane or gradPlane.
func (c *conv) lower(v *value, data []float32) {
	if c.low == nil {
		return
	}
	per := c.w.form.per()
	eachPlane(v, func(_, first, end int) {
		from, to := first*v.line(), end*v.line()
		c.w.form.take(c.low[from/per:], data[from:to])
	})
}

// input is x as products read it, after lower.
func (c *conv) input() []float32 {
	switch {
	case c.low != nil:
		return c.low
	case c.w.form == paired:
		return c.x.half
	}
	return c.x.data
}

// plane computes the rows of one sample and depth of the result, those of the same taps at once.
func (c *conv) plane(nd int, raw []float32) {
	x, y, per := c.x, c.y, c.w.form.per()
	data, k := c.input(), c.w.p.i/per
	sd := c.forward(nd%y.d, x.d)
	for h := 0; h < y.h; {
		sh, lines := c.geometry.forward(h, x.h), 1
		for h+lines < y.h && c.geometry.forward(h+lines, x.h) == (span{sh.taps, sh.first + lines*c.s}) {
			lines++
		}
		off := &c.plan.forward[sd.taps][sh.taps]
		src := data[((nd/y.d*x.d+sd.first)*x.h+sh.first)*x.line()/per:]
		simd.Convolve(raw[h*y.w*y.cp:], simd.Lines{N: y.w, Ld: y.cp, Lines: lines, Next: y.w * y.cp},
			src, simd.Lines{N: y.w, Ld: c.s * x.cp / per, Lines: lines, Next: c.s * x.line() / per}, off.a, c.w.fwd, off.b, c.w.op, k, false)
		h += lines
	}
}

// gradPlane computes (or with add, adds to) the gradient of one sample and depth of the input.
func (c *conv) gradPlane(nd int, dst []float32, add bool) {
	x, y, per := c.x, c.y, c.w.form.per()
	data, k := y.grad, c.w.p.o/per
	switch {
	case c.up != nil:
		data = c.up
	case c.low != nil:
		data = c.low
	}
	sd := c.backward(nd%x.d, y.d)
	for first := range c.s { // rows that are even, and rows that are odd, where the stride is 2
		for h := first; h < x.h; {
			sh, lines := c.geometry.backward(h, y.h), 1
			for h+lines*c.s < x.h && c.geometry.backward(h+lines*c.s, y.h) == (span{sh.taps, sh.first + lines}) {
				lines++
			}
			for odd := range c.s {
				off := &c.plan.backward[sd.taps][sh.taps][odd]
				cl := simd.Lines{N: (x.w - odd + c.s - 1) / c.s, Ld: c.s * x.cp, Lines: lines, Next: c.s * x.line()}
				if to := x.at(dst, nd*x.h+h); len(off.a) > 0 && sd.taps != 0 && cl.N > 0 {
					src := data[((nd/x.d*y.d+sd.first)*y.h+sh.first)*y.line()/per:]
					end := len(dst) - (nd*x.h+h)*x.line() - x.cp
					simd.Convolve(to[:cap(to)][odd*x.cp:end], cl, src, simd.Lines{N: cl.N, Ld: y.cp / per, Lines: lines, Next: y.line() / per}, off.a, c.w.bwd, off.b, c.w.ip, k, add)
				} else if !add {
					c.clear(dst, nd*x.h+h, cl, odd)
				}
			}
			h += lines * c.s
		}
	}
}

// clear zeroes places of the input's gradient from a row's on.
func (c *conv) clear(dst []float32, row int, l simd.Lines, odd int) {
	for line := range l.Lines {
		for i := range l.N {
			clear(c.x.at(dst, row+line*c.s)[(odd+i*c.s)*c.x.cp:][:c.x.cp])
		}
	}
}

// One job of a weight's gradient takes all taps along W of one along D and H, so many of the input's channels and a
// panel of the result's; and of the volumes so many places at a time that what the next tap reads is still near.
const (
	gradBlock  = 64
	gradPlaces = 96
)

// columns is one factor of a weight's gradient: lines of places, step apart, of which tap kw meets n from from[kw] on.
type columns struct {
	data          []float32
	line, step, n int
	from          [3]int
	first         int // plane with which data begins

	// Where places are in pairs along W, as bf16: step apart; a line is held once for each way of pairing that taps need, which
	// begin at columns way, way + 1 ... of a line with its zeros. Taps that are a multiple of two steps apart meet the same pairs.
	of        *value
	apart     int
	way, ways int
	pairs     int // of a way
}

// inPairs sets up columns of pairs, for as many planes of the gradient at a time as slabLimit allows.
func (c *conv) inPairs(m mode) {
	n := (c.y.w + 1) / 2
	c.left = newPairs(c.x, c.s, n, 1-c.p, c.k-c.p)
	c.right = newPairs(c.y, 1, n, 1, 1)
	for kw := range c.k {
		c.left.from[kw], c.right.from[kw] = c.left.at(kw-c.p+1), c.right.at(1)
	}
	l, r := c.x.h*c.left.line, c.y.h*c.right.line
	c.slab = min(c.y.d, max(1, (slabLimit-c.k*l)/(c.s*l+r)))
	c.left.data = m.rooms.plain("left pairs", min(c.x.d, c.s*(c.slab-1)+c.k)*l)
	c.right.data = m.rooms.plain("right pairs", c.slab*r)
}

// slabLimit is how many numbers, about, columns of pairs hold at a time. Tests take less.
var slabLimit = 4 << 20

// newPairs lays out pairs of which n are met by taps that begin at columns first to last.
func newPairs(v *value, apart, n, first, last int) columns {
	period := 2 * apart
	p := columns{of: v, apart: apart, n: n, way: first, ways: min(last-first+1, period), pairs: n + last/period, step: v.cp}
	p.line = p.ways * p.pairs * v.cp
	return p
}

// at is where the pairs from a column of a line start.
func (p *columns) at(col int) int {
	return ((col%(2*p.apart)-p.way)*p.pairs + col/(2*p.apart)) * p.of.cp
}

// fill takes the places of planes first to end from pairs of channels, laid out like the value. What would lie beyond a line is a
// place of its zeros.
func (p *columns) fill(half []float32, first, end int) {
	v := p.of
	p.first = first
	parallel(end-first, func(plane int) {
		dst := p.data[plane*v.h*p.line:]
		for r := range v.h {
			line := half[((first+plane)*v.h+r)*v.line()/2:][:v.line()/2]
			place := func(col int) []float32 { return line[min(col, v.w+1)*v.cp/2:][:v.cp/2] }
			for way := range p.ways {
				for i := range p.pairs {
					col := p.way + way + 2*p.apart*i
					simd.Weave(dst[:v.cp], place(col), place(col+p.apart))
					dst = dst[v.cp:]
				}
			}
		}
	})
}

// gradWeight computes the weight's gradient from the result's and x.
func (c *conv) gradWeight() {
	x, y := c.x, c.y
	jobs := c.k * c.k * ((c.w.ip + gradBlock - 1) / gradBlock) * panels(c.w.op)
	switch n := len(c.w.grad); {
	case c.up != nil:
		c.lower(x, x.data)
		clear(c.w.grad)
		for s := range x.n {
			for d := 0; d < y.d; d += c.slab {
				end := min(y.d, d+c.slab)
				c.left.fill(c.input(), s*x.d+max(0, d*c.s-c.p), s*x.d+min(x.d, (end-1)*c.s-c.p+c.k))
				c.right.fill(c.up, s*y.d+d, s*y.d+end)
				parallel(jobs, func(job int) { c.gradJob(c.w.grad, job, s*y.d+d, s*y.d+end, true) })
			}
		}
	case c.parts == nil:
		parallel(jobs, func(job int) { c.gradJob(c.w.grad, job, 0, y.n*y.d, false) })
	default:
		parallel(jobs*x.n, func(j int) { c.gradJob(c.parts[j/jobs*n:][:n], j%jobs, j/jobs*y.d, (j/jobs+1)*y.d, false) })
		sumParts(c.w.grad, c.parts)
	}
	c.w.unpack()
}

// gradJob sets one job's share of a gradient from some planes of the result, or with add adds to it.
func (c *conv) gradJob(grad []float32, job, first, end int, add bool) {
	tap, job := job%(c.k*c.k), job/(c.k*c.k)
	o, i := job%panels(c.w.op)*simd.Panel, job/panels(c.w.op)*gradBlock
	m, n := min(gradBlock, c.w.ip-i), min(simd.Panel, c.w.op-o)
	chunk := (gradPlaces + c.left.n - 1) / c.left.n
	var buf [2][64]int64
	for nd := first; nd < end; nd++ {
		oa, ob := c.rows(buf[0][:0], buf[1][:0], nd, tap/c.k, tap%c.k)
		for len(oa) > 0 {
			rows := min(chunk, len(oa))
			for kw := range c.k {
				simd.Cols(c.w.gradAt(grad, tap*c.k+kw, i, o), simd.Panel, c.left.data[c.left.from[kw]+i:], c.left.step, oa[:rows],
					c.right.data[c.right.from[kw]+o:], c.right.step, ob[:rows], m, n, c.left.n, add, c.up != nil)
			}
			oa, ob, add = oa[rows:], ob[rows:], true
		}
	}
	for kw := 0; !add && kw < c.k; kw++ { // no row meets this tap
		clear(c.w.gradAt(grad, tap*c.k+kw, i, o)[:m*simd.Panel])
	}
}

// rows lists where the rows of x and y start that meet at a plane of the result and two taps.
func (c *conv) rows(oa, ob []int64, nd, kd, kh int) ([]int64, []int64) {
	x, y := c.x, c.y
	xd := nd%y.d*c.s + kd - c.p
	if xd < 0 || xd >= x.d {
		return oa, ob
	}
	for h := range y.h {
		if xh := h*c.s + kh - c.p; xh >= 0 && xh < x.h {
			oa = append(oa, int64(((nd/y.d*x.d+xd-c.left.first)*x.h+xh)*c.left.line))
			ob = append(ob, int64(((nd-c.right.first)*y.h+h)*c.right.line))
		}
	}
	return oa, ob
}
