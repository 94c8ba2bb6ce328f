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
type slots []slot

// slot is one parameter with its moments.
type slot struct {
	p     *engine.Param
	rate  float64 // factor on the learning rate; 0: frozen
	decay float64
	m, v  []float32
}

// Bind names the parameters that Step changes. Buffers are left alone. rate is the factor on the learning rate for a
// parameter's name; nil means 1.
func (a *AdamW) Bind(params []*engine.Param, rate func(name string) float64) {
	a.slots = newSlots(params, rate, a.Decay, a.DecayAll)
	for i := range a.slots {
		a.slots[i].v = make([]float32, len(a.slots[i].m))
	}
}

// newSlots makes room for a first moment of each parameter. Those of one dimension or none do not decay, unless all do.
func newSlots(params []*engine.Param, rate func(name string) float64, decay float64, all bool) (out slots) {
	for _, p := range params {
		if p.Buffer {
			continue
		}
		s := slot{p: p, rate: 1, decay: decay, m: make([]float32, len(p.Value))}
		if len(p.Shape) < 2 && !all {
			s.decay = 0
		}
		if rate != nil {
			s.rate = rate(p.Name)
		}
		out = append(out, s)
	}
	return out
}

// chunk is the span of elements that one goroutine takes at a time; sums are formed chunk by chunk in order.
const chunk = 1 << 14

// span is a chunk of one slot.
type span struct {
	slot     *slot
	from, to int
}

func (all slots) spans() []span {
	var out []span
	for i := range all {
		s := &all[i]
		if s.rate == 0 {
			continue
		}
		for from := 0; from < len(s.m); from += chunk {
			out = append(out, span{s, from, min(from+chunk, len(s.m))})
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
		for _, g := range spans[i].slot.p.Grad[spans[i].from:spans[i].to] {
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
	a.updates++
	t := float64(a.updates)
	u := simd.Adam{
		Scale: float32(scale), B1: float32(a.Beta1), C1: float32(1 - a.Beta1), B2: float32(a.Beta2), C2: float32(1 - a.Beta2),
		Root: float32(1 / math.Sqrt(1-math.Pow(a.Beta2, t))), Eps: float32(a.Eps),
	}
	first := 1 - math.Pow(a.Beta1, t)
	spans := a.spans()
	parallel(len(spans), func(i int) {
		s, from, to := spans[i].slot, spans[i].from, spans[i].to
		u := u
		u.Size, u.Keep = float32(lr*s.rate/first), float32(1-lr*s.rate*s.decay)
		u.Step(s.p.Value[from:to], s.p.Grad[from:to], s.m[from:to], s.v[from:to])
	})
}

// reset forgets all moments.
func (a *AdamW) reset() {
	a.updates = 0
	for _, s := range a.slots {
		clear(s.m)
		clear(s.v)
	}
}

// state writes the moments, by parameter name, into tensors of a checkpoint. They lie as the engine lays out weights, so
// their names change when it does it otherwise: a checkpoint of then is as none.
func (a *AdamW) state(into map[string]net.Tensor) {
	for _, s := range a.slots {
		into["adamw.m2:"+s.p.Name] = net.Tensor{Shape: []int{len(s.m)}, F32: s.m}
		into["adamw.v2:"+s.p.Name] = net.Tensor{Shape: []int{len(s.v)}, F32: s.v}
	}
	into["adamw.updates"] = net.Tensor{Shape: []int{}, I64: []int64{a.updates}}
}

// restore is state's inverse, for the same bound parameters.
func (a *AdamW) restore(from map[string]net.Tensor) error {
	for _, s := range a.slots {
		m, v := from["adamw.m2:"+s.p.Name].F32, from["adamw.v2:"+s.p.Name].F32
		if len(m) != len(s.m) || len(v) != len(s.v) {
			return fmt.Errorf("moments of %s: %d and %d numbers, want %d", s.p.Name, len(m), len(v), len(s.m))
		}
		copy(s.m, m)
		copy(s.v, v)
	}
	n := from["adamw.updates"].I64
	if len(n) != 1 {
		return fmt.Errorf("no adamw.updates")
	}
	a.updates = n[0]
	return nil
}
