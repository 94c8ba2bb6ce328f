package engine

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"silverbeam/pkg/net"
)

// Gorgonia is the engine that is always there: on the CPU, with gorgonia's graph, order and tape.
func Gorgonia() Engine { return gorgonia{} }

// BF16 is Gorgonia with bf16 where most of the work is: the blocks' convolutions and the linear layers multiply numbers
// rounded to it, forward and for gradients, and stem and blocks keep results as such. Sums, weights, norms, attention's products and
// losses are float32. Where the processor has no products of bf16, numbers are rounded, those for gradients of weights are
// not, and it is no quicker.
func BF16() Engine { return gorgonia{half: true} }

type gorgonia struct{ half bool }

func (e gorgonia) Compile(g *net.Graph, shapes map[string][]int, train bool) (Program, error) {
	inferred, err := g.Infer(shapes)
	if err != nil {
		return nil, err
	}
	c := &compiler{g: g, graph: G.NewGraph(), readers: make([]int, len(g.Nodes)), chains: make([]chainPlace, len(g.Nodes)), mode: mode{grads: train && g.Loss != nil, train: train, half: e.half, rooms: rooms{}},
		p: &program{g: g, inputs: map[string]*value{}}, params: map[string]*G.Node{}}
	c.again = g.Recompute && c.grads
	for _, n := range g.Nodes {
		for _, x := range n.In {
			c.readers[x.Index]++
		}
	}
	c.halved = c.halves(inferred)
	for i, n := range g.Nodes {
		if err := c.add(n, inferred[i]); err != nil {
			return nil, fmt.Errorf("engine: %s (%s): %w", n.Name, n.Op.Kind(), err)
		}
	}
	c.p.forward = G.NewTapeMachine(c.graph)
	if c.grads {
		if _, err := G.Grad(c.nodes[g.Loss.Index], c.wrt...); err != nil {
			return nil, fmt.Errorf("engine: gradients: %w", err)
		}
	}
	c.p.values = c.values
	c.p.vm = G.NewTapeMachine(c.graph)
	return c.p, nil
}

// compiler turns nodes of net into layers.
type compiler struct {
	g     *net.Graph
	graph *G.ExprGraph
	mode
	p       *program
	values  []*value     // by node
	nodes   []*G.Node    // by node
	readers []int        // by node: how many layers read it
	chains  []chainPlace // by node
	halved  []bool       // by node: its result is kept as pairs of bf16
	params  map[string]*G.Node
	wrt     G.Nodes
}

// chainPlace is a node's place in a chain of nodes of which each is read by the next alone, which reads nothing else. Of
// their gradients no more than two are in use at a time.
type chainPlace struct{ chain, turn int }

// place finds n's place; nodes before it have theirs.
func (c *compiler) place(n *net.Node) chainPlace {
	var from *net.Node
	for _, x := range n.In {
		if _, ok := x.Op.(net.Input); ok {
			continue
		}
		if from != nil || c.readers[x.Index] > 1 {
			return chainPlace{chain: n.Index}
		}
		from = x
	}
	if from == nil {
		return chainPlace{chain: n.Index}
	}
	p := c.chains[from.Index]
	return chainPlace{p.chain, p.turn + 1}
}

// mode is what kernels are made for.
type mode struct {
	grads bool // they will run backward
	train bool // statistics of the batch
	half  bool // products are of bf16
	again bool // stem and blocks keep their inputs and results alone and compute the rest again to run backward
	rooms rooms
}

// kept is memory of what the backward pass reads, laid out like v: the layer's own, or shared where there is no such pass
// or it is computed again.
func (m mode) kept(role string, v *value) []float32 {
	if m.shares() {
		return m.rooms.take(role, v)
	}
	return make([]float32, v.size())
}

func (m mode) shares() bool { return m.again || !m.grads }

// halves says of each node whether its result is kept as pairs of bf16: a stem's or block's that blocks alone read, who all
// multiply pairs.
func (c *compiler) halves(shapes [][]int) []bool {
	yes := make([]bool, len(c.g.Nodes))
	for i, n := range c.g.Nodes {
		switch n.Op.(type) {
		case net.ConvBN, net.BasicBlock:
			yes[i] = c.readers[i] > 0
		}
		_, block := n.Op.(net.BasicBlock)
		for _, x := range n.In {
			yes[x.Index] = yes[x.Index] && block && formOf(c.mode.half, shapes[x.Index][1], shapes[i][1]) == paired
		}
	}
	for _, o := range c.g.Outputs {
		yes[o.Node.Index] = false
	}
	return yes
}

func (c *compiler) add(n *net.Node, shape []int) error {
	out := newValue(shape)
	c.values, c.chains[n.Index] = append(c.values, out), c.place(n)
	if op, ok := n.Op.(net.Input); ok {
		c.p.inputs[n.Name] = out
		c.nodes = append(c.nodes, c.inputNode(n, op, out))
		return nil
	}
	out.shared = c.grads && len(shape) > 0 && c.readers[n.Index] > 1
	if c.halved[n.Index] {
		out.half = make([]float32, out.size()/2)
	} else {
		out.data = make([]float32, out.size())
	}
	l := &layer{name: n.Name, id: n.Index, out: out, result: view(shapeOf(out), out.data), watch: &c.p.watch}
	c.p.layers = append(c.p.layers, l)
	var in G.Nodes
	var xs []*value
	for _, x := range n.In {
		v, err := c.input(l, n.Op, x)
		if err != nil {
			return err
		}
		in, xs = append(in, c.nodes[x.Index]), append(xs, v)
	}
	var ps []*param
	for _, p := range n.Params {
		q := newParam(p, c.grads)
		ps = append(ps, q)
		c.p.params, c.p.public = append(c.p.params, q), append(c.p.public, &q.Param)
	}
	var err error
	if l.kernel, err = newKernel(n.Op, ps, xs, out, c.mode); err != nil {
		return err
	}
	if k, ok := l.kernel.(interface{ check() error }); ok {
		c.p.checks = append(c.p.checks, k.check)
	}
	for _, p := range ps {
		if !p.Buffer {
			in = append(in, c.param(l, p))
		}
	}
	node, err := G.ApplyOp(l, in...)
	c.nodes = append(c.nodes, node)
	return err
}

// inputNode is a tensor of Run in gorgonia's graph. Ids stand as their buffer's view too; gorgonia never reads it.
func (c *compiler) inputNode(n *net.Node, op net.Input, v *value) *G.Node {
	of := tensor.Float32
	if op.I32 {
		of = tensor.Int32
	}
	node := G.NewTensor(c.graph, of, len(v.shape), G.WithShape(v.shape...), G.WithName(n.Name))
	c.p.leaves = append(c.p.leaves, leaf{name: n.Name, node: node, v: v, ids: op.I32})
	return node
}

// laid is a tensor of Run as layers other than a stem read it, which cuts its patches from the tensor itself.
func (c *compiler) laid(name string) *value {
	for i := range c.p.leaves {
		l := &c.p.leaves[i]
		if l.name == name && l.laid == nil {
			l.laid = newValue(l.v.shape)
			l.laid.data = make([]float32, l.laid.size())
		}
		if l.name == name {
			return l.laid
		}
	}
	return nil
}

// input makes x an input of l.
func (c *compiler) input(l *layer, reader net.Op, x *net.Node) (*value, error) {
	v := c.values[x.Index]
	if op, ok := x.Op.(net.Input); ok {
		of := tensor.Float32
		if op.I32 {
			of = tensor.Int32
		}
		l.inputs = append(l.inputs, input{t: typeOf(len(v.shape), of), s: tensor.Shape(v.shape)})
		if _, stem := reader.(net.ConvBN); !stem && !op.I32 {
			v = c.laid(x.Name)
		}
		return v, nil
	}
	in := input{t: typeOf(shapeOf(v).Dims(), tensor.Float32), s: shapeOf(v)}
	if c.grads {
		if p := c.chains[x.Index]; c.readers[x.Index] == 1 && len(v.shape) > 0 {
			v.grad = c.rooms.gradient(p.chain, p.turn, v, keepsToRows(x.Op) && keepsToRows(reader))
		} else {
			v = v.reader()
		}
		in.grad = view(in.s, v.grad)
	}
	l.inputs = append(l.inputs, in)
	return v, nil
}

// param makes p an input of l.
func (c *compiler) param(l *layer, p *param) *G.Node {
	shape := tensor.Shape{len(p.Value)}
	in := input{t: typeOf(1, tensor.Float32), s: shape}
	if c.grads {
		in.grad = view(shape, p.Grad)
	}
	l.inputs = append(l.inputs, in)
	node := G.NewTensor(c.graph, tensor.Float32, 1, G.WithShape(shape...), G.WithName(p.Name), G.WithValue(view(shape, p.Value)))
	c.wrt = append(c.wrt, node)
	return node
}

// keepsToRows says whether an operation's kernel keeps to a volume's rows, in what it reads of gradients and writes to them.
func keepsToRows(op net.Op) bool {
	switch op.(type) {
	case net.ConvBN, net.BasicBlock, net.AvgPool:
		return true
	}
	return false
}

// newKernel is the layer for an operation.
func newKernel(op net.Op, ps []*param, in []*value, out *value, m mode) (kernel, error) {
	var x *value
	if len(in) > 0 {
		x = in[0]
	}
	grads, train := m.grads, m.train
	switch o := op.(type) {
	case net.ConvBN:
		if x.data != nil {
			return nil, fmt.Errorf("only as the first layer") // net.BasicBlock has the others
		}
		o.FrozenBN = o.FrozenBN || !train
		return newStem(o, ps, x, out, m), nil
	case net.BasicBlock:
		o.FrozenBN = o.FrozenBN || !train
		return newBasicBlock(o, ps, x, out, m)
	case net.AvgPool:
		return &avgPool{x, out}, nil
	case net.Linear:
		var bias *param
		if o.Bias {
			bias = ps[1]
		}
		return &linearNode{newLinear(ps[0], bias, x.rows, x.grad != nil, "linear", m), x, out}, nil
	case net.BertEmbedding:
		return newBertEmbedding(o, ps, x, out, grads), nil
	case net.BertLayer:
		return newBertLayer(o, ps, x, in[1], out, m), nil
	case net.CLS:
		return &cls{x, out}, nil
	case net.MeanPool:
		return &meanPool{x, in[1], out}, nil
	case net.Conv:
		return newConvolution(o, ps, x, out, m), nil
	case net.BatchNorm:
		return newFeatureNorm(ps, x, out, !train), nil
	case net.GroupNorm:
		return newGroupNorm(o, ps, x, out), nil
	case net.LayerNorm:
		return &layerNormNode{newLayerNorm(ps, x.rows, x.cp, o.Eps, grads), x, out}, nil
	case net.Activation:
		return &activation{forms[o.Form], x, out}, nil
	case net.MaxPool:
		return &maxPool{o, x, out, make([]int32, out.places()*out.c)}, nil
	case net.Embedding:
		return &embedding{o, ps[0], x, out}, nil
	case net.Softmax:
		return &softmax{x, out}, nil
	case net.Attention:
		return newAttentionNode(o, ps, in, out, m), nil
	case net.CE:
		return &ce{o: o, x: x, classes: in[1], out: out}, nil
	case net.SigLIP:
		return newContrastive(o.Contrastive(), ps, in, out), nil
	case net.L2Norm:
		return &l2norm{x, out, make([]float32, x.rows)}, nil
	case net.BCE:
		k := &bce{op: o, x: x, labels: in[1], out: out}
		if len(in) > 2 {
			k.weight = in[2]
		}
		return k, nil
	case net.InfoNCE:
		return newContrastive(o.Contrastive(), ps, in, out), nil
	case net.Contrastive:
		return newContrastive(o, ps, in, out), nil
	case net.SupCon:
		return newSupCon(o, x, in[1], out), nil
	case net.Recon:
		k := &recon{op: o, x: x, target: in[1], out: out}
		if len(in) > 2 {
			k.weight = in[2]
		}
		return k, nil
	case net.Total:
		return &total{o, in, out}, nil
	case net.Dot:
		return &dotProduct{x, in[1], out}, nil
	case net.Held:
		return &held{ps[0], out}, nil
	case net.Add:
		return &addition{x, in[1], out}, nil
	case net.Dropout:
		return &dropout{op: o, x: x, key: in[1], out: out, train: train}, nil
	case net.Patchify:
		return newPatchify(o, ps, x, out, m), nil
	case net.Positions:
		return &positions{x, out, ps[0], ps[1]}, nil
	case net.AdaptivePool:
		return &adaptivePool{x, out}, nil
	case net.Upsample:
		return newUpsample(o, x, out), nil
	case net.ConvTranspose:
		return newConvTranspose(o, ps, x, out, m), nil
	}
	return nil, fmt.Errorf("no kernel for %T", op)
}
