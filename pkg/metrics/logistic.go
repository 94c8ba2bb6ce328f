package metrics

import (
	"fmt"
	"math"
)

// Logistic is a fitted logistic regression: P(1) = sigmoid(Coef·x + Intercept).
type Logistic struct {
	Coef      []float64
	Intercept float64
}

// LogisticFit minimises sum_i w_i loss_i + lambda/2 |coef|² (intercept free of the penalty) by Newton's method from zero:
// scikit-learn's objective with C = 1/lambda. Rows are X[i]; a nil weights means ones; rows with an unknown label are
// left out. lambda must be positive, or separable data have no answer. Deterministic.
func LogisticFit(X [][]float64, y []int8, weights []float64, lambda float64) (*Logistic, error) {
	if len(X) != len(y) || weights != nil && len(weights) != len(y) {
		return nil, fmt.Errorf("metrics: %d rows, %d labels, %d weights", len(X), len(y), len(weights))
	}
	if !(lambda > 0) {
		return nil, fmt.Errorf("metrics: lambda = %g, must be above 0", lambda)
	}
	var rows []row
	for i, x := range X {
		if y[i] != 0 && y[i] != 1 {
			continue
		}
		if len(x) != len(X[0]) {
			return nil, fmt.Errorf("metrics: row %d has %d features, the first %d", i, len(x), len(X[0]))
		}
		for _, v := range x {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return nil, fmt.Errorf("metrics: row %d: feature is not finite", i)
			}
		}
		r := row{x, float64(y[i]), 1}
		if weights != nil {
			r.w = weights[i]
		}
		rows = append(rows, r)
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("metrics: no row has a known label")
	}
	return newton(rows, len(X[0]), lambda)
}

type row struct {
	x    []float64
	y, w float64
}

func (r row) margin(beta []float64) float64 {
	z := beta[len(r.x)]
	for j, v := range r.x {
		z += beta[j] * v
	}
	return z
}

// newton halves a step that does not lower the loss; the loss is convex, so the only answer is found.
func newton(rows []row, d int, lambda float64) (*Logistic, error) {
	const steps, tolerance = 100, 1e-10
	beta := make([]float64, d+1)
	loss := logLoss(rows, beta, lambda)
	for range steps {
		gradient, hessian := derivatives(rows, beta, lambda)
		step, err := solve(hessian, gradient)
		if err != nil {
			return nil, err
		}
		size := 0.0
		for scale := 1.0; scale > 1e-9; scale /= 2 {
			next := make([]float64, d+1)
			for j := range next {
				next[j] = beta[j] - scale*step[j]
			}
			if l := logLoss(rows, next, lambda); l <= loss {
				for j := range step {
					size = max(size, math.Abs(scale*step[j]))
				}
				beta, loss = next, l
				break
			}
		}
		if size < tolerance {
			break
		}
	}
	return &Logistic{beta[:d], beta[d]}, nil
}

func logLoss(rows []row, beta []float64, lambda float64) (loss float64) {
	for _, r := range rows {
		z := r.margin(beta)
		loss += r.w * (max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) - r.y*z)
	}
	for _, b := range beta[:len(beta)-1] {
		loss += lambda / 2 * b * b
	}
	return loss
}

// derivatives returns the gradient and the Hessian's lower triangle. A sliver on the intercept keeps the Hessian
// positive definite when every probability has saturated.
func derivatives(rows []row, beta []float64, lambda float64) (g []float64, h [][]float64) {
	d := len(beta) - 1
	g, h = make([]float64, d+1), grid(d+1, d+1)
	for _, r := range rows {
		p := sigmoid(r.margin(beta))
		e, c := r.w*(p-r.y), r.w*p*(1-p)
		for j, v := range r.x {
			g[j] += e * v
			if cv := c * v; cv != 0 {
				for k, u := range r.x[:j+1] {
					h[j][k] += cv * u
				}
				h[d][j] += cv
			}
		}
		g[d] += e
		h[d][d] += c
	}
	for j := range d {
		g[j] += lambda * beta[j]
		h[j][j] += lambda
	}
	h[d][d] += 1e-12
	return g, h
}

// solve factors the symmetric positive definite h in place (Cholesky) and returns h⁻¹ g.
func solve(h [][]float64, g []float64) ([]float64, error) {
	x := append([]float64(nil), g...)
	for i := range h {
		for j := 0; j <= i; j++ {
			sum := h[i][j]
			for k := range j {
				sum -= h[i][k] * h[j][k]
			}
			if i == j {
				if !(sum > 0) {
					return nil, fmt.Errorf("metrics: logistic regression: singular at feature %d", i)
				}
				h[i][i] = math.Sqrt(sum)
			} else {
				h[i][j] = sum / h[j][j]
			}
		}
		for k := range i {
			x[i] -= h[i][k] * x[k]
		}
		x[i] /= h[i][i]
	}
	for i := len(x) - 1; i >= 0; i-- {
		for k := i + 1; k < len(x); k++ {
			x[i] -= h[k][i] * x[k]
		}
		x[i] /= h[i][i]
	}
	return x, nil
}

// Probability is the model's P(1) for one row.
func (l *Logistic) Probability(x []float64) float64 {
	return sigmoid(row{x: x}.margin(append(append([]float64(nil), l.Coef...), l.Intercept)))
}
