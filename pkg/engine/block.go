package engine

import (
	"fmt"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// convNorm is a convolution and its batch normalisation.
type convNorm struct {
	*conv
	bn *batchNorm
}

// newConvNorm takes the convolution's and the normalisation's parameters; y has room for its gradient in training. role
// tells what it shares with other blocks from what the block's other convolutions do.
func newConvNorm(o net.ConvBN, ps []*param, x, y *value, role string, m mode) (convNorm, error) {
	g, ok := geometryOf(o)
	if !ok {
		return convNorm{}, fmt.Errorf("kernel %v, stride %v, padding %v: only kernels 1 and 3, strides 1 and 2, half padding", o.Kernel, o.Stride, o.Pad)
	}
	c := newConv(g, newWeight(ps[0], m.grads, true, m.half), x, y, role, m)
	return convNorm{c, newBatchNorm(ps[1:6], y, o.FrozenBN)}, nil
}

// run convolves and measures, plane by plane.
func (c convNorm) run() {
	c.w.pack()
	c.lower(c.x, c.x.data)
	size := c.y.h * c.y.w * c.y.cp
	parallel(c.y.n*c.y.d, func(p int) {
		c.plane(p)
		c.bn.measure(p, c.raw[p*size:(p+1)*size])
	})
	c.bn.settle()
}

// again convolves as run did.
func (c convNorm) again() {
	c.lower(c.x, c.x.data)
	parallel(c.y.n*c.y.d, c.plane)
}

// row is one row of raw.
func (c convNorm) row(r int) []float32 {
	n := c.y.w * c.y.cp
	return c.raw[r*n : (r+1)*n]
}

// eachPlane runs f on the rows of every plane of v, in parallel.
func eachPlane(v *value, f func(plane, first, end int)) {
	parallel(v.n*v.d, func(p int) { f(p, p*v.h, (p+1)*v.h) })
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
	k.mid.data = m.kept("mid", k.mid)
	branch := func(role string) *value { // a convolution's result: only its gradient is kept
		v := newValue(out.shape)
		if m.grads {
			v.grad = m.rooms.take(role, v)
		}
		return v
	}
	o1, o2, od := o.Halves()
	if k.one, err = newConvNorm(o1, ps[:6], x, branch("branch"), "one", m); err != nil {
		return nil, err
	}
	// The gradient of the first convolution's result comes when that of the second's is used up.
	if k.two, err = newConvNorm(o2, ps[6:12], k.mid, branch("branch"), "two", m); err != nil {
		return nil, err
	}
	if m.grads {
		k.mid.grad = m.rooms.take("mid gradient", k.mid)
	}
	if o.Down {
		k.down, err = newConvNorm(od, ps[12:], x, branch("down"), "down", m)
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
	eachPlane(k.out, func(_, first, end int) {
		for r := first; r < end; r++ {
			dst := k.out.at(k.out.data, r)
			skip := dst
			if k.identity {
				skip = k.x.at(k.x.data, r)
			} else {
				simd.ScaleShift(dst, k.down.row(r), k.down.bn.scale, k.down.bn.shift)
			}
			simd.ScaleShiftAddReLU(dst, k.two.row(r), bn.scale, bn.shift, skip)
		}
	})
}

func (k *basicBlock) normalizeMid() {
	eachPlane(k.mid, func(_, first, end int) {
		for r := first; r < end; r++ {
			simd.ScaleShiftReLU(k.mid.at(k.mid.data, r), k.one.row(r), k.one.bn.scale, k.one.bn.shift)
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
	k.two.gradWeight()
	k.two.lower(k.two.y, k.two.y.grad)
	eachPlane(k.mid, func(p, first, end int) {
		k.two.gradPlane(p, k.mid.grad, false)
		k.one.bn.start(p)
		for r := first; r < end; r++ {
			g := k.mid.at(k.mid.grad, r)
			simd.Mask(g, g, k.mid.at(k.mid.data, r))
			k.one.bn.sumRow(p, g, k.one.row(r))
		}
	})
	k.one.bn.settleGrad()
	k.one.toRaw(k.mid.grad, k.mid)
	k.one.gradWeight()
	k.one.lower(k.one.y, k.one.y.grad)
	if !k.identity {
		k.down.gradWeight()
		k.down.lower(k.down.y, k.down.y.grad)
	}
	eachPlane(k.x, func(p, _, _ int) {
		k.one.gradPlane(p, k.x.grad, k.identity)
		if !k.identity {
			k.down.gradPlane(p, k.x.grad, true)
		}
	})
}

// gradSum passes the last ReLU into sum and measures for the normalisations before it.
func (k *basicBlock) gradSum(sum []float32) {
	eachPlane(k.out, func(p, first, end int) {
		k.two.bn.start(p)
		if !k.identity {
			k.down.bn.start(p)
		}
		for r := first; r < end; r++ {
			g := k.out.at(sum, r)
			simd.Mask(g, k.out.at(k.out.grad, r), k.out.at(k.out.data, r))
			k.two.bn.sumRow(p, g, k.two.row(r))
			if !k.identity {
				k.down.bn.sumRow(p, g, k.down.row(r))
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
	eachPlane(v, func(_, first, end int) {
		for r := first; r < end; r++ {
			simd.GradInput(c.y.at(c.y.grad, r), v.at(g, r), c.row(r), bn.ga, bn.gb, bn.gc)
		}
	})
}
