package engine

import "math"

// cls is net.CLS.
type cls struct{ x, out *value }

func (k *cls) forward() {
	t := k.x.shape[1]
	for n := range k.out.rows {
		copy(k.out.at(k.out.data, n), k.x.at(k.x.data, n*t))
	}
}

func (k *cls) backward() {
	t := k.x.shape[1]
	clear(k.x.grad)
	for n := range k.out.rows {
		copy(k.x.at(k.x.grad, n*t), k.out.at(k.out.grad, n))
	}
}

// meanPool is net.MeanPool; a sample without tokens gives zeros.
type meanPool struct{ x, mask, out *value }

// scale is 1 over the number of a sample's tokens.
func (k *meanPool) scale(n int) float32 {
	t, kept := k.x.shape[1], 0
	for _, m := range k.mask.ids[n*t : (n+1)*t] {
		if m != 0 {
			kept++
		}
	}
	return 1 / float32(max(1, kept))
}

func (k *meanPool) forward() {
	t := k.x.shape[1]
	parallel(k.out.rows, func(n int) {
		dst, scale := k.out.at(k.out.data, n), k.scale(n)
		clear(dst)
		for i := n * t; i < (n+1)*t; i++ {
			if k.mask.ids[i] != 0 {
				for c, v := range k.x.at(k.x.data, i) {
					dst[c] += v
				}
			}
		}
		for c := range dst {
			dst[c] *= scale
		}
	})
}

func (k *meanPool) backward() {
	t := k.x.shape[1]
	parallel(k.out.rows, func(n int) {
		g, scale := k.out.at(k.out.grad, n), k.scale(n)
		for i := n * t; i < (n+1)*t; i++ {
			dst := k.x.at(k.x.grad, i)
			clear(dst)
			if k.mask.ids[i] != 0 {
				for c, v := range g {
					dst[c] = v * scale
				}
			}
		}
	})
}

// l2norm is net.L2Norm.
type l2norm struct {
	x, out *value
	inv    []float32
}

func (k *l2norm) forward() {
	for r := range k.x.rows {
		x, y := k.x.at(k.x.data, r), k.out.at(k.out.data, r)
		sum := 0.0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		k.inv[r] = float32(1 / max(1e-12, math.Sqrt(sum)))
		for c, v := range x {
			y[c] = v * k.inv[r]
		}
	}
}

func (k *l2norm) backward() {
	for r := range k.x.rows {
		y, g, dst := k.out.at(k.out.data, r), k.out.at(k.out.grad, r), k.x.at(k.x.grad, r)
		dot := 0.0
		for c, v := range g {
			dot += float64(v) * float64(y[c])
		}
		for c, v := range g {
			dst[c] = k.inv[r] * (v - float32(dot)*y[c])
		}
	}
}
