package metrics

import (
	"fmt"
	"math"
)

// PairedScore compares two scores of one finding on the same rows.
type PairedScore struct {
	AUCA       *float64     `json:"auc_a"`
	AUCB       *float64     `json:"auc_b"`
	Difference *float64     `json:"auc_diff"` // a - b
	Cov        *float64     `json:"auc_cov"`
	Z          *float64     `json:"z"`
	P          *float64     `json:"p"`      // DeLong's, two-sided
	Holm       *float64     `json:"p_holm"` // corrected over the findings whose p is defined
	McNemar    McNemarScore `json:"mcnemar"`
}

// McNemarScore is McNemar's test of present = score >= 0.5.
type McNemarScore struct {
	B    int     `json:"b"` // only a is right
	C    int     `json:"c"` // only b is right
	P    float64 `json:"p_exact"`
	Chi2 float64 `json:"p_chi2_cc"`
}

// paired tests these scores against other, finding by finding; nil without other.
func (t Scores) paired(other [][]float64) (map[string]PairedScore, error) {
	if other == nil {
		return nil, nil
	}
	all, ps, tested := make([]PairedScore, len(t.Findings)), []float64(nil), []int(nil)
	for f, name := range t.Findings {
		if t.S[f] == nil || other[f] == nil {
			continue
		}
		p := &all[f]
		test, ok, err := DeLongPaired(t.Y[f], t.S[f], other[f])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		p.Cov = Defined(test.Cov, ok)
		if ok && !math.IsNaN(test.P) {
			p.Z, p.P = &test.Z, &test.P
			ps, tested = append(ps, test.P), append(tested, f)
		}
		a, okA, _ := AUC(t.Y[f], t.S[f])
		b, okB, _ := AUC(t.Y[f], other[f])
		p.AUCA, p.AUCB, p.Difference = Defined(a, okA), Defined(b, okB), Defined(a-b, okA && okB)
		m := NewMcNemar(t.Y[f], present(t.S[f]), present(other[f]))
		p.McNemar = McNemarScore{m.OnlyA, m.OnlyB, m.P, m.Chi2}
	}
	for i, holm := range Holm(ps) {
		all[tested[i]].Holm = &holm
	}
	out := map[string]PairedScore{}
	for f, name := range t.Findings {
		out[name] = all[f]
	}
	return out, nil
}

func present(s []float64) []int8 {
	out := make([]int8, len(s))
	for i, v := range s {
		if v >= 0.5 {
			out[i] = 1
		}
	}
	return out
}
