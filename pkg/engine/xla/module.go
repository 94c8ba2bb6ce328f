package xla

import (
	"fmt"
	"slices"
	"strings"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// module is a whole program: its arguments are parameters, moments, inputs and, with an optimiser, the step's rates; its
// results outputs, with an optimiser the gradient's norm, gradients, and what takes the place of parameters and moments.
type module struct {
	forward
	args    []*val
	results []*val
	alias   map[*val]int // by argument: the result that takes its memory

	params   []*val // in the graph's order
	moments  []*val // the first of each slot, then the second
	outputs  []string
	trained  []int      // places among params of the gradients
	replaced []replaced // what the last results stand for
}

// replaced is a parameter's or moment's new value.
type replaced struct {
	arg, result *val
	place       int // arg's among the arguments
}

func (m *module) arg(of string, shape ...int) *val {
	v := &val{name: fmt.Sprintf("%%arg%d", len(m.args)), shape: shape, of: of}
	m.args = append(m.args, v)
	return v
}

// mode is what a module is for.
type mode struct {
	half  bool           // products are of bf16
	train bool           // statistics of the batch
	grads bool           // gradients too
	u     *engine.Update // not nil: and the optimiser's step
}

// newModule writes a graph's program for fixed shapes, those of its nodes.
func newModule(g *net.Graph, shapes [][]int, o mode) (*module, error) {
	m := &module{forward: forward{builder: builder{half: o.half}, train: o.train, again: g.Recompute && o.grads, buffer: map[*val]*val{}}, alias: map[*val]int{}}
	byParam := map[*net.Param]*val{}
	for _, p := range g.Params {
		v := m.arg("f32", p.Shape...)
		v.wanted = o.grads && !p.Buffer
		m.params, byParam[p] = append(m.params, v), v
	}
	m.state(o.u)
	nodes, err := m.nodes(g, shapes, byParam)
	if err != nil {
		return nil, err
	}
	for _, out := range g.Outputs {
		m.outputs = append(m.outputs, out.Name)
		m.results = append(m.results, m.full(nodes[out.Node.Index]))
	}
	if o.grads {
		m.note("gradients")
		loss := nodes[g.Loss.Index]
		m.backward(loss, m.like(loss, 1))
	}
	if o.u != nil {
		m.optimise(o.u, g)
	}
	for i, p := range m.params {
		if p.wanted {
			m.trained, m.results = append(m.trained, i), append(m.results, m.gradient(p))
		}
		if v := m.buffer[p]; v != nil {
			m.replaced = append(m.replaced, replaced{arg: p, result: v})
		}
	}
	for i, r := range m.replaced {
		m.replaced[i].place = slices.Index(m.args, r.arg)
		m.alias[r.arg] = len(m.results)
		m.results = append(m.results, r.result)
	}
	return m, nil
}

// nodes writes every layer.
func (m *module) nodes(g *net.Graph, shapes [][]int, params map[*net.Param]*val) ([]*val, error) {
	out := make([]*val, len(g.Nodes))
	for i, n := range g.Nodes {
		if o, ok := n.Op.(net.Input); ok {
			of := "f32"
			if o.I32 {
				of = "i32"
			}
			out[i] = m.arg(of, shapes[i]...)
			continue
		}
		var in, ps []*val
		for _, x := range n.In {
			in = append(in, out[x.Index])
		}
		for _, p := range n.Params {
			ps = append(ps, params[p])
		}
		m.note(n.Name + " (" + n.Op.Kind() + ")")
		var err error
		if out[i], err = m.layer(n.Op, in, ps, shapes[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", n.Name, err)
		}
	}
	return out, nil
}

// gradient of a parameter is zero where the loss does not depend on it.
func (m *module) gradient(p *val) *val {
	if g := m.grads[p]; g != nil {
		return g
	}
	g := m.like(p, 0)
	m.grads[p] = g
	return g
}

// text is the module.
func (m *module) text() string {
	var s strings.Builder
	s.WriteString("module @step {\n  func.func public @main(")
	for i, a := range m.args {
		if i > 0 {
			s.WriteString(", ")
		}
		fmt.Fprintf(&s, "%s: %s", a.name, a)
		if to, ok := m.alias[a]; ok {
			fmt.Fprintf(&s, " {tf.aliasing_output = %d : i32}", to)
		}
	}
	names, types := make([]string, len(m.results)), make([]string, len(m.results))
	for i, r := range m.results {
		names[i], types[i] = r.name, r.String()
	}
	fmt.Fprintf(&s, ") -> (%s) {\n%s    return %s : %[1]s\n  }\n}\n", strings.Join(types, ", "), m.body.String(), strings.Join(names, ", "))
	return s.String()
}
