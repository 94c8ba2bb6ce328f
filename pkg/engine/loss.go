package engine

import (
	"math"

	"silverbeam/pkg/net"
)

// bce is net.BCE; the loss is held as float64 until the end.
type bce struct {
	x, labels, weight, out *value
	sum                    bool
}

// by is what a sum over so many known labels is divided by.
func (k *bce) by(known int) int {
	if k.sum {
		return 1
	}
	return max(1, known)
}

func (k *bce) posWeight(c int) float64 {
	if k.weight == nil {
		return 1
	}
	return float64(k.weight.data[c])
}

// each visits every known label: logit, label, and where the gradient goes.
func (k *bce) each(f func(x float64, label int32, c, at int)) (known int) {
	for r := range k.x.rows {
		for c := range k.x.c {
			if y := k.labels.ids[r*k.x.c+c]; y >= 0 {
				known++
				f(float64(k.x.data[r*k.x.cp+c]), y, c, r*k.x.cp+c)
			}
		}
	}
	return known
}

func (k *bce) forward() {
	sum := 0.0
	known := k.each(func(x float64, y int32, c, _ int) {
		if y > 0 {
			sum += k.posWeight(c) * softplus(-x)
		} else {
			sum += softplus(x)
		}
	})
	k.out.data[0] = float32(sum / float64(k.by(known)))
}

func (k *bce) backward() {
	clear(k.x.grad)
	known := k.each(func(x float64, y int32, c, at int) {
		if y > 0 {
			k.x.grad[at] = float32(-k.posWeight(c) * sigmoid(-x))
		} else {
			k.x.grad[at] = float32(sigmoid(x))
		}
	})
	scale := 1 / float32(k.by(known))
	for i := range k.x.grad {
		k.x.grad[i] *= scale
	}
}

func softplus(x float64) float64 { return max(0, x) + math.Log1p(math.Exp(-math.Abs(x))) }
func sigmoid(x float64) float64  { return 1 / (1 + math.Exp(-x)) }

// infoNCE is net.InfoNCE, in float64.
type infoNCE struct {
	a, b, out   *value
	scale       *param
	logits      []float64 // before the scale: a's rows against b's
	rows, cols  []float64 // softmax along either axis
	scaleFactor float64
}

func newInfoNCE(p *param, a, b, out *value) *infoNCE {
	n := a.rows * a.rows
	return &infoNCE{a: a, b: b, out: out, scale: p, logits: make([]float64, n), rows: make([]float64, n), cols: make([]float64, n)}
}

func (k *infoNCE) forward() {
	n := k.a.rows
	k.scaleFactor = math.Exp(min(float64(k.scale.Value[0]), net.MaxLogitScale))
	parallel(n, func(i int) {
		x := k.a.at(k.a.data, i)
		for j := range n {
			dot := 0.0
			for c, v := range k.b.at(k.b.data, j) {
				dot += float64(x[c]) * float64(v)
			}
			k.logits[i*n+j] = dot
		}
	})
	loss := 0.0
	for i := range n {
		loss += k.softmax(k.rows, i*n, 1, i) + k.softmax(k.cols, i, n, i)
	}
	k.out.data[0] = float32(loss / float64(2*n))
}

// softmax fills n places from at with the softmax of the scaled logits there and gives -log of the one that is meant.
func (k *infoNCE) softmax(dst []float64, at, step, meant int) float64 {
	n := k.a.rows
	top, sum := math.Inf(-1), 0.0
	for j := range n {
		top = max(top, k.logits[at+j*step])
	}
	for j := range n {
		v := math.Exp(k.scaleFactor * (k.logits[at+j*step] - top))
		dst[at+j*step] = v
		sum += v
	}
	for j := range n {
		dst[at+j*step] /= sum
	}
	return math.Log(sum) - k.scaleFactor*(k.logits[at+meant*step]-top)
}

func (k *infoNCE) backward() {
	n := k.a.rows
	clear(k.a.grad)
	clear(k.b.grad)
	total := 0.0
	for i := range n {
		for j := range n {
			g := k.rows[i*n+j] + k.cols[i*n+j]
			if i == j {
				g -= 2
			}
			g *= k.scaleFactor / float64(2*n)
			total += g * k.logits[i*n+j]
			x, y := k.a.at(k.a.data, i), k.b.at(k.b.data, j)
			gx, gy := k.a.at(k.a.grad, i), k.b.at(k.b.grad, j)
			for c := range x {
				gx[c] += float32(g) * y[c]
				gy[c] += float32(g) * x[c]
			}
		}
	}
	if float64(k.scale.Value[0]) > net.MaxLogitScale {
		total = 0
	}
	k.scale.Grad[0] = float32(total)
}
