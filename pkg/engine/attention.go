package engine

import (
	"math"

	"silverbeam/pkg/simd"
)

// attention is multi-head scaled dot-product attention (Vaswani et al. 2017, section 3.2) with a mask of keys; one job is
// one head of one sample.
type attention struct {
	n, t, tp  int // samples, tokens, with padding
	heads     int
	d, dp, ep int // width of a head, with padding, and of a row of q, k, v
	q, k, v   []float32
	mask      *value
	p         []float32 // probabilities: sample, head, token, key with padding
}

func newAttention(n, t, heads, e, ep int, mask *value) *attention {
	a := &attention{n: n, t: t, tp: padded(t), heads: heads, d: e / heads, ep: ep, mask: mask}
	a.dp = padded(a.d)
	size := n * t * ep
	a.q, a.k, a.v = make([]float32, size), make([]float32, size), make([]float32, size)
	a.p = make([]float32, n*heads*t*a.tp)
	return a
}

// head is where a job's rows start in q, k, v and their like.
func (a *attention) head(job int) int { return job/a.heads*a.t*a.ep + job%a.heads*a.d }

// wide copies a head's rows into dst, padded to whole lanes; flat lays them out by column instead.
func (a *attention) wide(dst, src []float32) []float32 {
	for t := range a.t {
		row := dst[t*a.dp:][:a.dp]
		clear(row[copy(row, src[t*a.ep:][:a.d]):])
	}
	return dst
}

func (a *attention) flat(dst, src []float32) []float32 {
	for i := range a.d {
		col := dst[i*a.tp:][:a.tp]
		for t := range a.t {
			col[t] = src[t*a.ep+i]
		}
		clear(col[a.t:])
	}
	return dst
}

// narrow copies padded rows back into a head's.
func (a *attention) narrow(dst, src []float32) {
	for t := range a.t {
		copy(dst[t*a.ep:][:a.d], src[t*a.dp:])
	}
}

// forward computes y from q, k and v.
func (a *attention) forward(y []float32) {
	parallel(a.n*a.heads, func(job int) {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		buf := s.take(a.d*a.tp + 2*a.t*a.dp)
		at, p := a.head(job), a.p[job*a.t*a.tp:][:a.t*a.tp]
		kt := a.flat(buf, a.k[at:])
		simd.Rows(p, a.tp, a.q[at:], a.ep, oneBlock, kt, a.tp, oneBlock, a.t, a.tp, a.d, false)
		a.softmax(p, a.mask.ids[job/a.heads*a.t:][:a.t])
		v, o := a.wide(buf[a.d*a.tp:], a.v[at:]), buf[a.d*a.tp+a.t*a.dp:]
		simd.Rows(o, a.dp, p, a.tp, oneBlock, v, a.dp, oneBlock, a.t, a.dp, a.t, false)
		a.narrow(y[at:], o)
	})
}

// softmax turns a head's scores into probabilities; a token with no key to attend to gets zeros.
func (a *attention) softmax(p []float32, mask []int32) {
	scale := float32(1 / math.Sqrt(float64(a.d)))
	for t := range a.t {
		row := p[t*a.tp:][:a.tp]
		top := float32(math.Inf(-1))
		for i, m := range mask {
			if m != 0 && row[i] > top {
				top = row[i]
			}
		}
		sum := float32(0)
		for i, m := range mask {
			if m == 0 {
				row[i] = 0
				continue
			}
			row[i] = simd.Exp((row[i] - top) * scale)
			sum += row[i]
		}
		if sum > 0 {
			sum = 1 / sum
		}
		for i := range mask {
			row[i] *= sum
		}
		clear(row[a.t:])
	}
}

// backward computes the gradients of q, k and v from that of y, all in rows of ep.
func (a *attention) backward(gy, gq, gk, gv []float32) {
	parallel(a.n*a.heads, func(job int) {
		s := scratches.Get().(*scratch)
		defer scratches.Put(s)
		row, score := a.tp*a.dp, a.t*a.tp
		buf := s.take(4*row + score)
		at, p := a.head(job), a.p[job*score:][:score]
		in, out, vt, ds := buf[:row], buf[row:2*row], buf[2*row:4*row], buf[4*row:]
		a.wide(in, gy[at:])
		simd.Cols(out, a.dp, p, a.tp, oneBlock, in, a.dp, oneBlock, a.tp, a.dp, a.t, false)
		a.narrow(gv[at:], out)
		a.flat(vt, a.v[at:])
		simd.Rows(ds, a.tp, gy[at:], a.ep, oneBlock, vt, a.tp, oneBlock, a.t, a.tp, a.d, false)
		a.softmaxGrad(ds, p)
		a.wide(in, a.k[at:])
		simd.Rows(out, a.dp, ds, a.tp, oneBlock, in, a.dp, oneBlock, a.t, a.dp, a.t, false)
		a.narrow(gq[at:], out)
		a.wide(in, a.q[at:])
		simd.Cols(out, a.dp, ds, a.tp, oneBlock, in, a.dp, oneBlock, a.tp, a.dp, a.t, false)
		a.narrow(gk[at:], out)
	})
}

// softmaxGrad turns the gradient of probabilities into that of scores before scaling, in place.
func (a *attention) softmaxGrad(g, p []float32) {
	scale := float32(1 / math.Sqrt(float64(a.d)))
	for t := range a.t {
		gr, pr := g[t*a.tp:][:a.tp], p[t*a.tp:][:a.tp]
		dot := float32(0)
		for i, v := range gr {
			dot += v * pr[i]
		}
		for i, v := range gr {
			gr[i] = pr[i] * (v - dot) * scale
		}
	}
}
