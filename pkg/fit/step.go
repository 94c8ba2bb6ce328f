package fit

import (
	"context"
	"fmt"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/engine/xla"
	"silverbeam/pkg/net"
)

// NewEngine is an engine by name: gorgonia, also by "", or xla; and by the type of its products: f32, also by "", or bf16.
func NewEngine(name, dtype string) (engine.Engine, error) {
	half := dtype == "bf16"
	switch {
	case !half && dtype != "" && dtype != "f32":
		return nil, fmt.Errorf("dtype %q: want f32 or bf16", dtype)
	case name == "xla":
		return xla.New(half)
	case name != "" && name != "gorgonia":
		return nil, fmt.Errorf("engine %q: want gorgonia or xla", name)
	case half:
		return engine.BF16(), nil
	}
	return engine.Gorgonia(), nil
}

// queued is engine xla for one training: its first Compile waits until no other training uses the GPU.
type queued struct {
	ctx   context.Context
	dtype string
	told  func() // called each second while it waits

	engine.Engine
	leave func()
}

func (q *queued) Compile(g *net.Graph, shapes map[string][]int, train bool) (_ engine.Program, err error) {
	if q.Engine == nil {
		if q.leave, err = xla.Acquire(q.ctx, q.told); err != nil {
			return nil, err
		}
		if q.Engine, err = NewEngine("xla", q.dtype); err != nil {
			return nil, err
		}
	}
	return q.Engine.Compile(g, shapes, train)
}

// done lets others use the GPU.
func (q *queued) done() {
	if q.leave != nil {
		q.leave()
	}
}

// onGPU says whether an engine's device is a GPU.
func onGPU(e engine.Engine) bool {
	if q, ok := e.(*queued); ok {
		e = q.Engine
	}
	g, ok := e.(interface{ GPU() bool })
	return ok && g.GPU()
}

// optimizer is what a step of training needs of AdamW or SGD.
type optimizer interface {
	Bind(params []*engine.Param, rate func(name string) float64)
	Norm() float64
	Step(lr, scale float64)
	update(limit float64) engine.Update
	count() int64
}

// descent takes steps of training: loss and gradients by a program, weights by an optimizer, here or, where the program
// can, on its device.
type descent struct {
	program engine.Program
	stepper engine.Stepper // the program, nil where it can not
	by      optimizer
	limit   float64        // of the gradient's norm; 0: none
	watcher engine.Watcher // the program, to look at layers' results every watchSteps; nil: none looks
}

func newDescent(p engine.Program, by optimizer, rate func(name string) float64, limit float64) *descent {
	by.Bind(p.Params(), rate)
	d := &descent{program: p, by: by, limit: limit}
	if d.stepper, _ = p.(engine.Stepper); d.stepper != nil {
		d.stepper.Bind(by.update(limit))
	}
	return d
}

// stage takes a batch to the program's device, if it takes its steps there. It may be called while a step is taken.
func (d *descent) stage(b *batch) {
	if d.stepper != nil && b.err == nil && b.staged == nil {
		b.staged, b.err = d.stepper.Stage(b.in)
	}
}

// step is one on a batch, which need not be staged, at r's learning rate; it fills in r's loss and norm. Where they are no numbers
// it gives an error that says where in the net.
func (d *descent) step(b *batch, r *Record) (err error) {
	if d.stage(b); b.err != nil {
		return fmt.Errorf("step %d: %w", r.Step, b.err)
	}
	look := d.watcher != nil && r.Step%watchSteps == 0
	if look {
		d.watcher.Watch(true)
		defer d.watcher.Watch(false)
	}
	var out map[string]net.Tensor
	if d.stepper != nil {
		out, r.GradNorm, err = d.stepper.Step(b.staged, r.LR, d.by.count())
	} else if out, err = d.program.Run(b.in); err == nil {
		r.GradNorm = d.by.Norm()
	}
	if err != nil {
		return fmt.Errorf("step %d: %w", r.Step, err)
	}
	r.Loss = float64(out["loss"].F32[0])
	if !r.finite() {
		return fmt.Errorf("step %d: loss %v, gradient norm %v at learning rate %.3g: %s", r.Step, r.Loss, r.GradNorm, r.LR, d.cause(b.in))
	}
	if look {
		for _, p := range d.watcher.Peaks() {
			if p.Max > r.Peak {
				r.Peak, r.PeakOf = p.Max, p.Layer
			}
		}
	}
	if d.stepper == nil {
		d.by.Step(r.LR, clip(r.GradNorm, d.limit))
	}
	return nil
}
