package engine

import "silverbeam/pkg/net"

// geometry is a convolution's along the three axes: kernel 1 or 3 with half padding, stride 1 or 2, the same everywhere.
type geometry struct{ k, s, p int }

// span is what a row of one side meets on the other along one axis: which taps (a bit each) and from which index.
type span struct {
	taps  int
	first int
}

// forward is the span of output index o in an input of extent n.
func (g geometry) forward(o, n int) span {
	sp := span{first: -1}
	for k := range g.k {
		if i := o*g.s + k - g.p; i >= 0 && i < n {
			sp.taps |= 1 << k
			if sp.first < 0 {
				sp.first = i
			}
		}
	}
	return sp
}

// backward is the span of input index i in an output of extent n.
func (g geometry) backward(i, n int) span {
	sp := span{}
	for k := range g.k {
		if o := i + g.p - k; o >= 0 && o%g.s == 0 && o/g.s < n {
			sp.taps |= 1 << k
			sp.first = o / g.s // taps go up, indices down: the last is the first index
		}
	}
	return sp
}

// offsets are a row product's blocks: where in a the block's first row starts, past the lowest row it reads, and where
// in b, the weight of its tap.
type offsets struct{ a, b []int64 }

// of turns numbers into elements of so many.
func (o offsets) of(per int) offsets {
	for i := range o.a {
		o.a[i], o.b[i] = o.a[i]/int64(per), o.b[i]/int64(per)
	}
	return o
}

// plan holds the offsets of a convolution for every pair of spans that occurs.
type plan struct {
	forward  [8][8]offsets    // by taps along D and H
	backward [8][8][2]offsets // and by the input's W being even or odd, for stride 1 the first
}

// newPlan lays out a convolution from x to y; wf and wb are how far apart two taps' weights are in either direction;
// all in elements of per numbers.
func newPlan(g geometry, x, y *value, wf, wb, per int) *plan {
	p := &plan{}
	for dm := 1; dm < 1<<g.k; dm++ {
		for hm := 1; hm < 1<<g.k; hm++ {
			p.forward[dm][hm] = g.forwardOffsets(dm, hm, x, wf).of(per)
			for odd := range g.s {
				p.backward[dm][hm][odd] = g.backwardOffsets(dm, hm, odd, y, wb).of(per)
			}
		}
	}
	return p
}

func (g geometry) forwardOffsets(dm, hm int, x *value, wf int) (o offsets) {
	d0, h0 := lowest(dm), lowest(hm)
	g.each(dm, hm, func(kd, kh, kw, tap int) {
		row := (kd-d0)*x.h + kh - h0
		o.a = append(o.a, int64(row*x.line()+(kw-g.p+1)*x.cp))
		o.b = append(o.b, int64(tap*wf))
	})
	return o
}

// backwardOffsets reads y's gradient for the input columns s·j + odd, j from 0.
func (g geometry) backwardOffsets(dm, hm, odd int, y *value, wb int) (o offsets) {
	d1, h1 := highest(dm), highest(hm)
	g.each(dm, hm, func(kd, kh, kw, tap int) {
		if (odd+g.p-kw)%g.s != 0 {
			return
		}
		row, col := (d1-kd)/g.s*y.h+(h1-kh)/g.s, (odd+g.p-kw)/g.s+1
		o.a = append(o.a, int64(row*y.line()+col*y.cp))
		o.b = append(o.b, int64(tap*wb))
	})
	return o
}

// each visits the taps of two sets along D and H and all along W.
func (g geometry) each(dm, hm int, f func(kd, kh, kw, tap int)) {
	for kd := range g.k {
		for kh := range g.k {
			for kw := range g.k {
				if dm>>kd&1 == 1 && hm>>kh&1 == 1 {
					f(kd, kh, kw, (kd*g.k+kh)*g.k+kw)
				}
			}
		}
	}
}

func lowest(mask int) int {
	for k := range 8 {
		if mask>>k&1 == 1 {
			return k
		}
	}
	return 0
}

func highest(mask int) int {
	top := 0
	for k := range 8 {
		if mask>>k&1 == 1 {
			top = k
		}
	}
	return top
}

// geometryOf says whether the kernels here can do a convolution.
func geometryOf(o net.ConvBN) (geometry, bool) {
	g := geometry{k: o.Kernel[0], s: o.Stride[0], p: o.Pad[0]}
	even := func(a [3]int) bool { return a[0] == a[1] && a[1] == a[2] }
	return g, even(o.Kernel) && even(o.Stride) && even(o.Pad) && (g.k == 1 || g.k == 3) && g.p == g.k/2 && (g.s == 1 || g.s == 2)
}
