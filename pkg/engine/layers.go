package engine

import (
	"fmt"
	"math"

	"silverbeam/pkg/net"
)

// groupNorm is net.GroupNorm, its sums float64.
type groupNorm struct {
	op           net.GroupNorm
	weight, bias *param
	x, out       *value
	mean, inv    []float64 // by sample and group
	dw, db       []float64 // by sample and channel
}

func newGroupNorm(o net.GroupNorm, ps []*param, x, out *value) *groupNorm {
	k := &groupNorm{op: o, weight: ps[0], bias: ps[1], x: x, out: out}
	k.mean, k.inv = make([]float64, x.n*o.Groups), make([]float64, x.n*o.Groups)
	k.dw, k.db = make([]float64, x.n*x.c), make([]float64, x.n*x.c)
	return k
}

// each runs f for every group of every sample in parallel; visit goes over its elements by channel and place in data.
func (k *groupNorm) each(f func(group, n int, visit func(func(c, at int)))) {
	x, width := k.x, k.x.c/k.op.Groups
	parallel(x.n*k.op.Groups, func(job int) {
		n, first := job/k.op.Groups, job%k.op.Groups*width
		places := x.places() / x.n
		f(job, n, func(g func(c, at int)) {
			for p := n * places; p < (n+1)*places; p++ {
				at := x.place(p)
				for c := first; c < first+width; c++ {
					g(c, at+c)
				}
			}
		})
	})
}

// size is the number of elements of a group.
func (k *groupNorm) size() float64 {
	return float64(k.x.places() / k.x.n * k.x.c / k.op.Groups)
}

func (k *groupNorm) forward() {
	k.each(func(group, _ int, visit func(func(c, at int))) {
		var sum, squares float64
		visit(func(_, at int) { sum += float64(k.x.data[at]) })
		mean := sum / k.size()
		visit(func(_, at int) { d := float64(k.x.data[at]) - mean; squares += d * d })
		inv := 1 / math.Sqrt(squares/k.size()+k.op.Eps)
		k.mean[group], k.inv[group] = mean, inv
		visit(func(c, at int) {
			k.out.data[at] = float32((float64(k.x.data[at])-mean)*inv)*k.weight.Value[c] + k.bias.Value[c]
		})
	})
}

func (k *groupNorm) backward() {
	clear(k.dw)
	clear(k.db)
	k.each(func(group, n int, visit func(func(c, at int))) {
		mean, inv := k.mean[group], k.inv[group]
		var sum, dot float64
		visit(func(c, at int) {
			g, h := float64(k.out.grad[at]), (float64(k.x.data[at])-mean)*inv
			k.dw[n*k.x.c+c] += g * h
			k.db[n*k.x.c+c] += g
			sum += g * float64(k.weight.Value[c])
			dot += g * float64(k.weight.Value[c]) * h
		})
		sum, dot = sum/k.size(), dot/k.size()
		if k.x.grad == nil {
			return
		}
		visit(func(c, at int) {
			h := (float64(k.x.data[at]) - mean) * inv
			k.x.grad[at] = float32(inv * (float64(k.out.grad[at])*float64(k.weight.Value[c]) - sum - h*dot))
		})
	})
	for c := range k.x.c {
		var w, b float64
		for n := range k.x.n {
			w += k.dw[n*k.x.c+c]
			b += k.db[n*k.x.c+c]
		}
		k.weight.Grad[c], k.bias.Grad[c] = float32(w), float32(b)
	}
}

// layerNormNode is net.LayerNorm.
type layerNormNode struct {
	ln     *layerNorm
	x, out *value
}

func (k *layerNormNode) forward() {
	eachChunk(k.x.rows, func(_, first, end int) { k.ln.run(k.out.data, k.x.data, first, end) })
}

func (k *layerNormNode) backward() {
	g := k.out.grad // turned into the input's in place
	eachChunk(k.x.rows, func(c, first, end int) { k.ln.grad(g, k.x.data, c, first, end) })
	k.ln.settle(k.x.rows)
	if k.x.grad != nil {
		copy(k.x.grad, g)
	}
}

// activation is net.Activation.
type activation struct {
	form   func(x float64) (y, slope float64)
	x, out *value
}

// forms are the activations with their derivatives.
var forms = map[string]func(x float64) (y, slope float64){
	"relu": func(x float64) (float64, float64) {
		if x > 0 {
			return x, 1
		}
		return 0, 0
	},
	"gelu": func(x float64) (float64, float64) {
		p := (1 + math.Erf(x/math.Sqrt2)) / 2
		return x * p, p + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	},
	"gelu_tanh": func(x float64) (float64, float64) {
		const a, b = 0.7978845608028654, 0.044715 // √(2/π)
		t := math.Tanh(a * (x + b*x*x*x))
		return x * (1 + t) / 2, (1+t)/2 + x*(1-t*t)/2*a*(1+3*b*x*x)
	},
	"quick_gelu": func(x float64) (float64, float64) {
		p := sigmoid(1.702 * x)
		return x * p, p + 1.702*x*p*(1-p)
	},
	"silu": func(x float64) (float64, float64) {
		p := sigmoid(x)
		return x * p, p + x*p*(1-p)
	},
	"sigmoid": func(x float64) (float64, float64) {
		p := sigmoid(x)
		return p, p * (1 - p)
	},
}

// each visits every element by its index in data.
func (v *value) each(f func(at int)) {
	eachChunk(v.places(), func(_, first, end int) {
		for p := first; p < end; p++ {
			for at := v.place(p); at < v.place(p)+v.c; at++ {
				f(at)
			}
		}
	})
}

func (k *activation) forward() {
	k.x.each(func(at int) {
		y, _ := k.form(float64(k.x.data[at]))
		k.out.data[at] = float32(y)
	})
}

func (k *activation) backward() {
	k.x.each(func(at int) {
		_, slope := k.form(float64(k.x.data[at]))
		k.x.grad[at] = float32(slope * float64(k.out.grad[at]))
	})
}

// embedding is net.Embedding.
type embedding struct {
	op       net.Embedding
	table    *param
	ids, out *value
}

// check refuses ids outside the table.
func (k *embedding) check() error { return inside("ids", k.ids.ids, k.op.Rows) }

func inside(name string, ids []int32, rows int) error {
	for _, id := range ids {
		if id < 0 || int(id) >= rows {
			return &net.ShapeError{Tensor: name, Why: fmt.Sprintf("id %d outside a vocabulary of %d", id, rows)}
		}
	}
	return nil
}

func (k *embedding) forward() {
	for r, id := range k.ids.ids {
		copy(k.out.at(k.out.data, r), k.table.Value[int(id)*k.op.Width:][:k.op.Width])
	}
}

func (k *embedding) backward() {
	clear(k.table.Grad)
	for r, id := range k.ids.ids {
		if int(id) == k.op.Padding {
			continue
		}
		dst := k.table.Grad[int(id)*k.op.Width:][:k.op.Width]
		for i, g := range k.out.at(k.out.grad, r)[:k.op.Width] {
			dst[i] += g
		}
	}
}

// softmax is net.Softmax, in float64.
type softmax struct{ x, out *value }

func (k *softmax) forward() {
	for p := range k.x.places() {
		at := k.x.place(p)
		row, dst := k.x.data[at:][:k.x.c], k.out.data[at:][:k.x.c]
		top, sum := math.Inf(-1), 0.0
		for _, v := range row {
			top = max(top, float64(v))
		}
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		for c, v := range row {
			dst[c] = float32(math.Exp(float64(v)-top) / sum)
		}
	}
}

func (k *softmax) backward() {
	for p := range k.x.places() {
		at := k.x.place(p)
		y, g, dst := k.out.data[at:][:k.x.c], k.out.grad[at:][:k.x.c], k.x.grad[at:][:k.x.c]
		dot := 0.0
		for c, v := range g {
			dot += float64(v) * float64(y[c])
		}
		for c, v := range g {
			dst[c] = float32(float64(y[c]) * (float64(v) - dot))
		}
	}
}

// attentionNode is net.Attention: its stacked projection is three linear layers.
type attentionNode struct {
	x, keys, out   *value
	weight, bias   *param // stacked
	parts          [3]*linear
	att            *attention
	proj           *linear
	context        []float32
	gc, gq, gk, gv []float32
}

func newAttentionNode(o net.Attention, ps []*param, in []*value, out *value, m mode) *attentionNode {
	m.again = false // a layer on its own keeps what it computed
	k := &attentionNode{x: in[0], keys: in[0], out: out, weight: ps[0], bias: ps[1]}
	if o.Cross {
		k.keys = in[1]
	}
	var mask *value
	if o.Masked {
		mask = in[len(in)-1]
	}
	e, ep, rows := k.x.c, k.x.cp, max(k.x.rows, k.keys.rows)
	ps[0].flat()
	part := func(shape ...int) *param {
		p := &param{Param: Param{Shape: shape, Value: make([]float32, net.Size(shape))}}
		if m.grads {
			p.Grad = make([]float32, len(p.Value))
		}
		return p
	}
	for i := range k.parts {
		k.parts[i] = newLinear(part(e, e), part(e), rows, true, fmt.Sprint("attention ", i), m)
	}
	k.att = newAttention(k.x.shape[0], k.x.shape[1], k.keys.shape[1], o.Heads, e, ep, mask, o.Causal, m)
	k.proj = newLinear(ps[2], ps[3], k.x.rows, true, "attention", m)
	k.context = make([]float32, k.x.rows*ep)
	if m.grads {
		k.gc, k.gq = make([]float32, k.x.rows*ep), make([]float32, k.x.rows*ep)
		k.gk, k.gv = make([]float32, k.keys.rows*ep), make([]float32, k.keys.rows*ep)
	}
	return k
}

// split visits every element of the stacked parameters and of the parts', by their indices in flat memory.
func (k *attentionNode) split(f func(stacked *param, at int, part *param, to int)) {
	e := k.x.c
	for i, l := range k.parts {
		for o := range e {
			for r := range e {
				f(k.weight, k.weight.index(r, i*e+o), l.w.p, l.w.p.index(r, o))
			}
			f(k.bias, i*e+o, l.bias, o)
		}
	}
}

func (k *attentionNode) forward() {
	k.split(func(stacked *param, at int, part *param, to int) { part.Value[to] = stacked.Value[at] })
	for i, to := range [3]struct {
		x *value
		y []float32
	}{{k.x, k.att.q}, {k.keys, k.att.k}, {k.keys, k.att.v}} {
		k.parts[i].packForward()
		eachChunk(to.x.rows, func(_, first, end int) { k.parts[i].run(to.y, to.x.data, first, end) })
	}
	k.att.forward(k.context)
	k.proj.packForward()
	eachChunk(k.x.rows, func(_, first, end int) { k.proj.run(k.out.data, k.context, first, end) })
}

func (k *attentionNode) backward() {
	for _, l := range append(k.parts[:], k.proj) {
		l.w.packBackward()
	}
	eachChunk(k.x.rows, func(c, first, end int) { k.proj.gradRows(k.gc, k.out.grad, c, first, end, false) })
	k.proj.gradWeight(k.out.grad, k.context, k.x.rows)
	k.att.backward(k.gc, k.gq, k.gk, k.gv)
	for i, from := range [3]struct {
		x   *value
		g   []float32
		add bool
	}{{k.x, k.gq, false}, {k.keys, k.gk, k.keys == k.x}, {k.keys, k.gv, true}} {
		eachChunk(from.x.rows, func(c, first, end int) { k.parts[i].gradRows(from.x.grad, from.g, c, first, end, from.add) })
		k.parts[i].gradWeight(from.g, from.x.data, from.x.rows)
	}
	k.split(func(stacked *param, at int, part *param, to int) { stacked.Grad[at] = part.Grad[to] })
}

// ce is net.CE, in float64.
type ce struct {
	o               net.CE
	x, classes, out *value
	kept            int
}

// check refuses classes that there are not.
func (k *ce) check() error {
	for _, y := range k.classes.ids {
		if y != k.o.Ignore && (y < 0 || int(y) >= k.x.c) {
			return &net.ShapeError{Tensor: "classes", Why: fmt.Sprintf("class %d, want 0 to %d or %d", y, k.x.c-1, k.o.Ignore)}
		}
	}
	return nil
}

// row gives the logarithm of the sum of a row's exponentials.
func (k *ce) row(r int) (logits []float32, logSum float64) {
	logits = k.x.at(k.x.data, r)[:k.x.c]
	top, sum := math.Inf(-1), 0.0
	for _, v := range logits {
		top = max(top, float64(v))
	}
	for _, v := range logits {
		sum += math.Exp(float64(v) - top)
	}
	return logits, top + math.Log(sum)
}

func (k *ce) forward() {
	loss := 0.0
	k.kept = 0
	for r, y := range k.classes.ids {
		if y == k.o.Ignore {
			continue
		}
		k.kept++
		logits, sum := k.row(r)
		all := 0.0
		for _, v := range logits {
			all += sum - float64(v)
		}
		loss += (1-k.o.Smoothing)*(sum-float64(logits[y])) + k.o.Smoothing*all/float64(k.x.c)
	}
	k.out.data[0] = float32(loss / float64(max(1, k.kept)))
}

func (k *ce) backward() {
	clear(k.x.grad)
	for r, y := range k.classes.ids {
		if y == k.o.Ignore {
			continue
		}
		logits, sum := k.row(r)
		g := k.x.at(k.x.grad, r)
		for c, v := range logits {
			want := k.o.Smoothing / float64(k.x.c)
			if c == int(y) {
				want += 1 - k.o.Smoothing
			}
			g[c] = k.out.upstream() * float32((math.Exp(float64(v)-sum)-want)/float64(k.kept))
		}
	}
}
