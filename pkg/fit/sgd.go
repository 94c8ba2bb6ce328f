package fit

import "silverbeam/pkg/engine"

// SGD is gradient descent with momentum, as torch.optim.SGD has it (Sutskever et al. 2013, without dampening): weight
// decay is added to the gradient, and Nesterov looks ahead by one step of the momentum.
type SGD struct {
	Momentum float64
	Nesterov bool
	Decay    float64
	DecayAll bool // also tensors of one dimension or none

	slots
}

// Bind is AdamW's.
func (o *SGD) Bind(params []*engine.Param, rate func(name string) float64) {
	o.slots = newSlots(params, rate, o.Decay, o.DecayAll)
}

// Step updates every bound parameter from its gradient times scale at learning rate lr.
func (o *SGD) Step(lr, scale float64) {
	spans := o.spans()
	momentum, by := float32(o.Momentum), float32(scale)
	parallel(len(spans), func(i int) {
		s, from, to := spans[i].slot, spans[i].from, spans[i].to
		size, decay := float32(lr*s.Rate), float32(s.Decay)
		w, g, m := s.Param.Value[from:to], s.Param.Grad[from:to], s.M[from:to]
		for i, x := range g {
			x = x*by + decay*w[i]
			m[i] = momentum*m[i] + x
			if o.Nesterov {
				x += momentum * m[i]
			} else {
				x = m[i]
			}
			w[i] -= size * x
		}
	})
}

// update and count are AdamW's.
func (o *SGD) update(limit float64) engine.Update {
	return engine.Update{Slots: o.slots, Momentum: o.Momentum, Nesterov: o.Nesterov, Clip: limit}
}

func (*SGD) count() int64 { return 1 } // no update differs from the others
