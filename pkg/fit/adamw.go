package fit

import (
	"fmt"
	"math"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
	"silverbeam/pkg/simd"
)

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), in place on a program's
// parameters. Tensors of one dimension or none (biases, norms, temperatures) do not decay, unless DecayAll. It runs on all processors;
// every element is computed on its own, so their number changes nothing.
type AdamW struct {
	Beta1, Beta2 float64
	Eps          float64
	Decay        float64 // of the weights, per step and unit of learning rate
	DecayAll     bool

	updates int64
	slots
}

// slots are the parameters that an optimizer changes.
type slots []engine.Slot

// Bind names the parameters that Step changes. Buffers are left alone. rate is the factor on the learning rate for a
// parameter's name; nil means 1.
func (a *AdamW) Bind(params []*engine.Param, rate func(name string) float64) {
	a.slots = newSlots(params, rate, a.Decay, a.DecayAll)
	for i := range a.slots {
		a.slots[i].V = make([]float32, len(a.slots[i].M))
	}
}

// newSlots makes room for a first moment of each parameter. Those of one dimension or none do not decay, unless all do.
func newSlots(params []*engine.Param, rate func(name string) float64, decay float64, all bool) (out slots) {
	for _, p := range params {
		if p.Buffer {
			continue
		}
		s := engine.Slot{Param: p, Rate: 1, Decay: decay, M: make([]float32, len(p.Value))}
		if len(p.Shape) < 2 && !all {
			s.Decay = 0
		}
		if rate != nil {
			s.Rate = rate(p.Name)
		}
		out = append(out, s)
	}
	return out
}

// chunk is the span of elements that one goroutine takes at a time; sums are formed chunk by chunk in order.
const chunk = 1 << 14

// span is a chunk of one slot.
type span struct {
	slot     *engine.Slot
	from, to int
}

func (all slots) spans() []span {
	var out []span
	for i := range all {
		s := &all[i]
		if s.Rate == 0 {
			continue
		}
		for from := 0; from < len(s.M); from += chunk {
			out = append(out, span{s, from, min(from+chunk, len(s.M))})
		}
	}
	return out
}

// Norm is the Euclidean norm of all gradients that Step would use, summed in float64 in a fixed order.
func (all slots) Norm() float64 {
	spans := all.spans()
	sums := make([]float64, len(spans))
	parallel(len(spans), func(i int) {
		sum := 0.0
		for _, g := range spans[i].slot.Param.Grad[spans[i].from:spans[i].to] {
			sum += float64(g) * float64(g)
		}
		sums[i] = sum
	})
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return math.Sqrt(total)
}

// Step updates every bound parameter from its gradient times scale (of clipping; 1 for none) at learning rate lr.
func (a *AdamW) Step(lr, scale float64) {
	t := float64(a.count())
	u := simd.Adam{
		Scale: float32(scale), B1: float32(a.Beta1), C1: float32(1 - a.Beta1), B2: float32(a.Beta2), C2: float32(1 - a.Beta2),
		Root: float32(1 / math.Sqrt(1-math.Pow(a.Beta2, t))), Eps: float32(a.Eps),
	}
	first := 1 - math.Pow(a.Beta1, t)
	spans := a.spans()
	parallel(len(spans), func(i int) {
		s, from, to := spans[i].slot, spans[i].from, spans[i].to
		u := u
		u.Size, u.Keep = float32(lr*s.Rate/first), float32(1-lr*s.Rate*s.Decay)
		u.Step(s.Param.Value[from:to], s.Param.Grad[from:to], s.M[from:to], s.V[from:to])
	})
}

// update and count are Step for an engine that takes it itself: the rule, and the number of the next update.
func (a *AdamW) update(limit float64) engine.Update {
	return engine.Update{Slots: a.slots, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Eps, Clip: limit}
}

func (a *AdamW) count() int64 {
	a.updates++
	return a.updates
}

// reset forgets all moments.
func (a *AdamW) reset() {
	a.updates = 0
	for _, s := range a.slots {
		clear(s.M)
		clear(s.V)
	}
}

// state writes the moments, by parameter name, into tensors of a checkpoint, in PyTorch's layouts: any engine goes on from it.
func (a *AdamW) state(into map[string]net.Tensor) {
	for _, s := range a.slots {
		into["adamw.first:"+s.Param.Name] = s.Param.Tensor(s.M)
		into["adamw.second:"+s.Param.Name] = s.Param.Tensor(s.V)
	}
	into["adamw.updates"] = net.Tensor{Shape: []int{}, I64: []int64{a.updates}}
}

// restore is state's inverse, for the same bound parameters.
func (a *AdamW) restore(from map[string]net.Tensor) error {
	for _, s := range a.slots {
		for name, m := range map[string][]float32{"adamw.first:": s.M, "adamw.second:": s.V} {
			name += s.Param.Name
			if err := s.Param.Set(m, name, from[name]); err != nil {
				return err
			}
		}
	}
	n := from["adamw.updates"].I64
	if len(n) != 1 {
		return fmt.Errorf("no adamw.updates")
	}
	a.updates = n[0]
	return nil
}
