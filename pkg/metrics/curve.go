package metrics

import "slices"

// Point is one corner of an ROC curve.
type Point struct {
	FPR       float64 `json:"fpr"`
	TPR       float64 `json:"tpr"`
	Threshold float64 `json:"-"` // predict present at score >= Threshold; +Inf at the origin, hence not in JSON
}

// curve calls at once for each distinct score from the highest down, with the counts at score >= threshold.
func (r Ranked) curve(s []float64, at func(threshold float64, tp, fp int)) {
	tp, fp := 0, 0
	for i, p := range slices.Backward(r.rows) {
		if p.Positive() {
			tp++
		} else {
			fp++
		}
		if i == 0 || r.rows[i-1].TieEnd() {
			at(s[p.Row()], tp, fp)
		}
	}
}

// AveragePrecision is the sum of (R_n - R_n-1) P_n over distinct thresholds, ties as one block, no interpolation. It is
// undefined without positives; print the prevalence beside it, which is its chance level.
func AveragePrecision(y []int8, s []float64) (ap float64, ok bool, err error) {
	r, err := Rank(y, s)
	if err != nil || r.Pos == 0 {
		return 0, false, err
	}
	return r.averagePrecision(s), true, nil
}

func (r Ranked) averagePrecision(s []float64) (ap float64) {
	last := 0
	r.curve(s, func(_ float64, tp, fp int) {
		ap += float64(tp-last) / float64(r.Pos) * float64(tp) / float64(tp+fp)
		last = tp
	})
	return ap
}

// Youden is the threshold of the largest J = sensitivity + specificity - 1, the highest such threshold on ties (compared
// in integers). It is undefined when a class is empty. A threshold belongs to the rows it was chosen on: choose it on
// training or validation rows, never on those it is then judged by.
func Youden(y []int8, s []float64) (threshold, j float64, ok bool, err error) {
	r, err := Rank(y, s)
	if err != nil || r.Pos == 0 || r.Neg == 0 {
		return 0, 0, false, err
	}
	threshold, j = r.youden(s)
	return threshold, j, true, nil
}

func (r Ranked) youden(s []float64) (threshold, j float64) {
	best, first := 0, true
	r.curve(s, func(t float64, tp, fp int) {
		if v := tp*r.Neg - fp*r.Pos; first || v > best {
			best, threshold, first = v, t, false
		}
	})
	return threshold, float64(best) / (float64(r.Pos) * float64(r.Neg))
}

// ROC is the curve from (0,0) to (1,1) in at most limit corners (at least 2; 0 means 200). Corners on a straight line
// are dropped first; above the limit, evenly by position along the curve. Nil when a class is empty.
func ROC(y []int8, s []float64, limit int) ([]Point, error) {
	r, err := Rank(y, s)
	if err != nil || r.Pos == 0 || r.Neg == 0 {
		return nil, err
	}
	type corner struct {
		fp, tp int
		t      float64
	}
	all := []corner{{0, 0, inf}}
	r.curve(s, func(t float64, tp, fp int) {
		if n := len(all); n >= 2 {
			a, b := all[n-2], all[n-1]
			if (b.fp-a.fp)*(tp-b.tp) == (fp-b.fp)*(b.tp-a.tp) {
				all = all[:n-1]
			}
		}
		all = append(all, corner{fp, tp, t})
	})
	points := make([]Point, len(all))
	for i, c := range all {
		points[i] = Point{float64(c.fp) / float64(r.Neg), float64(c.tp) / float64(r.Pos), c.t}
	}
	return thin(points, limit), nil
}

// thin keeps the corners that lie nearest to equal steps of FPR+TPR, both ends always.
func thin(p []Point, limit int) []Point {
	if limit <= 0 {
		limit = 200
	}
	limit = max(limit, 2)
	if len(p) <= limit {
		return p
	}
	kept := []Point{p[0]}
	for i := 1; i < len(p)-1; i++ {
		next := 2 * float64(len(kept)) / float64(limit-1)
		if p[i].FPR+p[i].TPR >= next && len(kept) < limit-1 {
			kept = append(kept, p[i])
		}
	}
	return append(kept, p[len(p)-1])
}
