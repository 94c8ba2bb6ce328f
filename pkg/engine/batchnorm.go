package engine

import (
	"math"

	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// batchNorm is batch normalisation of a convolution's raw result, planes of one sample and depth being its parts.
// Means and squares of a plane are float32 over two passes while it is in cache; planes are joined in float64, in order.
type batchNorm struct {
	weight, bias, mean, variance, count *param

	c, cp, planes, plane int // channels, with padding; number of planes, positions of one
	frozen               bool
	scale, shift, center []float32 // result = scale·raw + shift; center: the mean that was subtracted
	inv                  []float64 // 1/√(variance + eps)
	sums, dots           []float32 // by plane: mean and squares forward, GradSums backward
	ga, gb, gc           []float32 // gradient = ga·g + gb·raw + gc
}

func newBatchNorm(ps []*param, y *value, frozen bool) *batchNorm {
	b := &batchNorm{weight: ps[0], bias: ps[1], mean: ps[2], variance: ps[3], count: ps[4],
		c: y.c, cp: y.cp, planes: y.n * y.d, plane: y.h * y.w, frozen: frozen}
	for _, f := range []*[]float32{&b.scale, &b.shift, &b.center, &b.ga, &b.gb, &b.gc} {
		*f = make([]float32, y.cp)
	}
	b.inv = make([]float64, y.cp)
	b.sums, b.dots = make([]float32, b.planes*y.cp), make([]float32, b.planes*y.cp)
	return b
}

func (b *batchNorm) part(all []float32, p int) []float32 { return all[p*b.cp : (p+1)*b.cp] }

// measure takes the statistics of one plane of raw.
func (b *batchNorm) measure(p int, raw []float32) {
	if b.frozen {
		return
	}
	m := b.part(b.sums, p)
	simd.ChannelSum(m, raw)
	for i := range m {
		m[i] /= float32(b.plane)
	}
	clear(b.part(b.dots, p))
	simd.ChannelSquares(b.part(b.dots, p), raw, m)
}

// settle joins the planes, moves the running statistics and sets scale and shift.
func (b *batchNorm) settle() {
	if !b.frozen {
		b.count.Value[0]++
	}
	n := float64(b.planes * b.plane)
	for c := range b.c {
		mean, variance := float64(b.mean.Value[c]), float64(b.variance.Value[c])
		if !b.frozen {
			mean, variance = b.join(c)
			unbiased := variance * n / max(1, n-1)
			b.mean.Value[c] += net.BNMomentum * (float32(mean) - b.mean.Value[c])
			b.variance.Value[c] += net.BNMomentum * (float32(unbiased) - b.variance.Value[c])
		}
		b.inv[c] = 1 / math.Sqrt(variance+net.BNEps)
		scale := float64(b.weight.Value[c]) * b.inv[c]
		b.scale[c], b.shift[c], b.center[c] = float32(scale), float32(float64(b.bias.Value[c])-mean*scale), float32(mean)
	}
}

// join gives a channel's mean and (biased) variance over all planes, which have one size.
func (b *batchNorm) join(c int) (mean, variance float64) {
	for p := range b.planes {
		mean += float64(b.sums[p*b.cp+c])
	}
	mean /= float64(b.planes)
	for p := range b.planes {
		d := float64(b.sums[p*b.cp+c]) - mean
		variance += float64(b.dots[p*b.cp+c]) + d*d*float64(b.plane)
	}
	return mean, variance / float64(b.planes*b.plane)
}

// start clears a plane's sums for sumRow.
func (b *batchNorm) start(p int) {
	clear(b.part(b.sums, p))
	clear(b.part(b.dots, p))
}

// sumRow adds a row of the gradient and of raw to a plane's sums.
func (b *batchNorm) sumRow(p int, g, raw []float32) {
	simd.GradSums(b.part(b.sums, p), b.part(b.dots, p), g, raw, b.center)
}

// settleGrad joins the planes' sums into the gradients of weight and bias, and sets up gradient.
func (b *batchNorm) settleGrad() {
	n := float64(b.planes * b.plane)
	for c := range b.c {
		var sum, dot float64
		for p := range b.planes {
			sum += float64(b.sums[p*b.cp+c])
			dot += float64(b.dots[p*b.cp+c])
		}
		dot *= b.inv[c]
		b.bias.Grad[c], b.weight.Grad[c] = float32(sum), float32(dot)
		scale := float64(b.scale[c])
		b.ga[c] = float32(scale)
		if !b.frozen {
			slope := -scale * b.inv[c] * dot / n
			b.gb[c], b.gc[c] = float32(slope), float32(-scale*sum/n-slope*float64(b.center[c]))
		}
	}
}

// featureNorm is net.BatchNorm: a plane of a volume is one sample and depth, of features one sample.
type featureNorm struct {
	bn     *batchNorm
	x, out *value
}

func newFeatureNorm(ps []*param, x, out *value, frozen bool) *featureNorm {
	planes := x
	if x.n == 0 {
		planes = &value{c: x.c, cp: x.cp, n: x.rows, d: 1, h: 1, w: 1}
	}
	return &featureNorm{newBatchNorm(ps, planes, frozen), x, out}
}

// each runs f on the rows of every plane.
func (k *featureNorm) each(f func(plane, first, end int)) {
	rows := k.x.rows / k.bn.planes
	parallel(k.bn.planes, func(p int) { f(p, p*rows, (p+1)*rows) })
}

func (k *featureNorm) forward() {
	k.each(func(p, first, end int) { k.bn.measureRows(p, k.x, first, end) })
	k.bn.settle()
	k.each(func(_, first, end int) {
		for r := first; r < end; r++ {
			simd.ScaleShift(k.out.at(k.out.data, r), k.x.at(k.x.data, r), k.bn.scale, k.bn.shift)
		}
	})
}

// measureRows is measure for a plane's rows, where they are not neighbours.
func (b *batchNorm) measureRows(p int, x *value, first, end int) {
	if b.frozen {
		return
	}
	m, q := b.part(b.sums, p), b.part(b.dots, p)
	b.start(p)
	for r := first; r < end; r++ {
		for row := x.at(x.data, r); len(row) > 0; row = row[b.cp:] {
			simd.Add(m, row[:b.cp])
		}
	}
	for c := range m {
		m[c] /= float32(b.plane)
	}
	for r := first; r < end; r++ {
		simd.ChannelSquares(q, x.at(x.data, r), m)
	}
}

func (k *featureNorm) backward() {
	k.each(func(p, first, end int) {
		k.bn.start(p)
		for r := first; r < end; r++ {
			k.bn.sumRow(p, k.out.at(k.out.grad, r), k.x.at(k.x.data, r))
		}
	})
	k.bn.settleGrad()
	if k.x.grad == nil {
		return
	}
	k.each(func(_, first, end int) {
		for r := first; r < end; r++ {
			simd.GradInput(k.x.at(k.x.grad, r), k.out.at(k.out.grad, r), k.x.at(k.x.data, r), k.bn.ga, k.bn.gb, k.bn.gc)
		}
	})
}
