package engine

import (
	"silverbeam/pkg/net"
)

// convTranspose is net.ConvTranspose: a convolution from the result to the input, run backward.
type convTranspose struct {
	x, out *value
	conv   *convolution // its x is the result, its out the input, values and gradients changed for each other
	bias   *param       // nil: none
	sums   []float32
}

func newConvTranspose(o net.ConvTranspose, ps []*param, x, out *value, m mode) *convTranspose {
	m.grads = true // it is a convolution run backward
	from, to := *out, *x
	op := net.Conv{Out: x.c, Kernel: o.Kernel, Stride: o.Stride, Pad: o.Pad, Dilation: 1}
	k := &convTranspose{x: x, out: out, conv: &convolution{op: op, x: &from, out: &to, w: newWeight(ps[0], full, true, "transposed", m)}}
	if o.Bias {
		k.bias, k.sums = ps[1], make([]float32, out.n*out.cp)
	}
	return k
}

func (k *convTranspose) forward() {
	k.conv.x.grad, k.conv.out.grad = k.out.data, k.x.data
	k.conv.gradInput()
	for p := 0; k.bias != nil && p < k.out.places(); p++ {
		dst := k.out.data[k.out.place(p):]
		for c, b := range k.bias.Value {
			dst[c] += b
		}
	}
}

func (k *convTranspose) backward() {
	k.conv.x.data = k.out.grad
	if k.x.grad != nil {
		k.conv.out.data = k.x.grad
		k.conv.forward()
	}
	k.conv.gradWeight()
	if k.bias != nil {
		k.bias.gradOf(k.sums, k.out)
	}
}

// adaptivePool is net.AdaptivePool.
type adaptivePool struct{ x, out *value }

// each visits the places of the result with those of x in their windows, sample by sample in parallel.
func (k *adaptivePool) each(f func(to int, from []int)) {
	x, y := k.x, k.out
	parallel(y.n, func(n int) {
		var from []int
		for p := n * y.d * y.h * y.w; p < (n+1)*y.d*y.h*y.w; p++ {
			from = from[:0]
			d, h, w := p/(y.h*y.w)%y.d, p/y.w%y.h, p%y.w
			for z := d * x.d / y.d; z < ceil((d+1)*x.d, y.d); z++ {
				for v := h * x.h / y.h; v < ceil((h+1)*x.h, y.h); v++ {
					for u := w * x.w / y.w; u < ceil((w+1)*x.w, y.w); u++ {
						from = append(from, x.place(((n*x.d+z)*x.h+v)*x.w+u))
					}
				}
			}
			f(y.place(p), from)
		}
	})
}

func ceil(a, b int) int { return (a + b - 1) / b }

func (k *adaptivePool) forward() {
	k.each(func(to int, from []int) {
		for c := range k.x.c {
			sum := 0.0
			for _, at := range from {
				sum += float64(k.x.data[at+c])
			}
			k.out.data[to+c] = float32(sum / float64(len(from)))
		}
	})
}

func (k *adaptivePool) backward() {
	clear(k.x.grad)
	k.each(func(to int, from []int) {
		for _, at := range from {
			for c := range k.x.c {
				k.x.grad[at+c] += k.out.grad[to+c] / float32(len(from))
			}
		}
	})
}

// upsample is net.Upsample.
type upsample struct {
	x, out *value
	axes   [3][]between // by index of the result along D, H, W
}

// between is a place between two of the input, at a share of the way from lo to hi.
type between struct {
	lo, hi int
	share  float32
}

func newUpsample(o net.Upsample, x, out *value) *upsample {
	k := &upsample{x: x, out: out}
	for axis, n := range [3]int{x.d, x.h, x.w} {
		s := o.Scale[axis]
		for i := range n * s {
			b := between{lo: i / s, hi: i / s}
			if o.Linear {
				at := max(0, (float32(i)+0.5)/float32(s)-0.5)
				b.lo = int(at)
				b.hi, b.share = min(b.lo+1, n-1), at-float32(b.lo)
			}
			k.axes[axis] = append(k.axes[axis], b)
		}
	}
	return k
}

// each visits the places of the result with the up to eight of x that they are made of, sample by sample in parallel.
func (k *upsample) each(f func(to, from int, share float32)) {
	x, y := k.x, k.out
	parallel(y.n, func(n int) {
		for p := n * y.d * y.h * y.w; p < (n+1)*y.d*y.h*y.w; p++ {
			at := [3]between{k.axes[0][p/(y.h*y.w)%y.d], k.axes[1][p/y.w%y.h], k.axes[2][p%y.w]}
			for corner := range 8 {
				var i [3]int
				share := float32(1)
				for axis, b := range at {
					if corner>>axis&1 == 1 {
						i[axis], share = b.hi, share*b.share
					} else {
						i[axis], share = b.lo, share*(1-b.share)
					}
				}
				if share != 0 {
					f(y.place(p), x.place(((n*x.d+i[0])*x.h+i[1])*x.w+i[2]), share)
				}
			}
		}
	})
}

func (k *upsample) forward() {
	clear(k.out.data)
	k.each(func(to, from int, share float32) {
		for c, v := range k.x.data[from:][:k.x.c] {
			k.out.data[to+c] += share * v
		}
	})
}

func (k *upsample) backward() {
	clear(k.x.grad)
	k.each(func(to, from int, share float32) {
		for c, v := range k.out.grad[to:][:k.x.c] {
			k.x.grad[from+c] += share * v
		}
	})
}
