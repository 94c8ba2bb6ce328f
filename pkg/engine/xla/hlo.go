package xla

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"silverbeam/pkg/net"
)

// val is a value of a StableHLO module.
type val struct {
	name   string
	shape  []int
	of     string // element type: f32, bf16, i32 or i1
	wanted bool   // its gradient is: it depends on a parameter that is trained, or on an input that a test asks for
}

// size is the number of elements.
func (v *val) size() int { return net.Size(v.shape) }

// tensorType is a type as StableHLO's text has it.
func tensorType(of string, shape ...int) string {
	return "tensor<" + strings.Join(append(words(shape), of), "x") + ">"
}

func (v *val) String() string { return tensorType(v.of, v.shape...) }

func words(all []int) []string {
	out := make([]string, len(all))
	for i, n := range all {
		out[i] = fmt.Sprint(n)
	}
	return out
}

func list(all []int) string { return "[" + strings.Join(words(all), ", ") + "]" }

// builder writes the body of a function, one operation a line, and keeps a tape for reverse differentiation: layers say
// only what they compute, and each primitive of this file how its gradient goes back.
type builder struct {
	half  bool // products are of bf16
	body  strings.Builder
	count int
	tape  []taped
	grads map[*val]*val
}

// taped is one operation and how the gradient of its result goes to what it was made of.
type taped struct {
	out  *val
	back func(g *val)
}

// emit writes an operation; format has %s for each argument's name, and its type or types follow.
func (b *builder) emit(shape []int, of, operation, types string) *val {
	v := &val{name: fmt.Sprintf("%%%d", b.count), shape: shape, of: of}
	b.count++
	fmt.Fprintf(&b.body, "    %s = %s : %s\n", v.name, operation, types)
	return v
}

// note writes a comment.
func (b *builder) note(text string) { fmt.Fprintf(&b.body, "    // %s\n", text) }

// took says that out was made of these values, and how its gradient goes back.
func (b *builder) took(out *val, back func(g *val), in ...*val) *val {
	if slices.ContainsFunc(in, func(x *val) bool { return x.wanted }) {
		out.wanted = true
		b.tape = append(b.tape, taped{out, back})
	}
	return out
}

// give adds to the gradient of x, in x's own type.
func (b *builder) give(x, g *val) {
	if !x.wanted {
		return
	}
	if have := b.grads[x]; have != nil {
		g = b.plain("add", have, g)
	}
	b.grads[x] = g
}

// backward fills grads from the gradient of one value.
func (b *builder) backward(from, seed *val) {
	b.grads = map[*val]*val{}
	b.give(from, seed)
	for _, t := range slices.Backward(b.tape) {
		if g := b.grads[t.out]; g != nil {
			t.back(g)
		}
	}
}

// number writes a float literal.
func number(x float64, of string) string {
	switch {
	case math.IsInf(x, -1) && of == "f32":
		return "0xFF800000"
	case math.IsInf(x, -1):
		return "0xFF80"
	case of == "i32":
		return fmt.Sprintf("%d", int(x))
	}
	return fmt.Sprintf("%.9e", x)
}

// constant is a tensor of one number.
func (b *builder) constant(x float64, of string, shape ...int) *val {
	return b.emit(shape, of, "stablehlo.constant dense<"+number(x, of)+">", tensorType(of, shape...))
}

// like is a constant of another's shape and type.
func (b *builder) like(v *val, x float64) *val { return b.constant(x, v.of, v.shape...) }

// plain is an element-wise operation without a gradient.
func (b *builder) plain(name string, in ...*val) *val {
	args := make([]string, len(in))
	for i, x := range in {
		args[i] = x.name
	}
	return b.emit(in[0].shape, in[0].of, "stablehlo."+name+" "+strings.Join(args, ", "), in[0].String())
}

func (b *builder) add(x, y *val) *val {
	return b.took(b.plain("add", x, y), func(g *val) { b.give(x, g); b.give(y, g) }, x, y)
}

func (b *builder) sub(x, y *val) *val {
	return b.took(b.plain("subtract", x, y), func(g *val) { b.give(x, g); b.give(y, b.plain("negate", g)) }, x, y)
}

func (b *builder) mul(x, y *val) *val {
	return b.took(b.plain("multiply", x, y), func(g *val) {
		if x.wanted {
			b.give(x, b.plain("multiply", g, y))
		}
		if y.wanted {
			b.give(y, b.plain("multiply", g, x))
		}
	}, x, y)
}

func (b *builder) div(x, y *val) *val {
	out := b.plain("divide", x, y)
	return b.took(out, func(g *val) {
		g = b.plain("divide", g, y)
		b.give(x, g)
		if y.wanted {
			b.give(y, b.plain("negate", b.plain("multiply", g, out)))
		}
	}, x, y)
}

// times and plus are with a number.
func (b *builder) times(x *val, by float64) *val { return b.mul(x, b.like(x, by)) }
func (b *builder) plus(x *val, by float64) *val  { return b.add(x, b.like(x, by)) }

// unary is a function of each element; slope gives its derivative, from the result where that is handy.
func (b *builder) unary(name string, x *val, slope func(y *val) *val) *val {
	y := b.plain(name, x)
	return b.took(y, func(g *val) { b.give(x, b.plain("multiply", g, slope(y))) }, x)
}

func (b *builder) exp(x *val) *val {
	return b.unary("exponential", x, func(y *val) *val { return y })
}

func (b *builder) log(x *val) *val {
	return b.unary("log", x, func(*val) *val { return b.plain("divide", b.like(x, 1), x) })
}

func (b *builder) tanh(x *val) *val {
	return b.unary("tanh", x, func(y *val) *val { return b.plain("subtract", b.like(y, 1), b.plain("multiply", y, y)) })
}

func (b *builder) sigmoid(x *val) *val {
	return b.unary("logistic", x, func(y *val) *val {
		return b.plain("multiply", y, b.plain("subtract", b.like(y, 1), y))
	})
}

// abs has the slope 0 at 0.
func (b *builder) abs(x *val) *val {
	return b.unary("abs", x, func(*val) *val { return b.plain("sign", x) })
}

func (b *builder) rsqrt(x *val) *val {
	return b.unary("rsqrt", x, func(y *val) *val {
		return b.plain("multiply", b.like(y, -0.5), b.plain("multiply", y, b.plain("multiply", y, y)))
	})
}

// erf is the error function.
func (b *builder) erf(x *val) *val {
	y := b.emit(x.shape, x.of, "chlo.erf "+x.name, x.String()+" -> "+x.String())
	return b.took(y, func(g *val) {
		bell := b.plain("exponential", b.plain("negate", b.plain("multiply", x, x)))
		b.give(x, b.plain("multiply", g, b.plain("multiply", bell, b.like(x, 2/math.Sqrt(math.Pi)))))
	}, x)
}

// softplus is log(1 + eˣ), without overflow.
func (b *builder) softplus(x *val) *val {
	small := b.plain("log_plus_one", b.plain("exponential", b.plain("negate", b.plain("abs", x))))
	y := b.plain("add", b.plain("maximum", x, b.like(x, 0)), small)
	return b.took(y, func(g *val) { b.give(x, b.plain("multiply", g, b.plain("logistic", x))) }, x)
}

// compare gives i1; how is EQ, NE, GT, GE, LT or LE.
func (b *builder) compare(x *val, how string, y *val) *val {
	kind := map[string]string{"i32": "SIGNED", "i1": "UNSIGNED", "ui64": "UNSIGNED"}[x.of]
	if kind == "" {
		kind = "FLOAT"
	}
	return b.emit(x.shape, "i1", fmt.Sprintf("stablehlo.compare %s, %s, %s, %s", how, x.name, y.name, kind),
		fmt.Sprintf("(%s, %s) -> %s", x, y, tensorType("i1", x.shape...)))
}

// choose is x where cond holds and y elsewhere.
func (b *builder) choose(cond, x, y *val) *val {
	pick := func(x, y *val) *val {
		return b.emit(x.shape, x.of, fmt.Sprintf("stablehlo.select %s, %s, %s", cond.name, x.name, y.name), fmt.Sprintf("%s, %s", cond, x))
	}
	return b.took(pick(x, y), func(g *val) {
		zero := b.like(g, 0)
		b.give(x, pick(g, zero))
		b.give(y, pick(zero, g))
	}, x, y)
}

func (b *builder) relu(x *val) *val {
	y := b.plain("maximum", x, b.like(x, 0))
	return b.took(y, func(g *val) { b.give(x, b.choose(b.compare(y, "GT", b.like(y, 0)), g, b.like(g, 0))) }, x)
}

// convert changes the element type.
func (b *builder) convert(x *val, of string) *val {
	if x.of == of {
		return x
	}
	y := b.emit(x.shape, of, "stablehlo.convert "+x.name, fmt.Sprintf("(%s) -> %s", x, tensorType(of, x.shape...)))
	return b.took(y, func(g *val) { b.give(x, b.convert(g, x.of)) }, x)
}

// spread repeats x over new axes: x's axis i becomes axis dims[i] of shape.
func (b *builder) spread(x *val, shape []int, dims ...int) *val {
	y := b.emit(shape, x.of, fmt.Sprintf("stablehlo.broadcast_in_dim %s, dims = %s", x.name, list(dims)), fmt.Sprintf("(%s) -> %s", x, tensorType(x.of, shape...)))
	return b.took(y, func(g *val) { b.give(x, b.sum(g, without(len(shape), dims)...)) }, x)
}

// without are the axes below n that are not among dims.
func without(n int, dims []int) (rest []int) {
	for i := range n {
		if !slices.Contains(dims, i) {
			rest = append(rest, i)
		}
	}
	return rest
}

// reduce joins all elements along axes; how is add or maximum.
func (b *builder) reduce(x *val, how string, start float64, axes []int) *val {
	var shape []int
	for _, i := range without(len(x.shape), axes) {
		shape = append(shape, x.shape[i])
	}
	zero := b.constant(start, x.of)
	return b.emit(shape, x.of, fmt.Sprintf("stablehlo.reduce(%s init: %s) applies stablehlo.%s across dimensions = %s", x.name, zero.name, how, list(axes)),
		fmt.Sprintf("(%s, %s) -> %s", x, zero, tensorType(x.of, shape...)))
}

// sum adds along axes; none is x itself.
func (b *builder) sum(x *val, axes ...int) *val {
	if len(axes) == 0 {
		return x
	}
	return b.took(b.reduce(x, "add", 0, axes), func(g *val) { b.give(x, b.spread(g, x.shape, without(len(x.shape), axes)...)) }, x)
}

// mean is sum over the number of elements that go into one.
func (b *builder) mean(x *val, axes ...int) *val {
	s := b.sum(x, axes...)
	return b.times(s, float64(s.size())/float64(x.size()))
}

// total is the sum of everything, a scalar.
func (b *builder) total(x *val) *val { return b.sum(x, without(len(x.shape), nil)...) }

// top is the largest along the last axis, for steadiness alone: it has no gradient.
func (b *builder) top(x *val) *val {
	return b.reduce(x, "maximum", math.Inf(-1), []int{len(x.shape) - 1})
}

func (b *builder) reshape(x *val, shape ...int) *val {
	if slices.Equal(shape, x.shape) {
		return x
	}
	y := b.emit(shape, x.of, "stablehlo.reshape "+x.name, fmt.Sprintf("(%s) -> %s", x, tensorType(x.of, shape...)))
	return b.took(y, func(g *val) { b.give(x, b.reshape(g, x.shape...)) }, x)
}

// transpose gives axes another order: axis i of the result is x's dims[i].
func (b *builder) transpose(x *val, dims ...int) *val {
	shape, back := make([]int, len(dims)), make([]int, len(dims))
	for i, d := range dims {
		shape[i], back[d] = x.shape[d], i
	}
	y := b.emit(shape, x.of, fmt.Sprintf("stablehlo.transpose %s, dims = %s", x.name, list(dims)), fmt.Sprintf("(%s) -> %s", x, tensorType(x.of, shape...)))
	return b.took(y, func(g *val) { b.give(x, b.transpose(g, back...)) }, x)
}

// rows takes rows from to end of the first axis.
func (b *builder) rows(x *val, from, end int) *val {
	shape := slices.Clone(x.shape)
	shape[0] = end - from
	cut := []string{fmt.Sprintf("%d:%d", from, end)}
	for _, d := range shape[1:] {
		cut = append(cut, fmt.Sprintf("0:%d", d))
	}
	y := b.emit(shape, x.of, fmt.Sprintf("stablehlo.slice %s [%s]", x.name, strings.Join(cut, ", ")), fmt.Sprintf("(%s) -> %s", x, tensorType(x.of, shape...)))
	return b.took(y, func(g *val) {
		low, high, none := make([]int, len(shape)), make([]int, len(shape)), make([]int, len(shape))
		low[0], high[0] = from, x.shape[0]-end
		zero := b.constant(0, g.of)
		b.give(x, b.emit(x.shape, g.of, fmt.Sprintf("stablehlo.pad %s, %s, low = %s, high = %s, interior = %s", g.name, zero.name, list(low), list(high), list(none)),
			fmt.Sprintf("(%s, %s) -> %s", g, zero, x)))
	}, x)
}

// stack joins two values along the first axis.
func (b *builder) stack(x, y *val) *val {
	n := x.shape[0]
	shape := append([]int{n + y.shape[0]}, x.shape[1:]...)
	out := b.emit(shape, x.of, fmt.Sprintf("stablehlo.concatenate %s, %s, dim = 0", x.name, y.name), fmt.Sprintf("(%s, %s) -> %s", x, y, tensorType(x.of, shape...)))
	return b.took(out, func(g *val) {
		b.give(x, b.rows(g, 0, n))
		b.give(y, b.rows(g, n, shape[0]))
	}, x, y)
}

// fixed is x as a number that no gradient goes through.
func (b *builder) fixed(x *val) *val {
	y := *x
	y.wanted = false
	return &y
}

// matrix is a constant of rows.
func (b *builder) matrix(rows [][]float64) *val {
	var text []string
	for _, row := range rows {
		var numbers []string
		for _, v := range row {
			numbers = append(numbers, number(v, "f32"))
		}
		text = append(text, "["+strings.Join(numbers, ", ")+"]")
	}
	shape := []int{len(rows), len(rows[0])}
	return b.emit(shape, "f32", "stablehlo.constant dense<["+strings.Join(text, ", ")+"]>", tensorType("f32", shape...))
}

// barrier gives values that are known only when all of these are.
func (b *builder) barrier(in ...*val) []*val {
	names, types, out := make([]string, len(in)), make([]string, len(in)), make([]*val, len(in))
	for i, x := range in {
		v := *x
		v.name = fmt.Sprintf("%%%d#%d", b.count, i)
		names[i], types[i], out[i] = x.name, x.String(), &v
	}
	fmt.Fprintf(&b.body, "    %%%d:%d = stablehlo.optimization_barrier %s : %s\n", b.count, len(in), strings.Join(names, ", "), strings.Join(types, ", "))
	b.count++
	return out
}

// iota counts along one axis.
func (b *builder) iota(axis int, shape ...int) *val {
	return b.emit(shape, "i32", fmt.Sprintf("stablehlo.iota dim = %d", axis), tensorType("i32", shape...))
}

// Products of float32 are asked for at full precision: a GPU would otherwise round them to TF32.
const (
	dotPrecision  = ", precision = [HIGHEST, HIGHEST]"
	convPrecision = ", precision_config = [#stablehlo<precision HIGHEST>, #stablehlo<precision HIGHEST>]"
)

// dot is a product of matrices, the last two axes of x and y, for each index of the axes before. cx and cy say which of
// the two is summed over: 1 the last, 0 the one before. The result is [..., x's other axis, y's other axis] in f32; with
// half, of factors rounded to bf16.
func (b *builder) dot(x *val, cx int, y *val, cy int, half bool) *val {
	n := len(x.shape) - 2
	precision, p, q := dotPrecision, b.convert(x, "f32"), b.convert(y, "f32")
	if half {
		precision, p, q = "", b.convert(x, "bf16"), b.convert(y, "bf16")
	}
	batch := ""
	if n > 0 {
		lead := list(without(n, nil))
		batch = fmt.Sprintf("batching_dims = %s x %s, ", lead, lead)
	}
	shape := append(slices.Clone(x.shape[:n]), x.shape[n+1-cx], y.shape[n+1-cy])
	out := b.emit(shape, "f32", fmt.Sprintf("stablehlo.dot_general %s, %s, %scontracting_dims = [%d] x [%d]%s", p.name, q.name, batch, n+cx, n+cy, precision),
		fmt.Sprintf("(%s, %s) -> %s", p, q, tensorType("f32", shape...)))
	return b.took(out, func(g *val) {
		if x.wanted {
			gx := b.flip(cx == 1, g, 1, y, 1-cy, half)
			b.give(x, b.convert(gx, x.of))
		}
		if y.wanted {
			gy := b.flip(cy == 0, x, 1-cx, g, 0, half)
			b.give(y, b.convert(gy, y.of))
		}
	}, x, y)
}

// flip is a dot, or with its factors exchanged: the transposed result.
func (b *builder) flip(straight bool, x *val, cx int, y *val, cy int, half bool) *val {
	if straight {
		return b.dot(x, cx, y, cy, half)
	}
	return b.dot(y, cy, x, cx, half)
}

// window is a convolution's geometry along D, H and W.
type window struct {
	stride, low, high      [3]int // low and high: padding
	spreadX, spreadW       [3]int // distance of neighbours of input and kernel, 1 where they are dense
	labelX, labelW, labelY string // axes of input, kernel and result, as StableHLO names them
}

var dense = [3]int{1, 1, 1}

// convolve writes a convolution of NCDHW and OIDHW; the result has the type of the factors.
func (b *builder) convolve(x, w *val, shape []int, o window) *val {
	pads := make([]string, 3)
	for i := range pads {
		pads[i] = fmt.Sprintf("[%d, %d]", o.low[i], o.high[i])
	}
	precision := ""
	if x.of == "f32" {
		precision = convPrecision
	}
	return b.emit(shape, x.of, fmt.Sprintf("stablehlo.convolution(%s, %s) dim_numbers = %sx%s->%s, window = {stride = %s, pad = [%s], lhs_dilate = %s, rhs_dilate = %s} {batch_group_count = 1 : i64, feature_group_count = 1 : i64%s}",
		x.name, w.name, o.labelX, o.labelW, o.labelY, list(o.stride[:]), strings.Join(pads, ", "), list(o.spreadX[:]), list(o.spreadW[:]), precision),
		fmt.Sprintf("(%s, %s) -> %s", x, w, tensorType(x.of, shape...)))
}

// geometry is a convolution's, as PyTorch has it.
type geometry struct {
	stride, pad [3]int
	dilation    int
}

// reach is how far a kernel's last tap is from its first, plus one; reached is the same of the outputs in the input.
func (o geometry) reach(kernel int) int         { return (kernel-1)*o.dilation + 1 }
func (o geometry) reached(extent, axis int) int { return (extent-1)*o.stride[axis] + 1 }

// The axes of volumes and weights, as StableHLO names them: batch, feature, output and input features, space.
const ncdhw, oidhw, iodhw, cndhw = "[b, f, 0, 1, 2]", "[o, i, 0, 1, 2]", "[i, o, 0, 1, 2]", "[f, b, 0, 1, 2]"

func (o geometry) taps() [3]int { return [3]int{o.dilation, o.dilation, o.dilation} }

func (b *builder) convForward(x, w *val, o geometry) *val {
	shape := []int{x.shape[0], w.shape[0], 0, 0, 0}
	for i := range 3 {
		shape[2+i] = (x.shape[2+i]+2*o.pad[i]-o.reach(w.shape[2+i]))/o.stride[i] + 1
	}
	return b.convolve(x, w, shape, window{o.stride, o.pad, o.pad, dense, o.taps(), ncdhw, oidhw, ncdhw})
}

// convInput is the gradient of a convolution's input of a shape: the mirrored kernel over the gradient of its result, taken
// apart by the stride.
func (b *builder) convInput(g, w *val, shape []int, o geometry) *val {
	v := window{stride: dense, spreadX: o.stride, spreadW: o.taps(), labelX: ncdhw, labelW: iodhw, labelY: ncdhw}
	for i := range 3 {
		reach := o.reach(w.shape[2+i])
		v.low[i] = reach - 1 - o.pad[i]
		v.high[i] = shape[2+i] + reach - 1 - o.reached(g.shape[2+i], i) - v.low[i]
	}
	mirrored := b.emit(w.shape, w.of, fmt.Sprintf("stablehlo.reverse %s, dims = [2, 3, 4]", w.name), w.String())
	return b.convolve(g, mirrored, shape, v)
}

// convWeight is the gradient of a convolution's weight of a shape: samples are what is summed over, channels what is kept.
func (b *builder) convWeight(x, g *val, shape []int, o geometry) *val {
	v := window{stride: o.taps(), low: o.pad, spreadX: dense, spreadW: o.stride, labelX: cndhw, labelW: iodhw, labelY: cndhw}
	for i := range 3 {
		v.high[i] = o.reached(g.shape[2+i], i) + o.reach(shape[2+i]) - x.shape[2+i] - 1 - o.pad[i]
	}
	return b.convolve(x, g, shape, v)
}

// narrow gives both factors of a convolution the type of its result: f32, with half bf16.
func (b *builder) narrow(x, w *val) (*val, *val) {
	if b.half {
		return b.convert(x, "bf16"), b.convert(w, "bf16")
	}
	return b.convert(x, "f32"), b.convert(w, "f32")
}

// conv is PyTorch's convolution [N, C, D, H, W] with [O, C, kD, kH, kW].
func (b *builder) conv(x, w *val, o geometry) *val {
	x, w = b.narrow(x, w)
	if o.apart(x, w) {
		return b.patches(x, w)
	}
	return b.took(b.convForward(x, w, o), func(g *val) {
		if x.wanted {
			b.give(x, b.convInput(g, w, x.shape, o))
		}
		if w.wanted {
			b.give(w, b.convWeight(x, g, w.shape, o))
		}
	}, x, w)
}

// apart says whether a kernel's windows lie side by side and fill the volume.
func (o geometry) apart(x, w *val) bool {
	for i := range 3 {
		k := w.shape[2+i]
		if k != o.stride[i] || o.pad[i] != 0 || x.shape[2+i]%k != 0 {
			return false
		}
	}
	return o.dilation == 1
}

// patches is a convolution whose windows lie side by side: one product of its windows as rows. On GPUs convolutions of one channel
// are slow.
func (b *builder) patches(x, w *val) *val {
	n, c, o := x.shape[0], x.shape[1], w.shape[0]
	var cells, kernel [3]int
	for i := range 3 {
		kernel[i] = w.shape[2+i]
		cells[i] = x.shape[2+i] / kernel[i]
	}
	size := c * kernel[0] * kernel[1] * kernel[2]
	rows := b.reshape(x, n, c, cells[0], kernel[0], cells[1], kernel[1], cells[2], kernel[2])
	rows = b.reshape(b.transpose(rows, 0, 2, 4, 6, 1, 3, 5, 7), x.size()/size, size)
	y := b.convert(b.dot(rows, 1, b.reshape(w, o, size), 1, x.of == "bf16"), x.of)
	return b.transpose(b.reshape(y, n, cells[0], cells[1], cells[2], o), 0, 4, 1, 2, 3)
}

// convTranspose is PyTorch's, [N, C, D, H, W] with [C, O, kD, kH, kW], to a shape: the gradient of a convolution as a layer.
func (b *builder) convTranspose(x, w *val, shape []int, o geometry) *val {
	x, w = b.narrow(x, w)
	return b.took(b.convInput(x, w, shape, o), func(g *val) {
		if x.wanted {
			b.give(x, b.convForward(g, w, o))
		}
		if w.wanted {
			b.give(w, b.convWeight(g, x, w.shape, o))
		}
	}, x, w)
}

// maxPool is the largest of each window; where several are, the gradient goes to the first.
func (b *builder) maxPool(x *val, o net.MaxPool, shape []int) *val {
	five := func(a [3]int, rest int) string { return strings.Join(words([]int{rest, rest, a[0], a[1], a[2]}), ", ") }
	attrs := fmt.Sprintf("window_dimensions = array<i64: %s>, window_strides = array<i64: %s>, padding = dense<[[0, 0], [0, 0], [%d, %[3]d], [%d, %[4]d], [%d, %[5]d]]> : tensor<5x2xi64>",
		five(o.Kernel, 1), five(o.Stride, 1), o.Pad[0], o.Pad[1], o.Pad[2])
	scalar := tensorType(x.of)
	region := func(operation, of string) string {
		return fmt.Sprintf("^bb0(%%a: %s, %%b: %[1]s):\n      %%c = %s\n      stablehlo.return %%c : tensor<%s>\n    ", scalar, operation, of)
	}
	first := b.constant(math.Inf(-1), x.of)
	y := b.emit(shape, x.of, fmt.Sprintf(`"stablehlo.reduce_window"(%s, %s) <{%s}> ({%s})`, x.name, first.name, attrs, region("stablehlo.maximum %a, %b : "+scalar, x.of)),
		fmt.Sprintf("(%s, %s) -> %s", x, first, tensorType(x.of, shape...)))
	return b.took(y, func(g *val) {
		zero := b.constant(0, x.of)
		larger := region(fmt.Sprintf("stablehlo.compare GE, %%a, %%b, FLOAT : (%s, %[1]s) -> tensor<i1>", scalar), "i1")
		b.give(x, b.emit(x.shape, x.of, fmt.Sprintf(`"stablehlo.select_and_scatter"(%s, %s, %s) <{%s}> ({%s}, {%s})`,
			x.name, g.name, zero.name, attrs, larger, region("stablehlo.add %a, %b : "+scalar, x.of)),
			fmt.Sprintf("(%s, %s, %s) -> %s", x, g, zero, x)))
	}, x)
}

// lookup takes rows of a table [R, E] by ids [n, 1]: [n, E]. Rows of the id padding, below 0 none, get no gradient.
func (b *builder) lookup(table, ids *val, padding int) *val {
	n, e := ids.shape[0], table.shape[1]
	y := b.emit([]int{n, e}, table.of, fmt.Sprintf(`"stablehlo.gather"(%s, %s) <{dimension_numbers = #stablehlo.gather<offset_dims = [1], collapsed_slice_dims = [0], start_index_map = [0], index_vector_dim = 1>, slice_sizes = array<i64: 1, %d>, indices_are_sorted = false}>`,
		table.name, ids.name, e), fmt.Sprintf("(%s, %s) -> %s", table, ids, tensorType(table.of, n, e)))
	return b.took(y, func(g *val) {
		if padding >= 0 {
			is := b.compare(ids, "EQ", b.like(ids, float64(padding)))
			g = b.choose(b.spread(b.reshape(is, n), g.shape, 0), b.like(g, 0), g)
		}
		zero, scalar := b.like(table, 0), tensorType(table.of)
		b.give(table, b.emit(table.shape, table.of, fmt.Sprintf(`"stablehlo.scatter"(%s, %s, %s) <{scatter_dimension_numbers = #stablehlo.scatter<update_window_dims = [1], inserted_window_dims = [0], scatter_dims_to_operand_dims = [0], index_vector_dim = 1>, indices_are_sorted = false, unique_indices = false}> ({^bb0(%%a: %s, %%b: %[4]s):
      %%c = stablehlo.add %%a, %%b : %[4]s
      stablehlo.return %%c : %[4]s
    })`, zero.name, ids.name, g.name, scalar), fmt.Sprintf("(%s, %s, %s) -> %s", zero, ids, g, table)))
	}, table)
}
