package metrics

import (
	"fmt"
	"math"
)

// Z95 is the 97.5 % quantile of the normal distribution: the half-width of a 95 % interval in standard errors.
const Z95 = 1.959963984540054

// Placement holds DeLong's structural components of one score: for each known row, in the order of y, the share of the
// other class that it beats (positives) or is beaten by (negatives), ties half.
type Placement struct {
	AUC      float64
	Pos, Neg []float64
}

// Place computes the components in O(n log n) by midranks (DeLong 1988; Sun and Xu, IEEE Signal Process. Lett. 2014).
// Both slices are empty when a class is.
func Place(y []int8, s []float64) (Placement, error) {
	p, _, err := place(y, s)
	return p, err
}

func place(y []int8, s []float64) (Placement, Ranked, error) {
	r, err := Rank(y, s)
	if err != nil {
		return Placement{}, r, err
	}
	auc, ok := r.AUC()
	if !ok {
		return Placement{}, r, nil
	}
	share := make([]float64, len(y))
	var negBelow, posBelow int
	r.ties(func(tie []rankedRow, pos int) {
		neg := len(tie) - pos
		for _, p := range tie {
			if p.Positive() {
				share[p.Row()] = float64(2*negBelow+neg) / (2 * float64(r.Neg))
			} else {
				share[p.Row()] = float64(2*(r.Pos-posBelow)-pos) / (2 * float64(r.Pos))
			}
		}
		negBelow, posBelow = negBelow+neg, posBelow+pos
	})
	p := Placement{AUC: auc, Pos: make([]float64, 0, r.Pos), Neg: make([]float64, 0, r.Neg)}
	for i, v := range y {
		switch v {
		case 1:
			p.Pos = append(p.Pos, share[i])
		case 0:
			p.Neg = append(p.Neg, share[i])
		}
	}
	return p, r, nil
}

// Covariance is DeLong's covariance of two AUCs measured on the same rows; Covariance(p, p) is the variance. It is
// undefined below two rows a class.
func Covariance(a, b Placement) (cov float64, ok bool) {
	if len(a.Pos) < 2 || len(a.Neg) < 2 || len(a.Pos) != len(b.Pos) || len(a.Neg) != len(b.Neg) {
		return 0, false
	}
	return cross(a.Pos, b.Pos, a.AUC, b.AUC)/float64(len(a.Pos)) + cross(a.Neg, b.Neg, a.AUC, b.AUC)/float64(len(a.Neg)), true
}

func cross(a, b []float64, meanA, meanB float64) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - meanA) * (b[i] - meanB)
	}
	return sum / float64(len(a)-1)
}

// DeLong is one AUC with its variance and its 95 % intervals.
type DeLong struct {
	AUC    *float64    `json:"auc"`
	Var    *float64    `json:"auc_var"`
	Normal *[2]float64 `json:"auc_ci_delong"` // AUC ± 1.96 SE, cut to [0,1]
	Logit  *[2]float64 `json:"auc_ci_logit"`  // the same on the logit scale: never leaves (0,1); nil at AUC 0 or 1
}

// DeLongAUC computes the AUC and, from two rows a class on, its variance and intervals.
func DeLongAUC(y []int8, s []float64) (DeLong, error) {
	p, err := Place(y, s)
	return p.interval(), err
}

func (p Placement) interval() (d DeLong) {
	if len(p.Pos) == 0 {
		return d
	}
	d.AUC = &p.AUC
	variance, ok := Covariance(p, p)
	if !ok {
		return d
	}
	half := Z95 * math.Sqrt(variance)
	d.Var = &variance
	d.Normal = &[2]float64{max(0, p.AUC-half), min(1, p.AUC+half)}
	d.Logit = logitEnds(p.AUC, half)
	return d
}

// logitEnds has an interval of half that width around a share made on the logit scale. Nil at 0 and 1, and where half is NaN.
func logitEnds(share, half float64) *[2]float64 {
	if share <= 0 || share >= 1 || math.IsNaN(half) {
		return nil
	}
	at := math.Log(share / (1 - share))
	half /= share * (1 - share)
	return &[2]float64{sigmoid(at - half), sigmoid(at + half)}
}

// Paired compares two scores on the same rows.
type Paired struct {
	A, B float64 // AUCs
	Cov  float64
	Z, P float64 // two-sided; P is 1 for scores of identical order, both NaN for AUCs that differ without any variance
}

// DeLongPaired tests the difference of two correlated AUCs; ok is false below two rows a class.
func DeLongPaired(y []int8, a, b []float64) (p Paired, ok bool, err error) {
	pa, err := Place(y, a)
	if err != nil {
		return Paired{}, false, fmt.Errorf("first score: %w", err)
	}
	pb, err := Place(y, b)
	if err != nil {
		return Paired{}, false, fmt.Errorf("second score: %w", err)
	}
	cov, ok := Covariance(pa, pb)
	if !ok {
		return Paired{}, false, nil
	}
	va, _ := Covariance(pa, pa)
	vb, _ := Covariance(pb, pb)
	p = Paired{A: pa.AUC, B: pb.AUC, Cov: cov, P: 1}
	if d := va + vb - 2*cov; d > 0 {
		p.Z = (pa.AUC - pb.AUC) / math.Sqrt(d)
		p.P = math.Erfc(math.Abs(p.Z) / math.Sqrt2)
	} else if p.A != p.B {
		p.Z, p.P = math.NaN(), math.NaN()
	}
	return p, true, nil
}

func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}
