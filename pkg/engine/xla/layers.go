package xla

import (
	"fmt"
	"math"
	"slices"

	"silverbeam/pkg/net"
)

// forward writes the layers of package net. A value has PyTorch's axis order; a volume's type is bf16 with half, all
// others are f32. Params stand in the order that the operation's type names.
type forward struct {
	builder
	train  bool
	again  bool          // blocks keep their inputs alone, and are written again for the backward pass
	buffer map[*val]*val // what a buffer becomes in this step
}

// layer is one node; shape is its result's.
func (f *forward) layer(op net.Op, x []*val, p []*val, shape []int) (*val, error) {
	switch o := op.(type) {
	case net.Held:
		return p[0], nil
	case net.Dot:
		return f.total(f.mul(f.full(x[0]), f.full(x[1]))), nil
	case net.ConvBN:
		return f.store(f.convBN(o, x[0], p)), nil
	case net.BasicBlock:
		return f.block(x, p, func(x, p []*val) *val { return f.store(f.basicBlock(o, x[0], p)) }), nil
	case net.Conv:
		return f.store(f.biased(f.conv(x[0], p[0], geometry{o.Stride, o.Pad, max(1, o.Dilation)}), p[1:])), nil
	case net.ConvTranspose:
		return f.store(f.biased(f.convTranspose(x[0], p[0], shape, geometry{o.Stride, o.Pad, 1}), p[1:])), nil
	case net.Patchify:
		y := f.biased(f.conv(x[0], p[0], geometry{stride: o.Patch, dilation: 1}), p[1:])
		return f.transpose(f.reshape(y, shape[0], o.Out, shape[1]), 0, 2, 1), nil
	case net.Positions:
		class := f.spread(f.reshape(p[0], shape[2]), []int{1, shape[0], shape[2]}, 2)
		y := f.transpose(f.stack(class, f.transpose(x[0], 1, 0, 2)), 1, 0, 2)
		return f.add(y, f.spread(f.reshape(p[1], shape[1:]...), shape, 1, 2)), nil
	case net.AdaptivePool:
		return f.store(f.axes(f.full(x[0]), shape, averages)), nil
	case net.Upsample:
		return f.store(f.axes(f.full(x[0]), shape, pick(o.Linear, between, nearest))), nil
	case net.Add:
		return f.store(f.add(f.full(x[0]), f.full(x[1]))), nil
	case net.Dropout:
		return f.dropout(o, x[0], x[1]), nil
	case net.BatchNorm:
		return f.store(f.batchNorm(f.full(x[0]), p, !f.train)), nil
	case net.GroupNorm:
		return f.store(f.groupNorm(o, f.full(x[0]), p)), nil
	case net.LayerNorm:
		return f.layerNorm(x[0], p, o.Eps), nil
	case net.Activation:
		return f.store(f.activation(o.Form, f.full(x[0]))), nil
	case net.MaxPool:
		return f.maxPool(x[0], o, shape), nil
	case net.AvgPool:
		return f.mean(f.full(x[0]), 2, 3, 4), nil
	case net.Linear:
		return f.linear(x[0], p), nil
	case net.Embedding:
		return f.reshape(f.lookup(p[0], f.reshape(x[0], x[0].size(), 1), o.Padding), shape...), nil
	case net.BertEmbedding:
		return f.bertEmbedding(o, x[0], p), nil
	case net.BertLayer:
		return f.block(x, p, func(x, p []*val) *val { return f.bertLayer(o, x[0], x[1], p) }), nil
	case net.Attention:
		return f.block(x, p, func(x, p []*val) *val { return f.attention(o, x, p) }), nil
	case net.Softmax:
		return f.softmax(x[0]), nil
	case net.L2Norm:
		return f.l2norm(x[0]), nil
	case net.CLS:
		return f.first(x[0]), nil
	case net.MeanPool:
		return f.meanPool(x[0], x[1]), nil
	case net.BCE:
		return f.bce(o, x), nil
	case net.CE:
		return f.ce(o, x[0], x[1]), nil
	case net.InfoNCE:
		return f.contrastive(o.Contrastive(), x, p), nil
	case net.SigLIP:
		return f.contrastive(o.Contrastive(), x, p), nil
	case net.Contrastive:
		return f.contrastive(o, x, p), nil
	case net.SupCon:
		return f.supCon(o, x[0], x[1]), nil
	case net.Recon:
		return f.recon(o, x), nil
	case net.Total:
		sum := f.times(x[0], o.Weights[0])
		for i, loss := range x[1:] {
			sum = f.add(sum, f.times(loss, o.Weights[1+i]))
		}
		return sum, nil
	}
	return nil, fmt.Errorf("engine xla has no %s", op.Kind())
}

// block writes a block of layers; with again, once forward and once more when its gradient is there, behind a barrier that
// keeps the compiler from taking the first for the second.
func (f *forward) block(x, p []*val, write func(x, p []*val) *val) *val {
	if !f.again {
		return write(x, p)
	}
	var fixed [2][]*val
	for i, all := range [2][]*val{x, p} {
		for _, v := range all {
			fixed[i] = append(fixed[i], f.fixed(v))
		}
	}
	y := write(fixed[0], fixed[1])
	for i, v := range p { // running statistics move once
		if b := f.buffer[fixed[1][i]]; b != nil {
			f.buffer[v] = b
		}
	}
	from := slices.Concat(x, p)
	return f.took(y, func(g *val) {
		behind := f.barrier(append(slices.Clone(x), g)...)
		behind, g = behind[:len(x)], behind[len(x)]
		for _, v := range p {
			once := *v
			behind = append(behind, &once)
		}
		tape, grads := f.tape, f.grads
		f.tape = nil
		f.backward(write(behind[:len(x)], behind[len(x):]), g)
		inner := f.grads
		f.tape, f.grads = tape, grads
		for i, v := range from {
			if g := inner[behind[i]]; g != nil {
				f.give(v, g)
			}
		}
	}, from...)
}

// full is x as f32; store gives a volume the type that it is kept in for later layers.
func (f *forward) full(x *val) *val { return f.convert(x, "f32") }
func (f *forward) store(x *val) *val {
	if f.half && len(x.shape) == 5 {
		return f.convert(x, "bf16")
	}
	return x
}

func (f *forward) convBN(o net.ConvBN, x *val, p []*val) *val {
	y := f.batchNorm(f.full(f.conv(x, p[0], geometry{o.Stride, o.Pad, 1})), p[1:6], o.FrozenBN || !f.train)
	if o.NoReLU {
		return y
	}
	return f.relu(y)
}

func (f *forward) basicBlock(o net.BasicBlock, x *val, p []*val) *val {
	one, two, down := o.Halves()
	y := f.convBN(two, f.store(f.convBN(one, x, p[:6])), p[6:12])
	skip := f.full(x)
	if o.Down {
		skip = f.convBN(down, x, p[12:])
	}
	return f.relu(f.add(y, skip))
}

// batchNorm normalises each channel, axis 1, over all other axes; p: weight, bias, running mean and variance, count.
func (f *forward) batchNorm(x *val, p []*val, frozen bool) *val {
	if frozen {
		scale := f.mul(f.rsqrt(f.plus(p[3], net.BNEps)), p[0])
		centered := f.sub(x, f.spread(p[2], x.shape, 1))
		return f.add(f.mul(centered, f.spread(scale, x.shape, 1)), f.spread(p[1], x.shape, 1))
	}
	mean, variance := f.moments(x, p[2])
	n := float64(x.size() / x.shape[1])
	f.move(p[2], mean, 1)
	f.move(p[3], variance, n/max(1, n-1))
	f.buffer[p[4]] = f.plain("add", p[4], f.like(p[4], 1))
	// Written as the formulas below, and not by the tape, a step reads x and g twice each on the way back instead of three times.
	all := func(v *val) *val { return f.spread(f.fixed(v), x.shape, 1) }
	inv := f.plain("rsqrt", f.plain("add", variance, f.like(variance, net.BNEps)))
	scale := f.plain("multiply", inv, p[0])
	centered := f.plain("subtract", x, all(mean))
	y := f.plain("add", f.plain("multiply", centered, all(scale)), all(p[1]))
	return f.took(y, func(g *val) {
		sum := f.channels(g)
		along := f.channels(f.plain("multiply", g, centered))
		f.give(p[1], sum)
		f.give(p[0], f.plain("multiply", along, inv))
		if x.wanted { // scale · (g - Σg/n - centered · inv² · Σ(g·centered)/n)
			slope := f.plain("multiply", f.plain("multiply", along, f.plain("multiply", inv, inv)), f.like(along, 1/n))
			level := f.plain("multiply", sum, f.like(sum, 1/n))
			rest := f.plain("subtract", f.plain("subtract", g, all(level)), f.plain("multiply", centered, all(slope)))
			f.give(x, f.plain("multiply", rest, all(scale)))
		}
	}, x, p[0], p[1])
}

// channels is the sum of each channel, without a gradient.
func (f *forward) channels(x *val) *val {
	return f.reduce(x, "add", 0, without(len(x.shape), []int{1}))
}

// moments are each channel's mean and variance. With half both are taken in one pass, of distances from the running mean,
// which keeps the difference of two sums from eating up the variance (Chan, Golub, LeVeque 1983).
func (f *forward) moments(x, running *val) (mean, variance *val) {
	average := func(x *val) *val {
		s := f.channels(x)
		return f.plain("multiply", s, f.like(s, float64(s.size())/float64(x.size())))
	}
	all := func(v *val) *val { return f.spread(f.fixed(v), x.shape, 1) }
	if !f.half {
		mean = average(x)
		off := f.plain("subtract", x, all(mean))
		return mean, average(f.plain("multiply", off, off))
	}
	off := f.plain("subtract", x, all(running))
	shift, square := average(off), average(f.plain("multiply", off, off))
	variance = f.plain("subtract", square, f.plain("multiply", shift, shift))
	return f.plain("add", running, shift), f.plain("maximum", variance, f.like(variance, 0))
}

// move takes a running statistic a tenth of the way to the batch's, times a factor.
func (f *forward) move(running, batch *val, factor float64) {
	there := f.plain("multiply", batch, f.like(batch, factor))
	step := f.plain("multiply", f.plain("subtract", there, running), f.like(running, net.BNMomentum))
	f.buffer[running] = f.plain("add", running, step)
}

// normal is (x - mean) / √(variance + eps) along the last axis.
func (f *forward) normal(x *val, eps float64) *val {
	last := len(x.shape) - 1
	lead := without(len(x.shape), []int{last})
	centered := f.sub(x, f.spread(f.mean(x, last), x.shape, lead...))
	variance := f.mean(f.mul(centered, centered), last)
	return f.mul(centered, f.spread(f.rsqrt(f.plus(variance, eps)), x.shape, lead...))
}

func (f *forward) groupNorm(o net.GroupNorm, x *val, p []*val) *val {
	n := x.shape[0] * o.Groups
	y := f.reshape(f.normal(f.reshape(x, n, x.size()/n), o.Eps), x.shape...)
	return f.add(f.mul(y, f.spread(p[0], x.shape, 1)), f.spread(p[1], x.shape, 1))
}

func (f *forward) layerNorm(x *val, p []*val, eps float64) *val {
	last := len(x.shape) - 1
	return f.add(f.mul(f.normal(x, eps), f.spread(p[0], x.shape, last)), f.spread(p[1], x.shape, last))
}

func (f *forward) activation(form string, x *val) *val {
	switch form {
	case "relu":
		return f.relu(x)
	case "gelu":
		return f.gelu(x)
	case "gelu_tanh":
		inner := f.add(x, f.times(f.mul(x, f.mul(x, x)), 0.044715))
		return f.mul(f.times(x, 0.5), f.plus(f.tanh(f.times(inner, math.Sqrt(2/math.Pi))), 1))
	case "quick_gelu":
		return f.mul(x, f.sigmoid(f.times(x, 1.702)))
	case "silu":
		return f.mul(x, f.sigmoid(x))
	}
	return f.sigmoid(x)
}

func (f *forward) gelu(x *val) *val {
	return f.mul(f.times(x, 0.5), f.plus(f.erf(f.times(x, 1/math.Sqrt2)), 1))
}

// linear is over the last axis; p: weight [out, in] and, if there, bias.
func (f *forward) linear(x *val, p []*val) *val {
	last := len(x.shape) - 1
	in, out := x.shape[last], p[0].shape[0]
	shape := append(append([]int{}, x.shape[:last]...), out)
	y := f.reshape(f.dot(f.reshape(x, x.size()/in, in), 1, p[0], 1, f.half), shape...)
	if len(p) > 1 {
		y = f.add(y, f.spread(p[1], shape, last))
	}
	return y
}

func (f *forward) bertEmbedding(o net.BertEmbedding, ids *val, p []*val) *val {
	n, t := ids.shape[0], ids.shape[1]
	shape := []int{n, t, o.Hidden}
	words := f.reshape(f.lookup(p[0], f.reshape(ids, n*t, 1), -1), shape...)
	places := f.spread(f.rows(p[1], 0, t), shape, 1, 2)
	kind := f.spread(f.reshape(f.rows(p[2], 0, 1), o.Hidden), shape, 2)
	return f.layerNorm(f.add(f.add(words, places), kind), p[3:5], o.Eps)
}

func (f *forward) bertLayer(o net.BertLayer, x, mask *val, p []*val) *val {
	context := f.heads(f.linear(x, p[0:2]), f.linear(x, p[2:4]), f.linear(x, p[4:6]), o.Heads, mask, false)
	h := f.layerNorm(f.add(f.linear(context, p[6:8]), x), p[8:10], o.Eps)
	inner := f.gelu(f.linear(h, p[10:12]))
	return f.layerNorm(f.add(f.linear(inner, p[12:14]), h), p[14:16], o.Eps)
}

func (f *forward) attention(o net.Attention, x []*val, p []*val) *val {
	keys, e := x[0], x[0].shape[2]
	var mask *val
	if o.Cross {
		keys = x[1]
	}
	if o.Masked {
		mask = x[len(x)-1]
	}
	part := func(x *val, i int) *val {
		return f.linear(x, []*val{f.rows(p[0], i*e, (i+1)*e), f.rows(p[1], i*e, (i+1)*e)})
	}
	return f.linear(f.heads(part(x[0], 0), part(keys, 1), part(keys, 2), o.Heads, mask, o.Causal), p[2:4])
}

// heads is scaled dot product attention: q [N, T, E], k and v [N, S, E] to [N, T, E]. mask [N, S], not nil, is 0 at keys
// that are not attended to; causal: nor those after the query.
func (f *forward) heads(q, k, v *val, heads int, mask *val, causal bool) *val {
	n, t, s, e := q.shape[0], q.shape[1], k.shape[1], q.shape[2]
	split := func(x *val) *val { // [N, T, E] to [N, heads, T, E/heads]
		return f.transpose(f.reshape(x, n, x.shape[1], heads, e/heads), 0, 2, 1, 3)
	}
	scores := f.dot(f.times(split(q), 1/math.Sqrt(float64(e/heads))), 1, split(k), 1, f.half) // [N, heads, T, S]
	never := f.like(scores, math.Inf(-1))
	if mask != nil {
		there := f.compare(mask, "NE", f.like(mask, 0))
		scores = f.choose(f.spread(there, scores.shape, 0, 3), scores, never)
	}
	if causal {
		seen := f.compare(f.iota(1, t, s), "LE", f.iota(0, t, s))
		scores = f.choose(f.spread(seen, scores.shape, 2, 3), scores, never)
	}
	context := f.dot(f.softmax(scores), 1, split(v), 0, f.half)
	return f.reshape(f.transpose(context, 0, 2, 1, 3), n, t, e)
}

// shifted is x less its largest along the last axis, which changes no softmax; where all are -Inf, x itself.
func (f *forward) shifted(x *val) *val {
	lead := without(len(x.shape), []int{len(x.shape) - 1})
	top := f.top(x)
	some := f.compare(top, "GT", f.like(top, math.Inf(-1)))
	return f.sub(x, f.spread(f.choose(some, top, f.like(top, 0)), x.shape, lead...))
}

// softmax is along the last axis; where all are -Inf it gives zeros.
func (f *forward) softmax(x *val) *val {
	last := len(x.shape) - 1
	raised := f.exp(f.shifted(x))
	sum := f.sum(raised, last)
	return f.div(raised, f.spread(f.choose(f.compare(sum, "GT", f.like(sum, 0)), sum, f.like(sum, 1)), x.shape, without(len(x.shape), []int{last})...))
}

// logSoftmax is along the last axis, of finite numbers.
func (f *forward) logSoftmax(x *val) *val {
	last := len(x.shape) - 1
	shifted := f.shifted(x)
	return f.sub(shifted, f.spread(f.log(f.sum(f.exp(shifted), last)), x.shape, without(len(x.shape), []int{last})...))
}

// l2norm divides rows by their length, at least 1e-12.
func (f *forward) l2norm(x *val) *val {
	square := f.sum(f.mul(x, x), 1)
	enough := f.choose(f.compare(square, "GT", f.like(square, 1e-24)), square, f.like(square, 1e-24))
	return f.mul(x, f.spread(f.rsqrt(enough), x.shape, 0))
}

// first is each sample's first token.
func (f *forward) first(x *val) *val {
	one := f.rows(f.transpose(x, 1, 0, 2), 0, 1)
	return f.reshape(one, x.shape[0], x.shape[2])
}

func (f *forward) meanPool(x, mask *val) *val {
	kept := f.convert(f.compare(mask, "NE", f.like(mask, 0)), "f32")
	sum := f.sum(f.mul(x, f.spread(kept, x.shape, 0, 1)), 1)
	count := f.sum(kept, 1)
	return f.div(sum, f.spread(f.plain("maximum", count, f.like(count, 1)), sum.shape, 0))
}

// biased adds a convolution's bias, if there is one, in f32.
func (f *forward) biased(y *val, bias []*val) *val {
	y = f.full(y)
	if len(bias) == 0 {
		return y
	}
	return f.add(y, f.spread(bias[0], y.shape, 1))
}

// axes maps each axis of space by a matrix, from its extent to shape's.
func (f *forward) axes(x *val, shape []int, matrix func(in, out int) [][]float64) *val {
	for axis := 2; axis < 5; axis++ {
		order := []int{0, 1, 2, 3, 4}
		order[axis], order[4] = 4, axis
		x = f.transpose(x, order...)
		lead := append([]int{}, x.shape[:4]...)
		x = f.dot(f.reshape(x, x.size()/x.shape[4], x.shape[4]), 1, f.matrix(matrix(x.shape[4], shape[axis])), 1, false)
		x = f.transpose(f.reshape(x, append(lead, shape[axis])...), order...)
	}
	return x
}

func pick[T any](yes bool, a, b T) T {
	if yes {
		return a
	}
	return b
}

// rowsOf makes a matrix by its rows.
func rowsOf(in, out int, fill func(row []float64, i int)) [][]float64 {
	m := make([][]float64, out)
	for i := range m {
		m[i] = make([]float64, in)
		fill(m[i], i)
	}
	return m
}

// averages are the means of windows that divide an axis, as net.AdaptivePool has it.
func averages(in, out int) [][]float64 {
	return rowsOf(in, out, func(row []float64, i int) {
		from, end := i*in/out, ((i+1)*in+out-1)/out
		for j := from; j < end; j++ {
			row[j] = 1 / float64(end-from)
		}
	})
}

// nearest and between are the forms of net.Upsample.
func nearest(in, out int) [][]float64 {
	return rowsOf(in, out, func(row []float64, i int) { row[i*in/out] = 1 })
}

func between(in, out int) [][]float64 {
	return rowsOf(in, out, func(row []float64, i int) {
		at := max(0, (float64(i)+0.5)*float64(in)/float64(out)-0.5)
		lo := int(at)
		row[lo] += 1 - (at - float64(lo))
		row[min(lo+1, in-1)] += at - float64(lo)
	})
}

// dropout is net.Dropout, its random bits net's.
func (f *forward) dropout(o net.Dropout, x, key *val) *val {
	if !f.train || o.P == 0 {
		return x
	}
	count := f.emit(x.shape, "ui64", "stablehlo.constant dense<0>", tensorType("ui64", x.shape...))
	if n := x.size(); n > 1 {
		count = f.reshape(f.emit([]int{n}, "ui64", "stablehlo.iota dim = 0", tensorType("ui64", n)), x.shape...)
	}
	bits := f.mix(f.plain("add", count, f.spread(f.stream(o, key), x.shape)))
	keeps := f.compare(bits, "GE", f.bits(uint64(o.P*(1<<63))<<1, x.shape...))
	return f.choose(keeps, f.times(x, 1/(1-o.P)), f.like(x, 0))
}

// stream is net.Dropout's Key of the seed and step in key.
func (f *forward) stream(o net.Dropout, key *val) *val {
	bits := f.emit(key.shape, "ui32", "stablehlo.bitcast_convert "+key.name, fmt.Sprintf("(%s) -> %s", key, tensorType("ui32", 2)))
	half := func(i int) *val { return f.reshape(f.rows(f.convert(bits, "ui64"), i, i+1)) }
	both := f.plain("or", f.plain("shift_left", half(0), f.bits(32)), half(1))
	return f.mix(f.plain("xor", f.mix(both), f.mix(f.bits(o.Stream))))
}

// bits is a constant of 64 bits.
func (f *forward) bits(x uint64, shape ...int) *val {
	return f.emit(shape, "ui64", fmt.Sprintf("stablehlo.constant dense<%d>", x), tensorType("ui64", shape...))
}

// mix is SplitMix64's step and finaliser, net's generator.
func (f *forward) mix(x *val) *val {
	fold := func(x *val, by uint64) *val {
		return f.plain("xor", x, f.plain("shift_right_logical", x, f.bits(by, x.shape...)))
	}
	x = f.plain("add", x, f.bits(0x9e3779b97f4a7c15, x.shape...))
	x = f.plain("multiply", fold(x, 30), f.bits(0xbf58476d1ce4e5b9, x.shape...))
	return fold(f.plain("multiply", fold(x, 27), f.bits(0x94d049bb133111eb, x.shape...)), 31)
}
