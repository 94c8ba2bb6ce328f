// Package xla compiles nets to StableHLO and runs them by a PJRT plugin that it finds at run time, on a GPU where there is one.
//
// A net is one module for fixed shapes: its layers, and in training their gradients and the optimiser's step, whose weights
// and moments stay on the device. There is no cgo, and nothing of XLA's in the program: the plugin is a library of the
// user's (see Library). On a CPU a plugin is for tests: it takes about four times as long as engine gorgonia.
package xla

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// New is the engine of this process's plugin; ErrPlugin where there is none, or it has no device, ErrInUse where another process
// has it. half: convolutions and
// products in bf16, volumes between layers too; weights, sums, norms, softmax and losses stay float32.
func New(half bool) (engine.Engine, error) {
	c, err := device()
	if err != nil {
		return nil, err
	}
	return xla{c, half}, nil
}

type xla struct {
	c    *client
	half bool
}

// GPU says whether the device is one.
func (e xla) GPU() bool { return e.c.platform != "cpu" }

func (e xla) Compile(g *net.Graph, shapes map[string][]int, train bool) (engine.Program, error) {
	inferred, err := g.Infer(shapes)
	if err != nil {
		return nil, err
	}
	o := mode{half: e.half, train: train, grads: train && g.Loss != nil}
	p := &program{c: e.c, g: g, shapes: inferred, mode: o}
	if p.step.module, err = newModule(g, inferred, o); err != nil {
		return nil, fmt.Errorf("engine xla: %w", err)
	}
	for i, q := range g.Params {
		v := &engine.Param{Name: q.Name, Shape: q.Shape, Buffer: q.Buffer, Value: make([]float32, net.Size(q.Shape))}
		if p.step.params[i].wanted {
			v.Grad = make([]float32, len(v.Value))
		}
		p.params = append(p.params, v)
	}
	runtime.SetFinalizer(p, (*program).free)
	return p, nil
}

// program is a compiled graph. Its weights are the host's while it has no optimiser and trains: they may change between
// two runs. Otherwise they are the device's once they are there, until Load.
type program struct {
	c      *client
	g      *net.Graph
	shapes [][]int // by node
	mode
	params []*engine.Param
	step   code      // all that the mode asks for
	ahead  code      // without gradients; empty before the first Forward
	state  []uintptr // parameters and moments on the device; nil: the host's hold
	last   []uintptr // gradients of the last Step, on the device
}

// code is a module and, from its first run, what the plugin made of it.
type code struct {
	*module
	compiled *executable
}

func (x *code) free() {
	if x.compiled != nil {
		x.compiled.destroy()
	}
	x.compiled = nil
}

// free gives the device's memory back.
func (p *program) free() {
	p.drop()
	p.step.free()
	p.ahead.free()
}

// drop gives back the memory of weights, moments and gradients.
func (p *program) drop() {
	p.c.free(p.state...)
	p.c.free(p.last...)
	p.state, p.last = nil, nil
}

func (p *program) Params() []*engine.Param { return p.params }

func (p *program) Load(all map[string]net.Tensor) error {
	p.drop()
	for _, q := range p.params {
		if err := q.Load(all); err != nil {
			return fmt.Errorf("engine: %w", err)
		}
	}
	return nil
}

// Export gives zeros for what it cannot fetch: the interface has no error; a device that is lost shows at the next step.
func (p *program) Export() map[string]net.Tensor {
	if p.u != nil && p.state != nil {
		for i, q := range p.params {
			if err := p.c.download(q.Value, p.state[i]); err != nil {
				clear(q.Value)
			}
		}
	}
	all := make(map[string]net.Tensor, len(p.params))
	for _, q := range p.params {
		all[q.Name] = q.Tensor(q.Value)
	}
	return all
}

func (p *program) Gradients() map[string]net.Tensor {
	all := map[string]net.Tensor{}
	for i, at := range p.step.trained {
		q := p.params[at]
		if p.last != nil && p.c.download(q.Grad, p.last[i]) != nil {
			clear(q.Grad)
		}
		all[q.Name] = q.Tensor(q.Grad)
	}
	return all
}

// ready compiles a module at its first run, and takes weights and moments to the device.
func (p *program) ready(x *code) (err error) {
	if x.compiled == nil {
		if x.compiled, err = p.c.compile(x.text(), len(x.results), p.half); err != nil {
			return fmt.Errorf("engine xla: compiling: %w", err)
		}
	}
	if p.state != nil {
		return nil
	}
	for _, q := range p.params {
		if err := p.enter(q.Value, q.Shape); err != nil {
			return err
		}
	}
	if p.u == nil {
		return nil
	}
	for _, of := range []func(s engine.Slot) []float32{first, second} {
		for _, s := range p.u.Slots {
			if m := of(s); m != nil {
				if err := p.enter(m, s.Param.Shape); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func first(s engine.Slot) []float32  { return s.M }
func second(s engine.Slot) []float32 { return s.V }

func (p *program) enter(v []float32, shape []int) error {
	b, err := upload(p.c, v, shape)
	p.state = append(p.state, b)
	return err
}

// staged is a batch on the device, in the order of the graph's inputs.
type staged struct {
	c       *client
	buffers []uintptr
}

func (b *staged) Drop() {
	b.c.free(b.buffers...)
	b.buffers = nil
}

// Stage reads nothing of the program that a step changes.
func (p *program) Stage(in map[string]net.Tensor) (engine.Staged, error) {
	b := &staged{c: p.c}
	if err := p.stage(b, in); err != nil {
		b.Drop()
		return nil, err
	}
	return b, nil
}

func (p *program) stage(to *staged, in map[string]net.Tensor) error {
	for i, n := range p.g.Nodes {
		o, ok := n.Op.(net.Input)
		if !ok {
			continue
		}
		t := in[n.Name]
		if err := net.Check(n.Name, t, p.shapes[i], o.I32); err != nil {
			return fmt.Errorf("engine: %w", err)
		}
		if err := p.check(n, t); err != nil {
			return fmt.Errorf("engine: %w", err)
		}
		var b uintptr
		var err error
		if o.I32 {
			b, err = upload(p.c, t.I32, t.Shape)
		} else {
			b, err = upload(p.c, t.F32, t.Shape)
		}
		to.buffers = append(to.buffers, b)
		if err != nil {
			return fmt.Errorf("engine xla: %s: %w", n.Name, err)
		}
	}
	return nil
}

// check refuses ids outside of tables and classes that there are not: a device would take others for them.
func (p *program) check(input *net.Node, t net.Tensor) error {
	for _, n := range p.g.Nodes {
		for i, x := range n.In {
			if x != input {
				continue
			}
			below, ignore := int32(math.MaxInt32), int32(math.MinInt32)
			switch o := n.Op.(type) {
			case net.Embedding:
				below, ignore = int32(o.Rows), 0
			case net.BertEmbedding:
				below, ignore = int32(o.Vocab), 0
			case net.CE:
				if i == 1 {
					below, ignore = int32(p.shapes[n.In[0].Index][1]), o.Ignore
				}
			default:
				continue
			}
			for _, id := range t.I32 {
				if (id < 0 || id >= below) && id != ignore {
					return &net.ShapeError{Tensor: input.Name, Why: fmt.Sprintf("id %d, want 0 to %d", id, below-1)}
				}
			}
		}
	}
	return nil
}

// run executes a module on a batch, which it drops; of the results it takes the outputs, the others are the caller's.
func (p *program) run(x *code, batch *staged, more ...[]float32) (out map[string]net.Tensor, rest []uintptr, err error) {
	defer batch.Drop()
	if err := p.ready(x); err != nil {
		return nil, nil, err
	}
	for _, v := range more {
		b, err := upload(p.c, v, []int{len(v)})
		batch.buffers = append(batch.buffers, b)
		if err != nil {
			return nil, nil, err
		}
	}
	results, err := x.compiled.run(slices.Concat(p.state, batch.buffers))
	if err != nil {
		return nil, nil, fmt.Errorf("engine xla: %w", err)
	}
	out = make(map[string]net.Tensor, len(x.outputs))
	for i, name := range x.outputs {
		shape := x.results[i].shape
		t := net.Tensor{Shape: shape, F32: make([]float32, net.Size(shape))}
		err = errors.Join(err, p.c.download(t.F32, results[i]))
		out[name] = t
	}
	n := len(x.outputs)
	p.c.free(results[:n]...)
	return out, results[n:], err
}

func (p *program) Run(in map[string]net.Tensor) (map[string]net.Tensor, error) {
	return p.follow(&p.step, in)
}

func (p *program) Forward(in map[string]net.Tensor) (out map[string]net.Tensor, err error) {
	if !p.grads {
		return p.Run(in)
	}
	if p.ahead.module == nil {
		if p.ahead.module, err = newModule(p.g, p.shapes, mode{half: p.half, train: p.train}); err != nil {
			return nil, fmt.Errorf("engine xla: %w", err)
		}
	}
	return p.follow(&p.ahead, in)
}

// follow runs a module and has Params follow it.
func (p *program) follow(x *code, in map[string]net.Tensor) (map[string]net.Tensor, error) {
	if p.u != nil {
		return nil, errors.New("engine xla: the program has an optimiser: Step takes Run's place")
	}
	if p.train {
		p.drop()
	}
	batch, err := p.Stage(in)
	if err != nil {
		return nil, err
	}
	out, rest, err := p.run(x, batch.(*staged))
	defer func() { p.c.free(rest...) }()
	if err != nil {
		return nil, err
	}
	for i, at := range x.trained {
		err = errors.Join(err, p.c.download(p.params[at].Grad, rest[i]))
	}
	for i, r := range x.replaced { // running statistics
		err = errors.Join(err, p.c.download(p.params[r.place].Value, rest[len(x.trained)+i]))
	}
	return out, err
}

func (p *program) Bind(u engine.Update) {
	p.free()
	p.u = &u
	m, err := newModule(p.g, p.shapes, p.mode)
	if err != nil {
		panic("xla: " + err.Error()) // Compile has written the same layers
	}
	p.step.module = m
}

func (p *program) Step(b engine.Staged, lr float64, t int64) (out map[string]net.Tensor, norm float64, err error) {
	out, rest, err := p.run(&p.step, b.(*staged), ratesOf(p.u, lr, t))
	if err != nil {
		p.c.free(rest...)
		return nil, 0, err
	}
	var length [1]float32
	err = p.c.download(length[:], rest[0])
	p.c.free(p.last...)
	p.c.free(rest[0])
	n := len(p.step.trained)
	p.last = rest[1 : 1+n]
	for i, r := range p.step.replaced {
		at := r.place
		p.c.free(p.state[at]) // consumed, but for its handle
		p.state[at] = rest[1+n+i]
	}
	return out, float64(length[0]), err
}

func (p *program) Sync() error {
	if p.u == nil || p.state == nil {
		return nil
	}
	at := len(p.params)
	for _, of := range []func(s engine.Slot) []float32{first, second} {
		for _, s := range p.u.Slots {
			if m := of(s); m != nil {
				if err := p.c.download(m, p.state[at]); err != nil {
					return fmt.Errorf("engine xla: moments of %s: %w", s.Param.Name, err)
				}
				at++
			}
		}
	}
	return nil
}
