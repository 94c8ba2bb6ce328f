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
	"slices"
	"sync"
)

// ErrNaN is wrapped by every error about a score that is not a number.
var ErrNaN = errors.New("score is not a number")

// Missing marks an unknown label; any value other than 0 and 1 means the same.
const Missing int8 = -1

// AUC is the area under the ROC curve: P(positive scores higher) + P(tie)/2. It counts pairs in integers (Mann and
// Whitney's U by midranks), so the value is exact to one rounding. ok is false when a class is empty.
func AUC(y []int8, s []float64) (auc float64, ok bool, err error) {
	room := rooms.Get().(*[]rankedRow)
	defer rooms.Put(room)
	*room = slices.Grow((*room)[:0], 2*len(y))[:2*len(y)]
	r, err := rank(y, s, *room)
	if err != nil {
		return 0, false, err
	}
	auc, ok = r.AUC()
	return auc, ok, nil
}

// rooms hold what is sorted for an AUC alone.
var rooms = sync.Pool{New: func() any { return new([]rankedRow) }}

// Ranked is one label's known rows in ascending order of score, equal scores by row.
type Ranked struct {
	rows     []rankedRow
	Pos, Neg int
}

// Rank sorts the known rows of one label once, in O(n) passes over the scores' bits. len(y) must equal len(s).
func Rank(y []int8, s []float64) (Ranked, error) { return rank(y, s, make([]rankedRow, 2*len(y))) }

func rank(y []int8, s []float64, room []rankedRow) (Ranked, error) {
	if len(y) != len(s) || len(y) > mostRows {
		return Ranked{}, fmt.Errorf("metrics: %d labels for %d scores: must be as many, at most %d", len(y), len(s), mostRows)
	}
	rows, positives, err := ascending(y, s, room)
	return Ranked{rows, positives, len(rows) - positives}, err
}

// ties calls each for every block of rows of the same score, from the lowest up.
func (r Ranked) ties(each func(tie []rankedRow, positives int)) {
	from, positives := 0, 0
	for i, p := range r.rows {
		positives += int(p >> 1 & 1)
		if p.TieEnd() {
			each(r.rows[from:i+1], positives)
			from, positives = i+1, 0
		}
	}
}

// TwoU is twice Mann and Whitney's U: 2 for each pair with the positive above, 1 for each tie.
func (r Ranked) TwoU() int64 {
	var twoU, below, pos, rows int64 // pos and rows of the tie
	for _, p := range r.rows {
		rows++
		pos += int64(p >> 1 & 1)
		if p.TieEnd() {
			twoU += pos * (2*below + rows - pos)
			below += rows - pos
			pos, rows = 0, 0
		}
	}
	return twoU
}

// AUC is TwoU as a share of all pairs; ok is false when a class is empty.
func (r Ranked) AUC() (auc float64, ok bool) { return ofPairs(r.TwoU(), int64(r.Pos), int64(r.Neg)) }

func ofPairs(twoU, pos, neg int64) (auc float64, ok bool) {
	if pos == 0 || neg == 0 {
		return 0, false
	}
	return float64(twoU) / (2 * float64(pos) * float64(neg)), true
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
