package engine

import (
	"fmt"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// convNorm is a convolution and its batch normalisation.
type convNorm struct {
	*conv
	bn  *batchNorm
	raw raws
}

// raws are a convolution's results before normalisation, by rows without the columns of zeros: in full, or as pairs of bf16.
type raws struct {
	n    int // numbers of a row
	half bool
	data []float32
}

// newRaws has room for y's. They are the layer's own where the backward pass reads them.
func newRaws(role string, y *value, half bool, m mode) raws {
	s := raws{n: y.w * y.cp, half: half}
	size := y.rows * s.n
	if half {
		size /= 2
	}
	if m.shares() {
		s.data = m.rooms.plain(role+" raw", size)
	} else {
		s.data = make([]float32, size)
	}
	return s
}

// fill gives f room for rows first to end, and keeps what it leaves there.
func (s raws) fill(first, end int, f func(rows []float32)) {
	if !s.half {
		f(s.data[first*s.n : end*s.n])
		return
	}
	mem := scratches.Get().(*scratch)
	defer scratches.Put(mem)
	rows := mem.take((end - first) * s.n)
	f(rows)
	simd.Pairs(s.data[first*s.n/2:end*s.n/2], rows)
}

// row is one to read: in buf where it is kept as pairs.
func (s raws) row(r int, buf []float32) []float32 {
	if !s.half {
		return s.data[r*s.n : (r+1)*s.n]
	}
	simd.Unpair(buf[:s.n], s.data[r*s.n/2:(r+1)*s.n/2])
	return buf[:s.n]
}

// newConvNorm takes the convolution's and the normalisation's parameters; y has room for its gradient in training. role
// tells what it shares with other blocks from what the block's other convolutions do.
func newConvNorm(o net.ConvBN, ps []*param, x, y *value, f form, role string, m mode) (convNorm, error) {
	g, ok := geometryOf(o)
	if !ok {
		return convNorm{}, fmt.Errorf("kernel %v, stride %v, padding %v: only kernels 1 and 3, strides 1 and 2, half padding", o.Kernel, o.Stride, o.Pad)
	}
	c := newConv(g, newWeight(ps[0], f, true, role, m), x, y, role, m)
	return convNorm{c, newBatchNorm(ps[1:6], y, o.FrozenBN), newRaws(role, y, f == paired, m)}, nil
}

// run convolves and measures, plane by plane.
func (c convNorm) run() {
	c.each(func(p int, raw []float32) {
		c.plane(p, raw)
		c.bn.measure(p, raw)
	})
	c.bn.settle()
}

// again convolves as run did.
func (c convNorm) again() { c.each(c.plane) }

// each has f make each plane.
func (c convNorm) each(f func(plane int, raw []float32)) {
	c.w.packForward()
	c.lower(c.x, c.x.data)
	eachPlane(c.y, func(p, first, end int) { c.raw.fill(first, end, func(rows []float32) { f(p, rows) }) })
}

// eachPlane runs f on the rows of every plane of v, in parallel.
func eachPlane(v *value, f func(plane, first, end int)) {
	parallel(v.n*v.d, func(p int) { f(p, p*v.h, (p+1)*v.h) })
}

// eachPlaneIn is eachPlane with memory for three of v's rows.
func eachPlaneIn(v *value, f func(plane, first, end int, buf [3][]float32)) {
	eachPlane(v, func(p, first, end int) {
		mem := scratches.Get().(*scratch)
		defer scratches.Put(mem)
		n := v.w * v.cp
		rows := mem.take(3 * n)
		f(p, first, end, [...][]float32{rows[:n], rows[n : 2*n], rows[2*n:]})
	})
}

// basicBlock is net.BasicBlock as one kernel.
type basicBlock struct {
	x, out    *value
	mid       *value // after the first convolution, normalisation and ReLU
	one, two  convNorm
	down      convNorm // without conv: the input itself is added
	identity  bool
	recompute bool
}

func newBasicBlock(o net.BasicBlock, ps []*param, x, out *value, m mode) (k *basicBlock, err error) {
	k = &basicBlock{x: x, out: out, mid: newValue(out.shape), identity: !o.Down, recompute: m.again}
	f := formOf(m.half, x.c, out.c)
	if f == paired {
		k.mid.half = m.kept("mid", k.mid.halved())
	} else {
		k.mid.data = m.kept("mid", k.mid)
	}
	branch := func(role string) *value { // a convolution's result: only its gradient is kept
		v := newValue(out.shape)
		if m.grads && f != paired {
			v.grad = m.rooms.take(role, v)
		}
		return v
	}
	o1, o2, od := o.Halves()
	if k.one, err = newConvNorm(o1, ps[:6], x, branch("branch"), f, "one", m); err != nil {
		return nil, err
	}
	// The gradient of the first convolution's result comes when that of the second's is used up.
	if k.two, err = newConvNorm(o2, ps[6:12], k.mid, branch("branch"), f, "two", m); err != nil {
		return nil, err
	}
	if o.Down {
		k.down, err = newConvNorm(od, ps[12:], x, branch("down"), f, "down", m)
	}
	return k, err
}

func (k *basicBlock) forward() {
	k.one.run()
	k.normalizeMid()
	k.two.run()
	if !k.identity {
		k.down.run()
	}
	bn := k.two.bn
	eachPlaneIn(k.out, func(_, first, end int, buf [3][]float32) {
		for r := first; r < end; r++ {
			dst := k.out.open(r, buf[0])
			skip := dst
			if k.identity {
				skip = k.x.row(r, buf[1])
			} else {
				simd.ScaleShift(dst, k.down.raw.row(r, buf[1]), k.down.bn.scale, k.down.bn.shift)
			}
			simd.ScaleShiftAddReLU(dst, k.two.raw.row(r, buf[2]), bn.scale, bn.shift, skip)
			k.out.shut(r, dst)
		}
	})
}

func (k *basicBlock) normalizeMid() {
	eachPlaneIn(k.mid, func(_, first, end int, buf [3][]float32) {
		for r := first; r < end; r++ {
			dst := k.mid.open(r, buf[0])
			simd.ScaleShiftReLU(dst, k.one.raw.row(r, buf[1]), k.one.bn.scale, k.one.bn.shift)
			k.mid.shut(r, dst)
		}
	})
}

func (k *basicBlock) backward() {
	if k.recompute {
		k.one.again()
		k.normalizeMid()
		k.two.again()
		if !k.identity {
			k.down.again()
		}
	}
	sum := k.x.grad // where the input itself was added, its gradient starts as the sum's
	if !k.identity {
		sum = k.out.grad
	}
	k.gradSum(sum)
	k.two.toRaw(sum, k.out)
	if !k.identity {
		k.down.toRaw(sum, k.out)
	}
	k.mid.grad = k.out.grad // which has been read
	k.two.gradWeight()
	k.two.backInput()
	eachPlaneIn(k.mid, func(p, first, end int, buf [3][]float32) {
		k.two.gradPlane(p, k.mid.grad, false)
		k.one.bn.start(p)
		for r := first; r < end; r++ {
			g := k.mid.at(k.mid.grad, r)
			simd.Mask(g, g, k.mid.row(r, buf[0]))
			k.one.bn.sumRow(p, g, k.one.raw.row(r, buf[1]))
		}
	})
	k.one.bn.settleGrad()
	k.one.toRaw(k.mid.grad, k.mid)
	k.one.gradWeight()
	k.one.backInput()
	eachPlane(k.x, func(p, _, _ int) { k.one.gradPlane(p, k.x.grad, k.identity) })
	if k.identity {
		return
	}
	k.down.gradWeight()
	k.down.backInput()
	eachPlane(k.x, func(p, _, _ int) { k.down.gradPlane(p, k.x.grad, true) })
}

// gradSum passes the last ReLU into sum and measures for the normalisations before it.
func (k *basicBlock) gradSum(sum []float32) {
	eachPlaneIn(k.out, func(p, first, end int, buf [3][]float32) {
		k.two.bn.start(p)
		if !k.identity {
			k.down.bn.start(p)
		}
		for r := first; r < end; r++ {
			g := k.out.at(sum, r)
			simd.Mask(g, k.out.at(k.out.grad, r), k.out.row(r, buf[0]))
			k.two.bn.sumRow(p, g, k.two.raw.row(r, buf[1]))
			if !k.identity {
				k.down.bn.sumRow(p, g, k.down.raw.row(r, buf[1]))
			}
		}
	})
	k.two.bn.settleGrad()
	if !k.identity {
		k.down.bn.settleGrad()
	}
}

// toRaw turns the gradient of the normalised result, laid out like v, into that of raw.
func (c convNorm) toRaw(g []float32, v *value) {
	bn := c.bn
	eachPlaneIn(v, func(_, first, end int, buf [3][]float32) {
		for r := first; r < end; r++ {
			dst := buf[0]
			if c.up == nil {
				dst = c.y.at(c.y.grad, r)
			}
			simd.GradInput(dst, v.at(g, r), c.raw.row(r, buf[1]), bn.ga, bn.gb, bn.gc)
			if c.up != nil {
				simd.Pairs(c.y.halfAt(c.up, r), dst)
			}
		}
	})
}

// backInput readies gradPlane.
func (c convNorm) backInput() {
	c.w.packBackward()
	if c.up == nil {
		c.lower(c.y, c.y.grad)
	}
}
