package engine

import (
	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// value is a node's result. Channels, the last axis here, are padded with zeros to a multiple of simd.Lanes.
//
// A volume [N, C, D, H, W] is held channels last with a column of zeros left and right of every row of W: N, D, H, W+2,
// C. A convolution reads over the sides of a row without asking, and skips the taps above, below, before and behind.
type value struct {
	shape      []int // PyTorch's
	c, cp      int   // channels, and with padding
	rows       int   // all other axes: tokens, samples; for a volume lines of W
	n, d, h, w int   // of a volume
	data       []float32
	half       []float32   // instead of data: pairs of bf16, of neighbouring channels, laid out likewise
	grad       []float32   // of the loss by data; filled by the first node that reads data
	more       [][]float32 // what further readers give to grad; none where one node reads data
	shared     bool        // several nodes read data in training
	ids        []int32
	out        []float32 // what Run returns, where it is not data
}

// reader is v for a node that reads it, with room for the gradient: of the first reader v itself.
func (v *value) reader() *value {
	g := make([]float32, v.size())
	if v.grad == nil {
		v.grad = g
		return v
	}
	r := *v
	r.grad, r.more = g, nil
	v.more = append(v.more, g)
	return &r
}

// join adds up what the readers gave.
func (v *value) join() {
	for _, g := range v.more {
		simd.Add(v.grad, g)
	}
}

// upstream is the gradient of a loss's result: 1 where nothing reads it.
func (v *value) upstream() float32 {
	if v.grad == nil {
		return 1
	}
	return v.grad[0]
}

func padded(c int) int { return (c + simd.Lanes - 1) / simd.Lanes * simd.Lanes }

func newValue(shape []int) *value {
	v := &value{shape: shape, rows: 1, c: 1, cp: 1}
	switch len(shape) {
	case 0:
	case 5:
		v.n, v.c, v.d, v.h, v.w = shape[0], shape[1], shape[2], shape[3], shape[4]
		v.cp, v.rows = padded(v.c), v.n*v.d*v.h
	default:
		v.c = shape[len(shape)-1]
		v.cp, v.rows = padded(v.c), net.Size(shape)/v.c
	}
	return v
}

// line is the distance between two rows.
func (v *value) line() int {
	if v.n > 0 {
		return (v.w + 2) * v.cp
	}
	return v.cp
}

func (v *value) size() int { return v.rows * v.line() }

// at is the row's first channel of a buffer laid out like v's data, past the column of zeros of a volume.
func (v *value) at(buf []float32, row int) []float32 {
	if v.n > 0 {
		return buf[row*v.line()+v.cp:][:v.w*v.cp]
	}
	return buf[row*v.cp:][:v.cp]
}

// halved is v's layout for pairs of bf16.
func (v *value) halved() *value {
	h := *v
	h.cp /= 2
	return &h
}

// halfAt is at for pairs of bf16.
func (v *value) halfAt(buf []float32, row int) []float32 {
	return buf[(row*v.line()+v.cp)/2:][:v.w*v.cp/2]
}

// row is a volume's row to read: in buf where it is kept as pairs.
func (v *value) row(r int, buf []float32) []float32 {
	if v.half == nil {
		return v.at(v.data, r)
	}
	buf = buf[:v.w*v.cp]
	simd.Unpair(buf, v.halfAt(v.half, r))
	return buf
}

// open is where to write a volume's row, which shut then keeps.
func (v *value) open(r int, buf []float32) []float32 {
	if v.half == nil {
		return v.at(v.data, r)
	}
	return buf[:v.w*v.cp]
}

func (v *value) shut(r int, row []float32) {
	if v.half != nil {
		simd.Pairs(v.halfAt(v.half, r), row)
	}
}

// places is the number of positions, each of cp channels; place is where one starts in data.
func (v *value) places() int { return v.rows * max(1, v.w) }
func (v *value) place(p int) int {
	if v.n > 0 {
		return p/v.w*v.line() + (p%v.w+1)*v.cp
	}
	return p * v.cp
}

// enter copies a tensor in PyTorch's layout into a buffer laid out like data.
func (v *value) enter(dst, t []float32) {
	if v.n == 0 {
		for r := range v.rows {
			copy(v.at(dst, r)[:v.c], t[r*v.c:])
		}
		return
	}
	parallel(v.n, func(n int) {
		for r := range v.d * v.h {
			row := v.at(dst, n*v.d*v.h+r)
			for c := range v.c {
				for x, y := range t[((n*v.c+c)*v.d*v.h+r)*v.w:][:v.w] {
					row[x*v.cp+c] = y
				}
			}
		}
	})
}

// tensor is the value in PyTorch's layout.
func (v *value) tensor() net.Tensor {
	t := net.Tensor{Shape: v.shape, F32: v.data}
	if v.n == 0 && v.c == v.cp {
		return t
	}
	if v.out == nil {
		v.out = make([]float32, net.Size(v.shape))
	}
	t.F32 = v.out
	if v.n == 0 {
		for r := range v.rows {
			copy(v.out[r*v.c:][:v.c], v.at(v.data, r))
		}
		return t
	}
	parallel(v.n, func(n int) {
		for r := range v.d * v.h {
			row := v.at(v.data, n*v.d*v.h+r)
			for c := range v.c {
				dst := v.out[((n*v.c+c)*v.d*v.h+r)*v.w:][:v.w]
				for x := range dst {
					dst[x] = row[x*v.cp+c]
				}
			}
		}
	})
	return t
}
