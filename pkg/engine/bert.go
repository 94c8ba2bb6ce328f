package engine

import (
	"fmt"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// bertEmbedding is net.BertEmbedding.
type bertEmbedding struct {
	ids, out              *value
	words, position, kind *param
	ln                    *layerNorm
	sum                   []float32 // before the LayerNorm
}

func newBertEmbedding(o net.BertEmbedding, ps []*param, ids, out *value, train bool) *bertEmbedding {
	return &bertEmbedding{ids: ids, out: out, words: ps[0], position: ps[1], kind: ps[2],
		ln: newLayerNorm(ps[3:5], out.rows, out.cp, o.Eps, train), sum: make([]float32, out.size())}
}

// check refuses ids outside the vocabulary.
func (k *bertEmbedding) check() error { return inside("input_ids", k.ids.ids, k.words.Shape[0]) }

func (k *bertEmbedding) forward() {
	e, cp, t := k.out.c, k.out.cp, k.out.shape[1]
	eachChunk(k.out.rows, func(_, first, end int) {
		for r := first; r < end; r++ {
			w, p := k.words.Value[int(k.ids.ids[r])*e:][:e], k.position.Value[r%t*e:][:e]
			dst := k.sum[r*cp:][:e]
			for i := range dst {
				dst[i] = w[i] + p[i] + k.kind.Value[i]
			}
		}
		k.ln.run(k.out.data, k.sum, first, end)
	})
}

func (k *bertEmbedding) backward() {
	e, cp, t := k.out.c, k.out.cp, k.out.shape[1]
	eachChunk(k.out.rows, func(c, first, end int) { k.ln.grad(k.out.grad, k.sum, c, first, end) })
	k.ln.settle(k.out.rows)
	for _, p := range []*param{k.words, k.position, k.kind} {
		clear(p.Grad)
	}
	for r := range k.out.rows {
		g := k.out.grad[r*cp:][:e]
		w, p, kind := k.words.Grad[int(k.ids.ids[r])*e:][:e], k.position.Grad[r%t*e:][:e], k.kind.Grad[:e]
		for i, v := range g {
			w[i] += v
			p[i] += v
			kind[i] += v
		}
	}
}

// bertLayer is net.BertLayer as one kernel. Buffers hold rows of tokens; x is read again by the backward pass.
type bertLayer struct {
	x, out *value
	att    *attention
	q, k, v, attOut,
	up, down *linear
	ln1, ln2               *layerNorm
	context, sum1, h, sum2 []float32 // rows of E: heads' results, what each LayerNorm reads, and what the first gives
	inner, act, slope      []float32 // rows of the intermediate width: before GELU, after, and its derivative
	gq, gk, gv, gh, ginner []float32
	recompute              bool
}

func newBertLayer(o net.BertLayer, ps []*param, x, mask, out *value, m mode) *bertLayer {
	rows, e := x.rows, x.cp
	lin := func(i int) *linear { return newLinear(ps[i], ps[i+1], rows, true, fmt.Sprint("bert ", i), m) }
	k := &bertLayer{x: x, out: out, recompute: m.again, att: newAttention(x.shape[0], x.shape[1], x.shape[1], o.Heads, x.c, e, mask, false, m),
		q: lin(0), k: lin(2), v: lin(4), attOut: lin(6), ln1: newLayerNorm(ps[8:10], rows, e, o.Eps, m.grads),
		up: lin(10), down: lin(12), ln2: newLayerNorm(ps[14:16], rows, e, o.Eps, m.grads)}
	narrow, wide := &value{rows: rows, cp: e}, &value{rows: rows, cp: k.up.w.op}
	k.context, k.h = m.kept("context", narrow), m.kept("h", narrow)
	k.sum1, k.sum2 = m.kept("sum1", narrow), m.kept("sum2", narrow)
	k.inner, k.act = m.rooms.take("inner", wide), m.kept("act", wide)
	if m.grads {
		k.gq, k.gk = m.rooms.take("gq", narrow), m.rooms.take("gk", narrow)
		k.gv, k.gh = m.rooms.take("gv", narrow), m.rooms.take("gh", narrow)
		k.slope, k.ginner = m.kept("slope", wide), k.inner // which GELU has read by then
	}
	return k
}

func (k *bertLayer) forward() {
	for _, l := range k.linears() {
		l.packForward()
	}
	e, wide := k.x.cp, k.up.w.op
	eachChunk(k.x.rows, func(_, first, end int) {
		k.q.run(k.att.q, k.x.data, first, end)
		k.k.run(k.att.k, k.x.data, first, end)
		k.v.run(k.att.v, k.x.data, first, end)
	})
	k.att.forward(k.context)
	eachChunk(k.x.rows, func(_, first, end int) {
		k.attOut.run(k.sum1, k.context, first, end)
		simd.Add(k.sum1[first*e:end*e], k.x.data[first*e:end*e])
		k.ln1.run(k.h, k.sum1, first, end)
		k.up.run(k.inner, k.h, first, end)
		if k.slope != nil {
			simd.GELU(k.act[first*wide:end*wide], k.slope[first*wide:end*wide], k.inner[first*wide:end*wide])
		} else {
			simd.GELU(k.act[first*wide:end*wide], nil, k.inner[first*wide:end*wide])
		}
		k.down.run(k.sum2, k.act, first, end)
		simd.Add(k.sum2[first*e:end*e], k.h[first*e:end*e])
		k.ln2.run(k.out.data, k.sum2, first, end)
	})
}

func (k *bertLayer) linears() [6]*linear {
	return [...]*linear{k.q, k.k, k.v, k.attOut, k.up, k.down}
}

func (k *bertLayer) backward() {
	if k.recompute {
		k.forward()
	}
	for _, l := range k.linears() {
		l.w.packBackward()
	}
	e, wide, rows := k.x.cp, k.up.w.op, k.x.rows
	g := k.out.grad // from here the gradient of sum2, then by parts
	eachChunk(rows, func(c, first, end int) {
		k.ln2.grad(g, k.sum2, c, first, end)
		k.down.gradRows(k.ginner, g, c, first, end, false)
		simd.Mul(k.ginner[first*wide:end*wide], k.slope[first*wide:end*wide])
		copy(k.gh[first*e:end*e], g[first*e:end*e])
		k.up.gradRows(k.gh, k.ginner, c, first, end, true)
		k.ln1.grad(k.gh, k.sum1, c, first, end) // now the gradient of sum1
	})
	k.ln2.settle(rows)
	k.down.gradWeight(g, k.act, rows)
	k.up.gradWeight(k.ginner, k.h, rows)
	k.ln1.settle(rows)
	context := g // no longer read: room for the heads' gradient
	eachChunk(rows, func(c, first, end int) { k.attOut.gradRows(context, k.gh, c, first, end, false) })
	k.attOut.gradWeight(k.gh, k.context, rows)
	k.att.backward(context, k.gq, k.gk, k.gv)
	eachChunk(rows, func(c, first, end int) {
		copy(k.x.grad[first*e:end*e], k.gh[first*e:end*e])
		k.q.gradRows(k.x.grad, k.gq, c, first, end, true)
		k.k.gradRows(k.x.grad, k.gk, c, first, end, true)
		k.v.gradRows(k.x.grad, k.gv, c, first, end, true)
	})
	k.q.gradWeight(k.gq, k.x.data, rows)
	k.k.gradWeight(k.gk, k.x.data, rows)
	k.v.gradWeight(k.gv, k.x.data, rows)
}
