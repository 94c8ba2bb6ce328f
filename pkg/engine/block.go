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

// newConvNorm takes the convolution's and the normalisation's parameters; y has room for its gradient in training.
func newConvNorm(o net.ConvBN, ps []*param, x, y *value, train, half bool) (convNorm, error) {
	g, ok := geometryOf(o)
	if !ok {
		return convNorm{}, fmt.Errorf("kernel %v, stride %v, padding %v: only kernels 1 and 3, strides 1 and 2, half padding", o.Kernel, o.Stride, o.Pad)
	}
	c := newConv(g, newWeight(ps[0], train, true, half), x, y, train)
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
	x, out     *value
	mid        *value // after the first convolution, normalisation and ReLU
	one, two   convNorm
	down       convNorm // without conv: the input itself is added
	identity   bool
	inputGrads bool
}

func newBasicBlock(o net.BasicBlock, ps []*param, x, out *value, train, half bool) (k *basicBlock, err error) {
	k = &basicBlock{x: x, out: out, mid: newValue(out.shape), identity: !o.Down, inputGrads: train}
	k.mid.data = make([]float32, k.mid.size())
	branch := func() *value { // a convolution's result: only its gradient is kept
		v := newValue(out.shape)
		if train {
			v.grad = make([]float32, v.size())
		}
		return v
	}
	o1, o2, od := o.Halves()
	if k.one, err = newConvNorm(o1, ps[:6], x, branch(), train, half); err != nil {
		return nil, err
	}
	if k.two, err = newConvNorm(o2, ps[6:12], k.mid, branch(), train, half); err != nil {
		return nil, err
	}
	if train {
		k.mid.grad = make([]float32, k.mid.size())
	}
	if o.Down {
		k.down, err = newConvNorm(od, ps[12:], x, branch(), train, half)
	}
	return k, err
}

func (k *basicBlock) forward() {
	k.one.run()
	eachPlane(k.mid, func(_, first, end int) {
		for r := first; r < end; r++ {
			simd.ScaleShiftReLU(k.mid.at(k.mid.data, r), k.one.row(r), k.one.bn.scale, k.one.bn.shift)
		}
	})
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

func (k *basicBlock) backward() {
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
