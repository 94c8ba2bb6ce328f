package student

import "math"

// lasso is an L1-penalised logistic regression on features that a row has or has not.
type lasso struct {
	columns [][]int32 // feature → the rows that have it
	y       []float64 // row → 0 or 1
	penalty float64   // of a weight of 1, in log loss of one row
}

// fit minimises sum_i log(1 + exp(-s_i z_i)) + penalty sum_j |beta_j| with s = ±1 and z = intercept + X beta, from zero:
// scikit-learn's objective with C = 1/penalty and a free intercept. Each Newton step solves its quadratic by cyclic
// coordinate descent (Yuan, Ho and Lin 2012, newGLMNET) and is halved until the objective falls. Nothing is random.
func (l *lasso) fit() (beta []float64, intercept float64) {
	const steps, tolerance = 100, 1e-4
	n, d := len(l.y), len(l.columns)
	q := quadratic{lasso: l, w: make([]float64, n), gradient: make([]float64, d), curve: make([]float64, d)}
	z, beta := make([]float64, n), make([]float64, d)
	value := l.value(z, beta)
	for range steps {
		dz, step, step0 := q.solve(z, beta)
		size := math.Abs(step0)
		for _, s := range step {
			size = max(size, math.Abs(s))
		}
		moved := false
		for scale := 1.0; scale > 1e-6 && !moved; scale /= 2 {
			nextZ, nextBeta := along(z, dz, scale), along(beta, step, scale)
			if v := l.value(nextZ, nextBeta); v < value {
				z, beta, intercept, value, moved = nextZ, nextBeta, intercept+scale*step0, v, true
			}
		}
		if !moved || size < tolerance {
			break
		}
	}
	return beta, intercept
}

func along(x, step []float64, scale float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = x[i] + scale*step[i]
	}
	return y
}

// value is the objective at margins z.
func (l *lasso) value(z, beta []float64) (v float64) {
	for i, m := range z {
		v += max(m, 0) + math.Log1p(math.Exp(-math.Abs(m))) - l.y[i]*m
	}
	for _, b := range beta {
		v += l.penalty * math.Abs(b)
	}
	return v
}

// quadratic is the objective's second-order model around z and beta.
type quadratic struct {
	*lasso
	w               []float64 // row → p(1-p)
	gradient, curve []float64 // feature → first and second derivative of the loss
}

// solve minimises the model plus penalty: dz is the step of the margins, step of the weights, step0 of the intercept.
// Between passes over all features it stays with those that move.
func (q *quadratic) solve(z, beta []float64) (dz, step []float64, step0 float64) {
	const passes, tolerance = 100, 1e-5
	gradient0, curve0 := 0.0, 0.0
	r := make([]float64, len(z)) // p - y
	for i, m := range z {
		p := 1 / (1 + math.Exp(-m))
		q.w[i], r[i] = max(p*(1-p), 1e-6), p-q.y[i]
		gradient0, curve0 = gradient0+r[i], curve0+q.w[i]
	}
	for j, rows := range q.columns {
		q.gradient[j], q.curve[j] = 0, 1e-12
		for _, i := range rows {
			q.gradient[j] += r[i]
			q.curve[j] += q.w[i]
		}
	}
	dz, step = make([]float64, len(z)), make([]float64, len(beta))
	active := make([]bool, len(beta))
	for pass, whole := 0, true; pass < passes; pass++ {
		g := gradient0
		for i, w := range q.w {
			g += w * dz[i]
		}
		move := -g / curve0
		step0 += move
		for i := range dz {
			dz[i] += move
		}
		largest := math.Abs(move)
		for j, rows := range q.columns {
			if !whole && !active[j] {
				continue
			}
			g := q.gradient[j]
			for _, i := range rows {
				g += q.w[i] * dz[i]
			}
			now := beta[j] + step[j]
			move := shrink(now-g/q.curve[j], q.penalty/q.curve[j]) - now
			active[j] = now+move != 0
			if move == 0 {
				continue
			}
			step[j] += move
			for _, i := range rows {
				dz[i] += move
			}
			largest = max(largest, math.Abs(move))
		}
		if largest < tolerance {
			if whole {
				break
			}
			whole = true
			continue
		}
		whole = false
	}
	return dz, step, step0
}

// shrink moves x towards 0 by at most by.
func shrink(x, by float64) float64 {
	return math.Copysign(max(math.Abs(x)-by, 0), x)
}
