package engine

import (
	"math"

	"silverbeam/pkg/simd"
)

// attention is multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2); one job is one head of one
// sample.
type attention struct {
	n, t, s, sp int // samples, queries, keys, with padding
	heads       int
	d, dp, ep   int // width of a head, with padding, and of a row of q, k, v
	q, k, v     []float32
	mask        *value // of keys; nil: all are there
	causal      bool
	all         []int32   // the mask where there is none
	p           []float32 // probabilities: sample, head, query, key with padding
}

func newAttention(n, t, s, heads, e, ep int, mask *value, causal bool, m mode) *attention {
	a := &attention{n: n, t: t, s: s, sp: padded(s), heads: heads, d: e / heads, ep: ep, mask: mask, causal: causal}
	a.dp = padded(a.d)
	queries, keys := &value{rows: n * t, cp: ep}, &value{rows: n * s, cp: ep}
	a.q, a.k, a.v = m.kept("q", queries), m.kept("k", keys), m.kept("v", keys)
	a.p = m.kept("p", &value{rows: n * heads * t, cp: a.sp})
	if mask == nil {
		a.all = make([]int32, s)
		for i := range a.all {
			a.all[i] = 1
		}
	}
	return a
}

// plain is a matrix whose rows lie together.
func plain(data []float32, ld int) simd.Matrix {
	return simd.Matrix{Data: data, Ld: ld, Next: simd.Panel}
}

// head is where a job's rows start in q and its like, and in k, v and theirs.
func (a *attention) head(job int) (query, key int) {
	n, h := job/a.heads, job%a.heads*a.d
	return n*a.t*a.ep + h, n*a.s*a.ep + h
}

// keys is a job's mask.
func (a *attention) keys(job int) []int32 {
	if a.mask == nil {
		return a.all
	}
	return a.mask.ids[job/a.heads*a.s:][:a.s]
}

// wide copies a head's rows into dst, padded to whole lanes; flat lays the keys' out by column instead.
func (a *attention) wide(dst, src []float32, rows int) []float32 {
	for t := range rows {
		row := dst[t*a.dp:][:a.dp]
		clear(row[copy(row, src[t*a.ep:][:a.d]):])
	}
	return dst
}

func (a *attention) flat(dst, src []float32) []float32 {
	for i := range a.d {
		col := dst[i*a.sp:][:a.sp]
		for t := range a.s {
			col[t] = src[t*a.ep+i]
		}
		clear(col[a.s:])
	}
	return dst
}

// narrow copies padded rows back into a head's.
func (a *attention) narrow(dst, src []float32, rows int) {
	for t := range rows {
		copy(dst[t*a.ep:][:a.d], src[t*a.dp:])
	}
}

// forward computes y from q, k and v.
func (a *attention) forward(y []float32) {
	parallel(a.n*a.heads, func(job int) {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		buf := s.take(a.d*a.sp + (a.s+a.t)*a.dp)
		query, key := a.head(job)
		p := a.p[job*a.t*a.sp:][:a.t*a.sp]
		kt := a.flat(buf, a.k[key:])
		simd.Rows(p, a.sp, a.q[query:], a.ep, oneBlock, plain(kt, a.sp), oneBlock, a.t, a.sp, a.d, false)
		a.softmax(p, a.keys(job))
		v, o := a.wide(buf[a.d*a.sp:], a.v[key:], a.s), buf[a.d*a.sp+a.s*a.dp:]
		simd.Rows(o, a.dp, p, a.sp, oneBlock, plain(v, a.dp), oneBlock, a.t, a.dp, a.s, false)
		a.narrow(y[query:], o, a.t)
	})
}

// softmax turns a head's scores into probabilities; a query with no key to attend to gets zeros.
func (a *attention) softmax(p []float32, keys []int32) {
	scale := float32(1 / math.Sqrt(float64(a.d)))
	var sums, by, zeros [simd.Lanes]float32
	for t := range a.t {
		row, seen := p[t*a.sp:][:a.sp], keys
		if a.causal {
			seen = keys[:min(t+1, a.s)]
		}
		none := float32(math.Inf(-1))
		for i, m := range seen {
			if m == 0 {
				row[i] = none
			}
		}
		for i := len(seen); i < len(row); i++ {
			row[i] = none
		}
		top := largest(row)
		if top == none {
			clear(row)
			continue
		}
		simd.Exps(row, row, top, scale)
		simd.ChannelSum(sums[:], row)
		sum := float32(0)
		for _, v := range sums {
			sum += v
		}
		for i := range by {
			by[i] = 1 / sum
		}
		simd.ScaleShift(row, row, by[:], zeros[:])
	}
}

// largest is the largest of whole lanes, four at a time: one after the other would wait for each comparison.
func largest(x []float32) float32 {
	a, b, c, d := x[0], x[1], x[2], x[3]
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = max(a, x[0]), max(b, x[1]), max(c, x[2]), max(d, x[3])
	}
	return max(a, b, c, d)
}

// backward computes the gradients of q, k and v from that of y, all in rows of ep.
func (a *attention) backward(gy, gq, gk, gv []float32) {
	parallel(a.n*a.heads, func(job int) {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		row, score := max(a.t, a.sp)*a.dp, a.t*a.sp
		buf := s.take(2*row + a.sp*max(a.d, a.dp) + score)
		query, key := a.head(job)
		p := a.p[job*score:][:score]
		in, out, vt, ds := buf[:row], buf[row:2*row], buf[2*row:len(buf)-score], buf[len(buf)-score:]
		a.wide(in, gy[query:], a.t)
		simd.Cols(out, a.dp, p, a.sp, oneBlock, in, a.dp, oneBlock, a.sp, a.dp, a.t, false, false)
		a.narrow(gv[key:], out, a.s)
		a.flat(vt, a.v[key:])
		simd.Rows(ds, a.sp, gy[query:], a.ep, oneBlock, plain(vt, a.sp), oneBlock, a.t, a.sp, a.d, false)
		a.softmaxGrad(ds, p)
		a.wide(in, a.k[key:], a.s)
		simd.Rows(out, a.dp, ds, a.sp, oneBlock, plain(in, a.dp), oneBlock, a.t, a.dp, a.s, false)
		a.narrow(gq[query:], out, a.t)
		a.wide(in, a.q[query:], a.t)
		simd.Cols(out, a.dp, ds, a.sp, oneBlock, in, a.dp, oneBlock, a.sp, a.dp, a.t, false, false)
		a.narrow(gk[key:], out, a.s)
	})
}

// softmaxGrad turns the gradient of probabilities into that of scores before scaling, in place.
func (a *attention) softmaxGrad(g, p []float32) {
	scale := float32(1 / math.Sqrt(float64(a.d)))
	for t := range a.t {
		gr, pr := g[t*a.sp:][:a.sp], p[t*a.sp:][:a.sp]
		dot := float32(0)
		for i, v := range gr {
			dot += v * pr[i]
		}
		for i, v := range gr {
			gr[i] = pr[i] * (v - dot) * scale
		}
	}
}
