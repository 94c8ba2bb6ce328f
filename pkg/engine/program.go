package engine

import (
	"fmt"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"silverbeam/pkg/net"
)

// program is a compiled graph.
type program struct {
	g       *net.Graph
	inputs  map[string]*value
	leaves  []leaf
	values  []*value
	params  []*param
	checks  []func() error
	public  []*Param
	vm      G.VM
	forward G.VM // without the backward pass
	layers  []*layer
	watch   bool
}

// leaf is a tensor of Run.
type leaf struct {
	name string
	node *G.Node
	v    *value
	laid *value // the same as layers read it; nil where none does
	ids  bool
}

func (p *program) Params() []*Param { return p.public }

func (p *program) Export() map[string]net.Tensor {
	all := make(map[string]net.Tensor, len(p.params))
	for _, q := range p.params {
		all[q.Name] = q.Tensor(q.Value)
	}
	return all
}

func (p *program) Gradients() map[string]net.Tensor {
	all := map[string]net.Tensor{}
	for _, q := range p.params {
		if q.Grad != nil {
			all[q.Name] = q.Tensor(q.Grad)
		}
	}
	return all
}

func (p *program) Load(all map[string]net.Tensor) error {
	for _, q := range p.params {
		if err := q.Load(all); err != nil {
			return fmt.Errorf("engine: %w", err)
		}
	}
	return nil
}

func (p *program) Watch(on bool) {
	p.watch = on
	for _, l := range p.layers {
		if on {
			l.peak, l.seen = 0, false
		}
	}
}

func (p *program) Peaks() (all []Peak) {
	for _, l := range p.layers {
		if l.seen {
			all = append(all, Peak{l.name, l.peak})
		}
	}
	return all
}

func (p *program) Run(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	return p.run(p.vm, in)
}

func (p *program) Forward(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	return p.run(p.forward, in)
}

func (p *program) run(vm G.VM, in map[string]net.Tensor) (map[string]net.Tensor, error) {
	for _, l := range p.leaves {
		if err := p.set(l, in[l.name]); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
	}
	for _, check := range p.checks {
		if err := check(); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
	}
	vm.Reset()
	if err := vm.RunAll(); err != nil {
		return nil, fmt.Errorf("engine: %w", err)
	}
	out := make(map[string]net.Tensor, len(p.g.Outputs))
	for _, o := range p.g.Outputs {
		out[o.Name] = p.values[o.Node.Index].tensor()
	}
	return out, nil
}

// set binds an input to the caller's memory for this run.
func (p *program) set(l leaf, t net.Tensor) error {
	if err := net.Check(l.name, t, l.v.shape, l.ids); err != nil {
		return err
	}
	backing := tensor.WithBacking(t.F32)
	if l.v.data, l.v.ids = t.F32, nil; l.ids {
		l.v.data, l.v.ids = nil, t.I32
		backing = tensor.WithBacking(t.I32)
	}
	if l.laid != nil {
		l.laid.enter(l.laid.data, t.F32)
	}
	return G.Let(l.node, tensor.New(tensor.WithShape(l.v.shape...), backing))
}
