package xla

import (
	"math"

	"silverbeam/pkg/engine"
	"silverbeam/pkg/net"
)

// The rates of a step, which change from one to the next.
const (
	rateLR   = iota // the learning rate
	rateSize        // of AdamW: over the first moment's bias
	rateRoot        // of AdamW: 1 over the root of the second moment's bias
	rates
)

// rates are the numbers of step t, from 1, at a learning rate.
func ratesOf(u *engine.Update, lr float64, t int64) []float32 {
	first, second := 1-math.Pow(u.Beta1, float64(t)), 1-math.Pow(u.Beta2, float64(t))
	return []float32{rateLR: float32(lr), rateSize: float32(lr / first), rateRoot: float32(1 / math.Sqrt(second))}
}

// state adds the arguments of the moments.
func (m *module) state(u *engine.Update) {
	if u == nil {
		return
	}
	for _, s := range u.Slots {
		m.moments = append(m.moments, m.arg("f32", s.Param.Shape...))
	}
	for _, s := range u.Slots {
		if s.V != nil {
			m.moments = append(m.moments, m.arg("f32", s.Param.Shape...))
		}
	}
}

// optimise adds the gradient's norm to the results and moves what is trained.
func (m *module) optimise(u *engine.Update, g *net.Graph) {
	m.note("optimiser")
	step := m.arg("f32", rates)
	byName := map[string]*val{}
	for i, p := range g.Params {
		byName[p.Name] = m.params[i]
	}
	rate := func(i int) *val { return m.reshape(m.rows(step, i, i+1)) }
	squares := m.constant(0, "f32")
	for _, s := range u.Slots {
		if s.Rate != 0 {
			grad := m.gradient(byName[s.Param.Name])
			squares = m.plain("add", squares, m.total(m.plain("multiply", grad, grad)))
		}
	}
	norm := m.plain("sqrt", squares)
	m.results = append(m.results, norm)
	by := m.constant(1, "f32")
	if u.Clip > 0 {
		limit := m.constant(u.Clip, "f32")
		by = m.choose(m.compare(norm, "GT", limit), m.plain("divide", limit, m.plus(norm, 1e-6)), by)
	}
	for i, s := range u.Slots {
		if s.Rate == 0 {
			continue
		}
		w := byName[s.Param.Name]
		all := func(v *val) *val { return m.spread(v, w.shape) }
		grad := m.plain("multiply", m.gradient(w), all(by))
		if s.V != nil {
			m.adamW(u, s, w, grad, m.moments[i], m.moments[len(u.Slots)+i], [rates]*val{all(rate(rateLR)), all(rate(rateSize)), all(rate(rateRoot))})
		} else {
			m.sgd(u, s, w, grad, m.moments[i], all(rate(rateLR)))
		}
	}
}

// mixed is a·x + b·y.
func (m *module) mixed(a float64, x *val, b float64, y *val) *val {
	return m.plain("add", m.plain("multiply", m.like(x, a), x), m.plain("multiply", m.like(y, b), y))
}

// adamW is fit.AdamW's.
func (m *module) adamW(u *engine.Update, s engine.Slot, w, grad, first, second *val, step [rates]*val) {
	a := m.mixed(u.Beta1, first, 1-u.Beta1, grad)
	b := m.mixed(u.Beta2, second, 1-u.Beta2, m.plain("multiply", grad, grad))
	keep := m.plain("subtract", m.like(w, 1), m.plain("multiply", step[rateLR], m.like(w, s.Rate*s.Decay)))
	root := m.plain("add", m.plain("multiply", m.plain("sqrt", b), step[rateRoot]), m.like(w, u.Eps))
	size := m.plain("multiply", step[rateSize], m.like(w, s.Rate))
	down := m.plain("divide", m.plain("multiply", size, a), root)
	m.replaced = append(m.replaced, replaced{arg: w, result: m.plain("subtract", m.plain("multiply", keep, w), down)},
		replaced{arg: first, result: a}, replaced{arg: second, result: b})
}

// sgd is fit.SGD's.
func (m *module) sgd(u *engine.Update, s engine.Slot, w, grad, moment, lr *val) {
	grad = m.mixed(1, grad, s.Decay, w)
	a := m.mixed(u.Momentum, moment, 1, grad)
	down := a
	if u.Nesterov {
		down = m.mixed(1, grad, u.Momentum, a)
	}
	size := m.plain("multiply", lr, m.like(w, s.Rate))
	m.replaced = append(m.replaced, replaced{arg: w, result: m.plain("subtract", w, m.plain("multiply", size, down))}, replaced{arg: moment, result: a})
}
