// Package metrics computes the figures an evaluation prints: discrimination, calibration, retrieval, their intervals and
// the level that chance alone would reach.
//
// Everything here is a plain function on slices. Labels are int8: 1 present, 0 absent, any other value unknown; unknown
// rows are left out of that label. Scores are float64 and higher means more likely; a NaN score is an error (ErrNaN),
// because no order holds it. What the data cannot say (an AUC without negatives, a rate of nothing) is undefined: ok is
// false or the pointer nil, in JSON null, never 0 or NaN. Results do not depend on the number of goroutines.
package metrics

import (
	"errors"
	"fmt"
	"math"
)

// ErrNaN is wrapped by every error about a score that is not a number.
var ErrNaN = errors.New("score is not a number")

// Missing marks an unknown label; any value other than 0 and 1 means the same.
const Missing int8 = -1

// AUC is the area under the ROC curve: P(positive scores higher) + P(tie)/2. It counts pairs in integers (Mann and
// Whitney's U by midranks), so the value is exact to one rounding. ok is false when a class is empty.
func AUC(y []int8, s []float64) (auc float64, ok bool, err error) {
	r, err := Rank(y, s)
	if err != nil {
		return 0, false, err
	}
	auc, ok = r.AUC()
	return auc, ok, nil
}

// Ranked is one label's known rows in ascending order of score.
type Ranked struct {
	Row      []int32 // row of y and s
	Positive []bool
	TieEnd   []bool // the next row has a higher score
	Pos, Neg int
}

// Rank sorts the known rows of one label once, in O(n) passes over the scores' bits. len(y) must equal len(s).
func Rank(y []int8, s []float64) (Ranked, error) {
	if len(y) != len(s) {
		return Ranked{}, fmt.Errorf("metrics: %d labels for %d scores", len(y), len(s))
	}
	keys := make([]entry, 0, len(y))
	for i, v := range y {
		if v != 0 && v != 1 {
			continue
		}
		if math.IsNaN(s[i]) {
			return Ranked{}, fmt.Errorf("metrics: row %d: %w", i, ErrNaN)
		}
		keys = append(keys, entry{sortable(s[i]), int32(i)})
	}
	keys = radixSort(keys)
	r := Ranked{Row: make([]int32, len(keys)), Positive: make([]bool, len(keys)), TieEnd: make([]bool, len(keys))}
	for i, k := range keys {
		r.Row[i] = k.row
		r.TieEnd[i] = i+1 == len(keys) || keys[i+1].key != k.key
		if y[k.row] == 1 {
			r.Positive[i] = true
			r.Pos++
		}
	}
	r.Neg = len(keys) - r.Pos
	return r, nil
}

// TwoU is twice Mann and Whitney's U: 2 for each pair with the positive above, 1 for each tie.
func (r Ranked) TwoU() int64 {
	var twoU, below, pos, neg int64
	for i, positive := range r.Positive {
		if positive {
			pos++
		} else {
			neg++
		}
		if r.TieEnd[i] {
			twoU += pos * (2*below + neg)
			below += neg
			pos, neg = 0, 0
		}
	}
	return twoU
}

// AUC is TwoU as a share of all pairs; ok is false when a class is empty.
func (r Ranked) AUC() (auc float64, ok bool) {
	if r.Pos == 0 || r.Neg == 0 {
		return 0, false
	}
	return float64(r.TwoU()) / (2 * float64(r.Pos) * float64(r.Neg)), true
}

// Macro is the unweighted mean over the defined values, and how many there were; ok is false when there were none.
func Macro(values []*float64) (mean float64, n int, ok bool) {
	sum := 0.0
	for _, v := range values {
		if v != nil {
			sum += *v
			n++
		}
	}
	if n == 0 {
		return 0, 0, false
	}
	return sum / float64(n), n, true
}

// Defined is v behind a pointer where ok, else nil: the form in which results carry a figure that may be undefined.
func Defined(v float64, ok bool) *float64 {
	if !ok {
		return nil
	}
	return &v
}
