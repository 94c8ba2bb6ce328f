package engine

import "silverbeam/pkg/simd"

// linear is x·Wᵀ + bias over rows of numbers, padded to whole lanes on both sides.
type linear struct {
	w     *weight
	bias  *param       // nil: none
	sums  []float32    // the bias's gradient by rowChunk of rows
	wide  []float32    // the bias with padding
	pairs [2][]float32 // rows of x and of the gradient, which the weight's gradient sums over, where it is products of bf16
}

// rowChunk is how many rows one job takes, seven of the tallest tiles; weightChunk how many are summed at a time into a weight's gradient, so that
// they stay in cache.
const (
	rowChunk    = 98
	weightChunk = 128
	weightBlock = 64 // inputs of one job of a weight's gradient
)

func chunks(rows int) int { return (rows + rowChunk - 1) / rowChunk }

// newLinear takes a weight and, unless nil, a bias, for at most so many rows; input says that the gradient of inputs is wanted.
// Layers of one role share memory: they must not be at work at once.
func newLinear(w, bias *param, rows int, input bool, role string, m mode) *linear {
	w.flat()
	l := &linear{w: newWeight(w, formOf(m.half, w.i, w.o), input, role, m), bias: bias}
	if m.grads && l.w.form == paired {
		l.pairs = [...][]float32{m.rooms.plain("row pairs", (rows+1)/2*l.w.ip), m.rooms.plain("row pairs of gradient", (rows+1)/2*l.w.op)}
	}
	if bias != nil {
		l.wide = make([]float32, l.w.op)
		if m.grads {
			l.sums = make([]float32, chunks(rows)*l.w.op)
		}
	}
	return l
}

// packForward refreshes copies of the parameters, before run; before gradRows it is w.packBackward.
func (l *linear) packForward() {
	l.w.packForward()
	if l.bias != nil {
		copy(l.wide, l.bias.Value)
	}
}

// eachChunk runs f on chunks of rows in parallel.
func eachChunk(rows int, f func(chunk, first, end int)) {
	parallel(chunks(rows), func(c int) { f(c, c*rowChunk, min(rows, (c+1)*rowChunk)) })
}

// run computes rows first to end of y from those of x.
func (l *linear) run(y, x []float32, first, end int) {
	ip, op := l.w.ip, l.w.op
	if l.bias != nil {
		for r := first; r < end; r++ {
			copy(y[r*op:(r+1)*op], l.wide)
		}
	}
	k, _ := l.w.ks()
	l.w.form.with(x[first*ip:end*ip], func(x []float32) {
		simd.Rows(y[first*op:], op, x, ip/l.w.form.per(), oneBlock, l.w.fwd, oneBlock, end-first, op, k, l.bias != nil)
	})
}

// with gives f numbers in this form.
func (f form) with(x []float32, do func(x []float32)) {
	if f == full {
		do(x)
		return
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	do(f.take(s.take(len(x)), x))
}

// gradRows computes (or with add, adds to) rows first to end of the input's gradient, and the chunk's share of the bias's.
// gx is nil where the input needs none.
func (l *linear) gradRows(gx, gy []float32, chunk, first, end int, add bool) {
	ip, op := l.w.ip, l.w.op
	if gx != nil {
		_, k := l.w.ks()
		l.w.form.with(gy[first*op:end*op], func(gy []float32) {
			simd.Rows(gx[first*ip:], ip, gy, op/l.w.form.per(), oneBlock, l.w.bwd, oneBlock, end-first, ip, k, add)
		})
	}
	if l.bias != nil {
		simd.ChannelSum(l.sums[chunk*op:(chunk+1)*op], gy[first*op:end*op])
	}
}

// gradWeight computes the gradients of weight and bias, after gradRows of all chunks.
func (l *linear) gradWeight(gy, x []float32, rows int) {
	ip, op := l.w.ip, l.w.op
	if l.bias != nil {
		foldChunks(l.bias.Grad, l.sums, op, chunks(rows))
	}
	pairs := l.w.form == paired
	if pairs {
		rowPairs(l.pairs[0], x, rows, ip)
		rowPairs(l.pairs[1], gy, rows, op)
		x, gy, rows = l.pairs[0], l.pairs[1], (rows+1)/2
	}
	parallel((ip+weightBlock-1)/weightBlock, func(job int) {
		i := job * weightBlock
		for r := 0; r < rows; r += weightChunk {
			k := min(weightChunk, rows-r)
			for o := 0; o < op; o += simd.Panel {
				simd.Cols(l.w.gradAt(l.w.grad, 0, i, o), simd.Panel, x[r*ip+i:], ip, oneBlock, gy[r*op+o:], op, oneBlock, min(weightBlock, ip-i), min(simd.Panel, op-o), k, r > 0, pairs)
			}
		}
	})
	l.w.unpack()
}

// rowPairs sets dst to rows of a width in pairs of neighbours as bf16, an odd one out with zeros.
func rowPairs(dst, x []float32, rows, width int) {
	parallel((rows+1)/2, func(p int) {
		d, a := dst[p*width:][:width], x[2*p*width:]
		if 2*p+1 == rows {
			clear(d)
			simd.PairRows(d, a, d)
			return
		}
		simd.PairRows(d, a, a[width:])
	})
}

// foldChunks sets dst to the sum of so many parts of a width, in order.
func foldChunks(dst, parts []float32, width, n int) {
	for c := range dst {
		sum := 0.0
		for p := range n {
			sum += float64(parts[p*width+c])
		}
		dst[c] = float32(sum)
	}
}

// linearNode is net.Linear.
type linearNode struct {
	l      *linear
	x, out *value
}

func (k *linearNode) forward() {
	k.l.packForward()
	eachChunk(k.x.rows, func(_, first, end int) { k.l.run(k.out.data, k.x.data, first, end) })
}

func (k *linearNode) backward() {
	k.l.w.packBackward()
	eachChunk(k.x.rows, func(c, first, end int) { k.l.gradRows(k.x.grad, k.out.grad, c, first, end, false) })
	k.l.gradWeight(k.out.grad, k.x.data, k.x.rows)
}
