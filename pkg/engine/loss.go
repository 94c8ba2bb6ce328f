package engine

import (
	"math"

	"silverbeam/pkg/net"
)

// bce is net.BCE; the loss is held as float64 until the end.
type bce struct {
	op                     net.BCE
	x, labels, weight, out *value
}

// by is what a sum over so many known labels is divided by.
func (k *bce) by(known int) int {
	if k.op.Sum {
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
			y := k.labels.ids[r*k.x.c+c]
			switch {
			case y < 0 && k.op.Missing == "zero":
				y = 0
			case y < 0 && k.op.Missing == "one":
				y = 1
			}
			if y >= 0 {
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
	scale := k.out.upstream() / float32(k.by(known))
	for i := range k.x.grad {
		k.x.grad[i] *= scale
	}
}

func softplus(x float64) float64 { return max(0, x) + math.Log1p(math.Exp(-math.Abs(x))) }
func sigmoid(x float64) float64  { return 1 / (1 + math.Exp(-x)) }

// total is net.Total.
type total struct {
	op  net.Total
	in  []*value
	out *value
}

func (k *total) forward() {
	sum := 0.0
	for i, x := range k.in {
		sum += k.op.Weights[i] * float64(x.data[0])
	}
	k.out.data[0] = float32(sum)
}

func (k *total) backward() {
	for i, x := range k.in {
		x.grad[0] = float32(k.op.Weights[i]) * k.out.upstream()
	}
}

// dotProduct is net.Dot.
type dotProduct struct{ x, by, out *value }

func (k *dotProduct) forward() {
	sum := 0.0
	for i, v := range k.x.data {
		sum += float64(v) * float64(k.by.data[i])
	}
	k.out.data[0] = float32(sum)
}

func (k *dotProduct) backward() {
	up := k.out.upstream()
	for i, v := range k.by.data {
		k.x.grad[i] = up * v
	}
}

// held is net.Held.
type held struct {
	p   *param
	out *value
}

func (k *held) forward() {
	for r := range k.out.rows {
		copy(k.out.at(k.out.data, r)[:k.out.c], k.p.Value[r*k.out.c:])
	}
}

func (k *held) backward() {
	for r := range k.out.rows {
		copy(k.p.Grad[r*k.out.c:][:k.out.c], k.out.at(k.out.grad, r))
	}
}

// recon is net.Recon.
type recon struct {
	op                     net.Recon
	x, target, weight, out *value // weight is nil where all count alike
	weights                float64
}

// each visits every element in order, with its weight.
func (k *recon) each(f func(at int, w float64)) {
	for p := range k.x.places() {
		for at := k.x.place(p); at < k.x.place(p)+k.x.c; at++ {
			w := 1.0
			if k.weight != nil {
				w = float64(k.weight.data[at])
			}
			f(at, w)
		}
	}
}

func (k *recon) forward() {
	sum := 0.0
	k.weights = 0
	k.each(func(at int, w float64) {
		d := float64(k.x.data[at]) - float64(k.target.data[at])
		if k.op.Squared {
			d *= d
		}
		sum += w * math.Abs(d)
		k.weights += w
	})
	if k.out.data[0] = 0; k.weights > 0 {
		k.out.data[0] = float32(sum / k.weights)
	}
}

func (k *recon) backward() {
	clear(k.x.grad)
	if k.target.grad != nil {
		clear(k.target.grad)
	}
	if !(k.weights > 0) {
		return
	}
	up := float64(k.out.upstream()) / k.weights
	k.each(func(at int, w float64) {
		g := float64(k.x.data[at]) - float64(k.target.data[at])
		switch {
		case k.op.Squared:
			g *= 2
		case g != 0:
			g = math.Copysign(1, g)
		}
		k.x.grad[at] = float32(g * w * up)
		if k.target.grad != nil {
			k.target.grad[at] = -k.x.grad[at]
		}
	})
}
