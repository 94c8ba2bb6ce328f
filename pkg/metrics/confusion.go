package metrics

import (
	"fmt"
	"math"
)

var inf = math.Inf(1)

// Confusion counts one label's known rows at one threshold.
type Confusion struct {
	TP int `json:"tp"`
	FP int `json:"fp"`
	TN int `json:"tn"`
	FN int `json:"fn"`
}

// At counts with present = score >= threshold. Rows with an unknown label are left out.
func At(y []int8, s []float64, threshold float64) (c Confusion, err error) {
	if len(y) != len(s) {
		return c, fmt.Errorf("metrics: %d labels for %d scores", len(y), len(s))
	}
	for i, v := range y {
		if v != 0 && v != 1 {
			continue
		}
		if math.IsNaN(s[i]) {
			return c, fmt.Errorf("metrics: row %d: %w", i, ErrNaN)
		}
		c.Add(v == 1, s[i] >= threshold)
	}
	return c, nil
}

// Agree counts predicted labels against the truth; rows where either is unknown are left out.
func Agree(truth, predicted []int8) (c Confusion, err error) {
	if len(truth) != len(predicted) {
		return c, fmt.Errorf("metrics: %d labels against %d", len(truth), len(predicted))
	}
	for i, v := range truth {
		if p := predicted[i]; (v == 0 || v == 1) && (p == 0 || p == 1) {
			c.Add(v == 1, p == 1)
		}
	}
	return c, nil
}

// Add counts one row.
func (c *Confusion) Add(truth, predicted bool) {
	switch {
	case truth && predicted:
		c.TP++
	case truth:
		c.FN++
	case predicted:
		c.FP++
	default:
		c.TN++
	}
}

// AddAll counts the rows of another.
func (c *Confusion) AddAll(o Confusion) {
	c.TP, c.FP, c.TN, c.FN = c.TP+o.TP, c.FP+o.FP, c.TN+o.TN, c.FN+o.FN
}

// N is the number of rows counted.
func (c Confusion) N() int { return c.TP + c.FP + c.TN + c.FN }

// Rates are the figures of a confusion matrix; nil where the denominator is empty.
type Rates struct {
	Accuracy         *float64 `json:"accuracy"`
	BalancedAccuracy *float64 `json:"balanced_accuracy"` // mean of sensitivity and specificity
	Sensitivity      *float64 `json:"sensitivity"`
	Specificity      *float64 `json:"specificity"`
	Precision        *float64 `json:"precision"` // positive predictive value
	NPV              *float64 `json:"npv"`
	F1               *float64 `json:"f1"` // of the positive class
}

// Rates derives them all.
func (c Confusion) Rates() Rates {
	r := Rates{
		Accuracy:    ratio(c.TP+c.TN, c.N()),
		Sensitivity: ratio(c.TP, c.TP+c.FN),
		Specificity: ratio(c.TN, c.TN+c.FP),
		Precision:   ratio(c.TP, c.TP+c.FP),
		NPV:         ratio(c.TN, c.TN+c.FN),
		F1:          ratio(2*c.TP, 2*c.TP+c.FP+c.FN),
	}
	if r.Sensitivity != nil && r.Specificity != nil {
		r.BalancedAccuracy = Defined((*r.Sensitivity+*r.Specificity)/2, true)
	}
	return r
}

// F1Weighted is the mean of the F1 of present and of absent, weighted by rows, 0/0 = 0; nil without rows.
func (c Confusion) F1Weighted() *float64 {
	present, absent := c.Rates().F1, Confusion{TP: c.TN, FP: c.FN, FN: c.FP}.Rates().F1
	pos, neg := float64(c.TP+c.FN), float64(c.TN+c.FP)
	return Defined((pos*orZero(present)+neg*orZero(absent))/(pos+neg), c.N() > 0)
}

// MCC is Matthews' correlation; nil where a class is empty in truth or prediction.
func (c Confusion) MCC() *float64 {
	tp, fp, tn, fn := float64(c.TP), float64(c.FP), float64(c.TN), float64(c.FN)
	d := (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
	return Defined((tp*tn-fp*fn)/math.Sqrt(d), d > 0)
}

func ratio(a, b int) *float64 { return Defined(float64(a)/float64(b), b > 0) }

// Wilson is the 95 % score interval of a share k of n (Wilson 1927), for rows that are independent; nil when n is 0.
func Wilson(k, n int) *[2]float64 {
	if n == 0 {
		return nil
	}
	p, m, z2 := float64(k)/float64(n), float64(n), Z95*Z95
	centre := (p + z2/(2*m)) / (1 + z2/m)
	half := Z95 / (1 + z2/m) * math.Sqrt(p*(1-p)/m+z2/(4*m*m))
	return &[2]float64{max(0, centre-half), min(1, centre+half)}
}
