package metrics

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"
)

// Agreement is how far two labelers agree on one finding, both present or absent.
type Agreement struct {
	N         int      `json:"n"`
	Agreement *float64 `json:"agreement"` // share of rows
	Kappa     *float64 `json:"kappa"`     // Cohen 1960; nil where chance alone agrees always
	PABAK     *float64 `json:"pabak"`     // prevalence and bias adjusted: 2 * agreement - 1 (Byrt, Bishop and Carlin 1993)
}

// Agreement takes the counts with one labeler in the place of the truth.
func (c Confusion) Agreement() Agreement {
	n := float64(c.N())
	a := Agreement{N: c.N(), Agreement: ratio(c.TP+c.TN, c.N())}
	if a.Agreement == nil {
		return a
	}
	chance := (float64(c.TP+c.FN)*float64(c.TP+c.FP) + float64(c.TN+c.FP)*float64(c.TN+c.FN)) / (n * n)
	a.Kappa = Defined((*a.Agreement-chance)/(1-chance), chance < 1)
	a.PABAK = Defined(2**a.Agreement-1, true)
	return a
}

// McNemar is a paired comparison of two labelers against the truth.
type McNemar struct {
	OnlyA int     `json:"only_a_right"`
	OnlyB int     `json:"only_b_right"`
	P     float64 `json:"p_exact"` // two-sided, of a binomial with a half; 1 where they never differ
	Chi2  float64 `json:"-"`       // p by the chi-square with Edwards' correction (Psychometrika 1948); 1 where they never differ
	Holm  float64 `json:"p_holm"`  // corrected over the findings by Holm; set by Holm
}

// NewMcNemar compares them on the rows where all three are 1 or 0.
func NewMcNemar(truth, a, b []int8) (m McNemar) {
	for i, t := range truth {
		if !known(t) || !known(a[i]) || !known(b[i]) || a[i] == b[i] {
			continue
		}
		if a[i] == t {
			m.OnlyA++
		} else {
			m.OnlyB++
		}
	}
	m.P, m.Chi2 = 1, 1
	if d, n := math.Abs(float64(m.OnlyA-m.OnlyB))-1, float64(m.OnlyA+m.OnlyB); n > 0 {
		m.Chi2 = math.Erfc(math.Abs(d) / math.Sqrt(2*n)) // of one degree of freedom
	}
	if k, n := float64(min(m.OnlyA, m.OnlyB)), float64(m.OnlyA+m.OnlyB); 2*k < n {
		m.P = min(1, 2*mathext.RegIncBeta(n-k, k+1, 0.5))
	}
	m.Holm = m.P
	return m
}

func known(v int8) bool { return v == 0 || v == 1 }

// Holm corrects the p-values of a family of tests (Holm 1979).
func Holm(p []float64) []float64 {
	order, out := make([]int, len(p)), make([]float64, len(p))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[a], p[b]) })
	worst := 0.0
	for rank, i := range order {
		worst = max(worst, min(1, p[i]*float64(len(p)-rank)))
		out[i] = worst
	}
	return out
}

// Entropy is the bits of surprise in a coin that shows heads with probability p.
func Entropy(p float64) float64 {
	if p <= 0 || p >= 1 {
		return 0
	}
	return -p*math.Log2(p) - (1-p)*math.Log2(1-p)
}
