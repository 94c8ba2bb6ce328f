package engine

import (
	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// convolution is net.Conv, of any kernel, stride, padding and dilation: each tap is one product over the row's places
// where it meets the input. The nets' own convolutions are conv, which is quicker.
type convolution struct {
	op     net.Conv
	x, out *value
	w      *weight
	bias   *param // nil: none
	sums   []float32
}

func newConvolution(o net.Conv, ps []*param, x, out *value, m mode) *convolution {
	o.Dilation = max(1, o.Dilation)
	k := &convolution{op: o, x: x, out: out, w: newWeight(ps[0], full, x.grad != nil, "convolution", m)}
	if o.Bias {
		k.bias, k.sums = ps[1], make([]float32, out.n*out.cp)
	}
	return k
}

// meet is a tap's product with one row of the result: m of its places from the one at out, at input places from x.
type meet struct{ tap, m, out, x int }

// row visits the taps that meet a row of the result.
func (k *convolution) row(r int, f func(meet)) {
	o, x, y := k.op, k.x, k.out
	n, d, h := r/(y.d*y.h), r/y.h%y.d, r%y.h
	for kd := range o.Kernel[0] {
		for kh := range o.Kernel[1] {
			z, v := d*o.Stride[0]+kd*o.Dilation-o.Pad[0], h*o.Stride[1]+kh*o.Dilation-o.Pad[1]
			if z < 0 || z >= x.d || v < 0 || v >= x.h {
				continue
			}
			for kw := range o.Kernel[2] {
				from := kw*o.Dilation - o.Pad[2] // the input's place that the first of the result meets
				lo := max(0, (-from+o.Stride[2]-1)/o.Stride[2])
				hi := min(y.w, (x.w-1-from+o.Stride[2])/o.Stride[2])
				if from < x.w && lo < hi {
					f(meet{tap: (kd*o.Kernel[1]+kh)*o.Kernel[2] + kw, m: hi - lo, out: y.place(r*y.w + lo),
						x: x.place(((n*x.d+z)*x.h+v)*x.w + from + lo*o.Stride[2])})
				}
			}
		}
	}
}

func (k *convolution) forward() {
	k.w.packForward()
	x, y, w := k.x, k.out, k.w
	eachPlane(y, func(_, first, end int) {
		for r := first; r < end; r++ {
			row := y.at(y.data, r)
			clear(row)
			for ; k.bias != nil && len(row) > 0; row = row[y.cp:] {
				copy(row, k.bias.Value)
			}
			k.row(r, func(t meet) {
				simd.Rows(y.data[t.out:], y.cp, x.data[t.x:], k.op.Stride[2]*x.cp, oneBlock, w.forward(t.tap), oneBlock, t.m, w.op, w.p.i, true)
			})
		}
	})
}

func (k *convolution) backward() {
	if k.x.grad != nil {
		k.gradInput()
	}
	k.gradWeight()
	if k.bias != nil {
		k.bias.gradOf(k.sums, k.out)
	}
}

func (k *convolution) gradInput() {
	x, y, w := k.x, k.out, k.w
	w.packBackward()
	parallel(y.n, func(n int) {
		rows := y.d * y.h
		clear(x.grad[n*x.d*x.h*x.line():][:x.d*x.h*x.line()])
		for r := n * rows; r < (n+1)*rows; r++ {
			k.row(r, func(t meet) {
				simd.Rows(x.grad[t.x:], k.op.Stride[2]*x.cp, y.grad[t.out:], y.cp, oneBlock, w.backward(t.tap), oneBlock, t.m, w.ip, w.p.o, true)
			})
		}
	})
}

// gradOf sums a bias's gradient over the places of y; sums has room for one row a sample.
func (p *param) gradOf(sums []float32, y *value) {
	size := y.d * y.h * y.line()
	parallel(y.n, func(n int) { simd.ChannelSum(sums[n*y.cp:][:y.cp], y.grad[n*size:][:size]) })
	foldChunks(p.Grad, sums, y.cp, y.n)
}

func (k *convolution) gradWeight() {
	x, y, w := k.x, k.out, k.w
	clear(w.grad)
	parallel(w.p.taps, func(tap int) {
		for r := range y.rows {
			k.row(r, func(t meet) {
				for o := 0; t.tap == tap && o < w.op; o += simd.Panel {
					simd.Cols(w.gradAt(w.grad, tap, 0, o), simd.Panel, x.data[t.x:], k.op.Stride[2]*x.cp, oneBlock, y.grad[t.out+o:], y.cp, oneBlock, w.ip, min(simd.Panel, w.op-o), t.m, true, false)
				}
			})
		}
	})
	w.unpack()
}

// maxPool is net.MaxPool.
type maxPool struct {
	op     net.MaxPool
	x, out *value
	from   []int32 // by place and channel of the result: which element of x's data it is
}

func (k *maxPool) forward() {
	x, y, o := k.x, k.out, k.op
	eachPlane(y, func(p, first, end int) {
		n, d := p/y.d, p%y.d
		for at := first * y.w; at < end*y.w; at++ {
			h, w := at/y.w%y.h, at%y.w
			from, dst := k.from[at*y.c:][:y.c], y.data[y.place(at):]
			for i := range from {
				from[i] = -1
			}
			for z := max(0, d*o.Stride[0]-o.Pad[0]); z < min(x.d, d*o.Stride[0]-o.Pad[0]+o.Kernel[0]); z++ {
				for v := max(0, h*o.Stride[1]-o.Pad[1]); v < min(x.h, h*o.Stride[1]-o.Pad[1]+o.Kernel[1]); v++ {
					for u := max(0, w*o.Stride[2]-o.Pad[2]); u < min(x.w, w*o.Stride[2]-o.Pad[2]+o.Kernel[2]); u++ {
						in := x.place(((n*x.d+z)*x.h+v)*x.w + u)
						for c := range from {
							if from[c] < 0 || x.data[in+c] > dst[c] {
								from[c], dst[c] = int32(in+c), x.data[in+c]
							}
						}
					}
				}
			}
		}
	})
}

func (k *maxPool) backward() {
	y := k.out
	clear(k.x.grad)
	parallel(y.n, func(n int) {
		places := y.places() / y.n
		for at := n * places; at < (n+1)*places; at++ {
			g := y.grad[y.place(at):]
			for c, from := range k.from[at*y.c:][:y.c] {
				k.x.grad[from] += g[c]
			}
		}
	})
}
