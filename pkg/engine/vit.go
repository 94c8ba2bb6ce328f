package engine

import (
	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// addition is net.Add.
type addition struct{ a, b, out *value }

func (k *addition) forward() {
	copy(k.out.data, k.a.data)
	simd.Add(k.out.data, k.b.data)
}

func (k *addition) backward() {
	for _, x := range []*value{k.a, k.b} {
		if x.grad != nil {
			copy(x.grad, k.out.grad)
		}
	}
}

// dropout is net.Dropout.
type dropout struct {
	op          net.Dropout
	x, key, out *value
	train       bool
}

// keep copies what stays.
func (k *dropout) keep(dst, src []float32) {
	if !k.train || k.op.P == 0 {
		copy(dst, src)
		return
	}
	key, scale := k.op.Key(k.key.ids[0], k.key.ids[1]), float32(1/(1-k.op.P))
	v, space := k.x, k.x.d*k.x.h*k.x.w // of one channel; 0 where x is no volume, and channels are the last axis
	eachChunk(v.places(), func(_, first, end int) {
		for p := first; p < end; p++ {
			at := v.place(p)
			for c := range v.c {
				i := p*v.c + c
				if v.n > 0 {
					i = (p/space*v.c+c)*space + p%space
				}
				if dst[at+c] = 0; k.op.Keeps(key, i) {
					dst[at+c] = scale * src[at+c]
				}
			}
		}
	})
}

func (k *dropout) forward()  { k.keep(k.out.data, k.x.data) }
func (k *dropout) backward() { k.keep(k.x.grad, k.out.grad) }

// patchify is net.Patchify: a linear layer over patches laid out as PyTorch's weights are, channels, D, H, W.
type patchify struct {
	op      net.Patchify
	x, out  *value
	l       *linear
	patches []float32 // by token
	grads   []float32 // of patches; nil where x needs none
}

func newPatchify(o net.Patchify, ps []*param, x, out *value, m mode) *patchify {
	k := &patchify{op: o, x: x, out: out}
	k.l = newLinear(ps[0], ps[1], out.rows, x.grad != nil, "patchify", m)
	k.patches = make([]float32, out.rows*k.l.w.ip)
	if x.grad != nil {
		k.grads = make([]float32, len(k.patches))
	}
	return k
}

// rows visits, for some tokens, the places of a buffer laid out like x and where they are in patches.
func (k *patchify) rows(first, end int, f func(x, patch int)) {
	x, p := k.x, k.op.Patch
	h, w := x.h/p[1], x.w/p[2]
	for t := first; t < end; t++ {
		n := t / (k.out.rows / x.n)
		z, v, u := t/(h*w)%(x.d/p[0])*p[0], t/w%h*p[1], t%w*p[2]
		for i := range p[0] * p[1] * p[2] {
			at := x.place(((n*x.d+z+i/(p[1]*p[2]))*x.h+v+i/p[2]%p[1])*x.w + u + i%p[2])
			for c := range x.c {
				f(at+c, t*k.l.w.ip+c*p[0]*p[1]*p[2]+i)
			}
		}
	}
}

func (k *patchify) forward() {
	k.l.packForward()
	eachChunk(k.out.rows, func(_, first, end int) {
		k.rows(first, end, func(x, patch int) { k.patches[patch] = k.x.data[x] })
		k.l.run(k.out.data, k.patches, first, end)
	})
}

func (k *patchify) backward() {
	k.l.w.packBackward()
	eachChunk(k.out.rows, func(c, first, end int) {
		k.l.gradRows(k.grads, k.out.grad, c, first, end, false)
		if k.grads != nil {
			k.rows(first, end, func(x, patch int) { k.x.grad[x] = k.grads[patch] })
		}
	})
	k.l.gradWeight(k.out.grad, k.patches, k.out.rows)
}

// positions is net.Positions.
type positions struct {
	x, out       *value
	class, table *param
}

func (k *positions) forward() {
	t, e := k.out.shape[1], k.out.c
	for r := range k.out.rows {
		dst, src := k.out.at(k.out.data, r)[:e], k.class.Value
		if r%t > 0 {
			src = k.x.at(k.x.data, r/t*(t-1)+r%t-1)
		}
		for i, p := range k.table.Value[r%t*e:][:e] {
			dst[i] = src[i] + p
		}
	}
}

func (k *positions) backward() {
	t, e := k.out.shape[1], k.out.c
	clear(k.class.Grad)
	clear(k.table.Grad)
	for r := range k.out.rows {
		g := k.out.at(k.out.grad, r)
		simd.Add(k.table.Grad[r%t*e:][:e], g[:e])
		if r%t == 0 {
			simd.Add(k.class.Grad, g[:e])
		} else if k.x.grad != nil {
			copy(k.x.at(k.x.grad, r/t*(t-1)+r%t-1), g)
		}
	}
}
