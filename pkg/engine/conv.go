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
	low   []float32 // x in the weight's form, then y.grad, where that is not float32
	// What a weight's gradient sums over, places in pairs where products are of bf16: x's lines, y.grad's, and how many.
	left, right columns
	places      int
	pairs       [2]placePairs // where there are such
}

func newConv(g geometry, w *weight, x, y *value, role string, m mode) *conv {
	c := &conv{geometry: g, w: w, x: x, y: y, raw: m.kept(role+" raw", plainRows(y))}
	per := w.form.per()
	c.plan = newPlan(g, x, y, w.p.i*simd.Panel, w.p.o*simd.Panel, per)
	if w.form != full {
		c.low = m.rooms.take(role+" low", pick(x.size() > y.size(), x, y))[:max(x.size(), y.size())/per]
	}
	if n := len(w.grad); m.grads && n <= partLimit && x.n > 1 {
		c.parts = make([]float32, x.n*n)
	}
	c.left, c.right, c.places = columns{data: x.data, line: x.line(), step: g.s * x.cp}, columns{data: y.grad, line: y.line(), step: y.cp}, y.w
	if paired := w.form == paired && m.grads; paired {
		c.places = (y.w + 1) / 2
		c.pairs = [2]placePairs{newPlacePairs(role+" x", x, g.s, c.places, g.k-g.p, m), newPlacePairs(role+" y", y, 1, c.places, 1, m)}
		c.left, c.right = c.pairs[0].columns(), c.pairs[1].columns()
	}
	for kw := range g.k {
		if c.left.from[kw], c.right.from[kw] = (kw-g.p+1)*x.cp, y.cp; c.pairs[0].n > 0 {
			c.left.from[kw], c.right.from[kw] = c.pairs[0].at(kw-g.p+1), c.pairs[1].at(1)
		}
	}
	return c
}

// plainRows is v without the columns of zeros.
func plainRows(v *value) *value { return &value{rows: v.rows * v.w, c: v.c, cp: v.cp} }

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
	if c.low != nil {
		eachPlane(v, func(_, first, end int) {
			from, to := first*v.line(), end*v.line()
			c.w.form.take(c.low[from/c.w.form.per():], data[from:to])
		})
	}
}

// plane computes raw for all rows of one sample and depth of the result, those of the same taps at once.
func (c *conv) plane(nd int) {
	x, y, per := c.x, c.y, c.w.form.per()
	data, k := x.data, c.w.p.i/per
	if c.low != nil {
		data = c.low
	}
	sd := c.forward(nd%y.d, x.d)
	for h := 0; h < y.h; {
		sh, lines := c.geometry.forward(h, x.h), 1
		for h+lines < y.h && c.geometry.forward(h+lines, x.h) == (span{sh.taps, sh.first + lines*c.s}) {
			lines++
		}
		off := &c.plan.forward[sd.taps][sh.taps]
		src := data[((nd/y.d*x.d+sd.first)*x.h+sh.first)*x.line()/per:]
		simd.Convolve(c.raw[(nd*y.h+h)*y.w*y.cp:], simd.Lines{N: y.w, Ld: y.cp, Lines: lines, Next: y.w * y.cp},
			src, simd.Lines{N: y.w, Ld: c.s * x.cp / per, Lines: lines, Next: c.s * x.line() / per}, off.a, c.w.fwd, off.b, c.w.op, k, false)
		h += lines
	}
}

// gradPlane computes (or with add, adds to) the gradient of one sample and depth of the input.
func (c *conv) gradPlane(nd int, dst []float32, add bool) {
	x, y, per := c.x, c.y, c.w.form.per()
	data, k := y.grad, c.w.p.o/per
	if c.low != nil {
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

// columns is one factor of a weight's gradient: lines of places, step apart, those that tap kw meets from from[kw] on.
type columns struct {
	data       []float32
	line, step int
	from       [3]int
}

// placePairs are v's places in pairs along W, step apart and rounded to bf16. A line is held once for each way of pairing that
// taps need: those that are a multiple of two steps apart meet the same pairs.
type placePairs struct {
	v     *value
	step  int
	ways  int // in which the first pair starts at column first, first + 1 ... of a line with its zeros
	first int
	n     int // pairs of a way
	data  []float32
}

// newPlacePairs has room for so many places of every tap up to the one that starts at column last.
func newPlacePairs(role string, v *value, step, places, last int, m mode) placePairs {
	p := placePairs{v: v, step: step, ways: min(last+1, 2*step), n: places + last/(2*step)}
	if last == 1 { // a kernel of 1, or the result's own places
		p.ways, p.first = 1, 1
	}
	p.data = m.rooms.take(role+" pairs", &value{rows: v.rows * p.ways * p.n, c: v.c, cp: v.cp})
	return p
}

func (p *placePairs) columns() columns {
	return columns{data: p.data, line: p.ways * p.n * p.v.cp, step: p.v.cp}
}

// at is where the pairs from a column of a line start.
func (p *placePairs) at(col int) int {
	return ((col%(2*p.step)-p.first)*p.n + col/(2*p.step)) * p.v.cp
}

// fill takes the places of data, laid out like v. What would lie beyond a line is a place of its zeros.
func (p *placePairs) fill(data []float32) {
	v := p.v
	eachPlane(v, func(_, first, end int) {
		dst := p.data[first*p.ways*p.n*v.cp:]
		for r := first; r < end; r++ {
			line := data[r*v.line():][:v.line()]
			place := func(col int) []float32 { return line[min(col, v.w+1)*v.cp:][:v.cp] }
			for way := range p.ways {
				for i := range p.n {
					col := p.first + way + 2*p.step*i
					simd.PairRows(dst[:v.cp], place(col), place(col+p.step))
					dst = dst[v.cp:]
				}
			}
		}
	})
}

// gradWeight computes the weight's gradient from y.grad and x.
func (c *conv) gradWeight() {
	if c.pairs[0].n > 0 {
		c.pairs[0].fill(c.x.data)
		c.pairs[1].fill(c.y.grad)
	}
	jobs := c.k * c.k * ((c.w.ip + gradBlock - 1) / gradBlock) * panels(c.w.op)
	if n := len(c.w.grad); c.parts == nil {
		parallel(jobs, func(job int) { c.gradJob(c.w.grad, job, 0, c.x.n) })
	} else {
		parallel(jobs*c.x.n, func(j int) { c.gradJob(c.parts[j/jobs*n:][:n], j%jobs, j/jobs, j/jobs+1) })
		sumParts(c.w.grad, c.parts)
	}
	c.w.unpack()
}

// gradJob sets one job's share of a gradient from some samples.
func (c *conv) gradJob(grad []float32, job, first, end int) {
	tap, job := job%(c.k*c.k), job/(c.k*c.k)
	o, i := job%panels(c.w.op)*simd.Panel, job/panels(c.w.op)*gradBlock
	m, n := min(gradBlock, c.w.ip-i), min(simd.Panel, c.w.op-o)
	chunk := (gradPlaces + c.places - 1) / c.places
	var buf [2][64]int64
	add := false
	for s := first; s < end; s++ {
		for d := range c.y.d {
			oa, ob := c.rows(buf[0][:0], buf[1][:0], s, d, tap/c.k, tap%c.k)
			for len(oa) > 0 {
				rows := min(chunk, len(oa))
				for kw := range c.k {
					simd.Cols(c.w.gradAt(grad, tap*c.k+kw, i, o), simd.Panel, c.left.data[c.left.from[kw]+i:], c.left.step, oa[:rows],
						c.right.data[c.right.from[kw]+o:], c.right.step, ob[:rows], m, n, c.places, add, c.pairs[0].n > 0)
				}
				oa, ob, add = oa[rows:], ob[rows:], true
			}
		}
	}
	for kw := 0; !add && kw < c.k; kw++ { // no row meets this tap
		clear(c.w.gradAt(grad, tap*c.k+kw, i, o)[:m*simd.Panel])
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
			oa = append(oa, int64(((s*x.d+xd)*x.h+xh)*c.left.line))
			ob = append(ob, int64(((s*y.d+d)*y.h+h)*c.right.line))
		}
	}
	return oa, ob
}
