package engine

import "math"

// layerNorm normalises rows over their channels.
type layerNorm struct {
	weight, bias *param
	eps          float64
	c, cp        int
	mean, inv    []float32 // by row
	dw, db       []float32 // gradients by chunk of rows
}

func newLayerNorm(ps []*param, rows, cp int, eps float64, train bool) *layerNorm {
	l := &layerNorm{weight: ps[0], bias: ps[1], eps: eps, c: len(ps[0].Value), cp: cp}
	l.mean, l.inv = make([]float32, rows), make([]float32, rows)
	if train {
		l.dw, l.db = make([]float32, chunks(rows)*l.c), make([]float32, chunks(rows)*l.c)
	}
	return l
}

// run normalises rows of x into y; they may be one.
func (l *layerNorm) run(y, x []float32, first, end int) {
	w, b := l.weight.Value, l.bias.Value
	for r := first; r < end; r++ {
		row, dst := x[r*l.cp:][:l.c], y[r*l.cp:][:l.c]
		var sum, squares float64
		for _, v := range row {
			sum += float64(v)
		}
		mean := float32(sum / float64(l.c))
		for _, v := range row {
			d := float64(v - mean)
			squares += d * d
		}
		inv := float32(1 / math.Sqrt(squares/float64(l.c)+l.eps))
		l.mean[r], l.inv[r] = mean, inv
		for c, v := range row {
			dst[c] = (v-mean)*inv*w[c] + b[c]
		}
	}
}

// grad turns rows of the result's gradient g into the input's, in place; x is what run normalised.
func (l *layerNorm) grad(g, x []float32, chunk, first, end int) {
	dw, db, w := l.dw[chunk*l.c:][:l.c], l.db[chunk*l.c:][:l.c], l.weight.Value
	clear(dw)
	clear(db)
	for r := first; r < end; r++ {
		row, gr, mean, inv := x[r*l.cp:][:l.c], g[r*l.cp:][:l.c], l.mean[r], l.inv[r]
		var sum, dot float32
		for c, v := range gr {
			h := (row[c] - mean) * inv
			dw[c] += v * h
			db[c] += v
			sum += v * w[c]
			dot += v * w[c] * h
		}
		sum, dot = sum/float32(l.c), dot/float32(l.c)
		for c, v := range gr {
			gr[c] = inv * (v*w[c] - sum - (row[c]-mean)*inv*dot)
		}
	}
}

// settle joins the chunks' gradients of weight and bias.
func (l *layerNorm) settle(rows int) {
	foldChunks(l.weight.Grad, l.dw, l.c, chunks(rows))
	foldChunks(l.bias.Grad, l.db, l.c, chunks(rows))
}
