package metrics

import (
	"fmt"
	"math"
	"slices"
)

// Calibration turns a finding's scores into probabilities. It belongs to the rows that it was fitted on: fit it on
// validation rows, never on those it is then judged by.
type Calibration struct {
	A *float64 `json:"a,omitempty"` // Platt: 1 / (1 + exp(a s + b))
	B *float64 `json:"b,omitempty"`
	T *float64 `json:"t,omitempty"` // temperature: sigmoid(log-odds / t)

	odds bool      // the scores are log-odds as they stand
	x, p []float64 // isotonic: the curve's corners
}

// Calibrations are the ways to fit one.
var Calibrations = []string{"platt", "isotonic", "temperature"}

// FitCalibration fits one on validation rows: "platt" (Platt 1999, with his smoothed targets), "isotonic" (pool adjacent
// violators, equal scores as one; linear between corners, flat outside) or "temperature" (Guo et al. 2017; scores within
// [0,1] are taken as probabilities, else all as log-odds). It is nil where the rows do not determine it.
func FitCalibration(kind string, y []int8, s []float64) (*Calibration, error) {
	r, err := Rank(y, s)
	if err != nil || r.Pos == 0 || r.Neg == 0 {
		return nil, err
	}
	x, target := make([]float64, len(r.rows)), make([]float64, len(r.rows))
	for i, p := range r.rows {
		x[i], target[i] = s[p.Row()], float64(y[p.Row()])
	}
	switch kind {
	case "platt":
		return platt(r, x, target), nil
	case "isotonic":
		return isotonic(r, x), nil
	case "temperature":
		return temperature(x, target), nil
	}
	return nil, fmt.Errorf("metrics: no calibration %q: one of %q", kind, Calibrations)
}

// Apply gives the probability of every score. Temperature clips probabilities to [1e-12, 1-1e-12].
func (c *Calibration) Apply(s []float64) []float64 {
	out := make([]float64, len(s))
	for i, v := range s {
		switch {
		case c.A != nil:
			out[i] = sigmoid(-(*c.A*v + *c.B))
		case c.T != nil:
			out[i] = sigmoid(c.logOdds(v) / *c.T)
		default:
			out[i] = c.step(v)
		}
	}
	return out
}

func platt(r Ranked, x, target []float64) *Calibration {
	for i, v := range target {
		if target[i] = 1 / float64(r.Neg+2); v == 1 {
			target[i] = float64(r.Pos+1) / float64(r.Pos+2)
		}
	}
	slope, intercept, ok := fitSigmoid(x, target)
	if !ok {
		return nil
	}
	slope, intercept = -slope, -intercept
	return &Calibration{A: &slope, B: &intercept}
}

// isotonic pools from the lowest score up.
func isotonic(r Ranked, x []float64) *Calibration {
	type block struct {
		pos, n int
		lo, hi float64
	}
	var blocks []block
	b := block{lo: x[0]}
	for i, p := range r.rows {
		b.n, b.hi = b.n+1, x[i]
		if p.Positive() {
			b.pos++
		}
		if !p.TieEnd() {
			continue
		}
		for n := len(blocks); n > 0 && blocks[n-1].pos*b.n >= b.pos*blocks[n-1].n; n-- {
			b = block{blocks[n-1].pos + b.pos, blocks[n-1].n + b.n, blocks[n-1].lo, b.hi}
			blocks = blocks[:n-1]
		}
		blocks = append(blocks, b)
		if i+1 < len(x) {
			b = block{lo: x[i+1]}
		}
	}
	c := &Calibration{}
	for _, b := range blocks {
		p := float64(b.pos) / float64(b.n)
		c.x, c.p = append(c.x, b.lo), append(c.p, p)
		if b.hi > b.lo {
			c.x, c.p = append(c.x, b.hi), append(c.p, p)
		}
	}
	return c
}

func (c *Calibration) step(v float64) float64 {
	i, found := slices.BinarySearch(c.x, v)
	switch {
	case found:
		return c.p[i]
	case i == 0:
		return c.p[0]
	case i == len(c.x):
		return c.p[i-1]
	}
	return c.p[i-1] + (c.p[i]-c.p[i-1])*(v-c.x[i-1])/(c.x[i]-c.x[i-1])
}

func temperature(x, target []float64) *Calibration {
	c := &Calibration{odds: slices.ContainsFunc(x, func(v float64) bool { return v < 0 || v > 1 })}
	odds := make([]float64, len(x))
	lo, hi := inf, -inf // of the margins: where all have one sign, no temperature is best
	for i, v := range x {
		odds[i] = c.logOdds(v)
		m := (2*target[i] - 1) * odds[i]
		lo, hi = min(lo, m), max(hi, m)
	}
	if lo >= 0 || hi <= 0 {
		return nil
	}
	gradient := func(beta float64) (g float64) {
		for i, v := range odds {
			g += (sigmoid(beta*v) - target[i]) * v
		}
		return g
	}
	if gradient(0) >= 0 {
		return nil // the best slope is 0 or falls: the scores point the wrong way
	}
	from, to := 0.0, 1.0
	for gradient(to) < 0 {
		from, to = to, 2*to
		if math.IsInf(to, 0) {
			return nil
		}
	}
	for range 200 { // the gradient rises: halve to the last bit
		mid := from + (to-from)/2
		if mid <= from || mid >= to {
			break
		}
		if gradient(mid) < 0 {
			from = mid
		} else {
			to = mid
		}
	}
	t := 1 / to
	c.T = &t
	return c
}

func (c *Calibration) logOdds(v float64) float64 {
	if c.odds {
		return v
	}
	const tiny = 1e-12
	v = min(max(v, tiny), 1-tiny)
	return math.Log(v) - math.Log1p(-v)
}

// Recalibration is Cox's logistic regression of the outcome on the score's log-odds (Biometrika 1958). It is undefined
// where a score is not within (0,1), a class is empty or the scores separate the classes.
func Recalibration(y []int8, p []float64) (slope, intercept float64, ok bool) {
	var x, target []float64
	highest, lowest := [2]float64{-inf, -inf}, [2]float64{inf, inf} // of absent, present
	for i, v := range y {
		if !known(v) {
			continue
		}
		if !(p[i] > 0 && p[i] < 1) {
			return 0, 0, false
		}
		highest[v], lowest[v] = max(highest[v], p[i]), min(lowest[v], p[i])
		x, target = append(x, math.Log(p[i])-math.Log1p(-p[i])), append(target, float64(v))
	}
	if highest[0] <= lowest[1] || highest[1] <= lowest[0] {
		return 0, 0, false
	}
	return fitSigmoid(x, target)
}

// fitSigmoid minimises the cross-entropy of sigmoid(slope x + intercept) against targets from 0 to 1 by Newton's method,
// a step halved until it does not raise the loss. It fails when all x are equal; the targets must not be separable.
func fitSigmoid(x, target []float64) (slope, intercept float64, ok bool) {
	mean, scale := 0.0, deviation(x)
	for _, v := range x {
		mean += v / float64(len(x))
	}
	if !(scale > 1e-12*math.Abs(mean)) {
		return 0, 0, false
	}
	z := make([]float64, len(x))
	for i, v := range x {
		z[i] = (v - mean) / scale
	}
	loss := func(a, b float64) (sum float64) {
		for i, v := range z {
			m := a*v + b
			sum += max(m, 0) + math.Log1p(math.Exp(-math.Abs(m))) - target[i]*m
		}
		return sum
	}
	a, b := 0.0, 0.0
	now := loss(a, b)
	for range 100 {
		var ga, gb, haa, hab, hbb float64
		for i, v := range z {
			p := sigmoid(a*v + b)
			e, w := p-target[i], p*(1-p)
			ga, gb = ga+e*v, gb+e
			haa, hab, hbb = haa+w*v*v, hab+w*v, hbb+w
		}
		det := haa*hbb - hab*hab
		if !(det > 0) {
			return 0, 0, false
		}
		da, db := (hbb*ga-hab*gb)/det, (haa*gb-hab*ga)/det
		size := math.Abs(da) + math.Abs(db)
		step := 1.0
		for ; step > 1e-9 && size > 1e-6; step /= 2 { // near the minimum the loss no longer tells steps apart
			if next := loss(a-step*da, b-step*db); next <= now {
				now = next
				break
			}
		}
		a, b = a-step*da, b-step*db
		if size < 1e-11 {
			break
		}
	}
	return a / scale, b - a*mean/scale, true
}
