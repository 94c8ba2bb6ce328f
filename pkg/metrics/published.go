package metrics

import "math"

// Published is one label by the arithmetic that CT-CLIP's evaluation script established (Hamamci et al., arXiv
// 2403.17834) and fVLM's and MPS-CT's numbers follow. Its threshold is chosen on the very rows that it is judged by, and
// its F1 is weighted over present and absent: numbers to compare with published ones, not results. Nil where a class is
// empty, where the script stops.
type Published struct {
	Status      string   `json:"status"` // "ok" or "undefined"
	N           int      `json:"n"`
	NPos        int      `json:"n_pos"`
	AUC         *float64 `json:"auc"`
	Threshold   *float64 `json:"threshold"`
	F1Weighted  *float64 `json:"f1_weighted"`
	Accuracy    *float64 `json:"accuracy"`
	Precision   *float64 `json:"precision"` // 0 where nothing is said to be present
	Sensitivity *float64 `json:"sensitivity"`
	Specificity *float64 `json:"specificity"`
}

// NewPublished computes it. A score of exactly the threshold is absent.
func NewPublished(y []int8, s []float64) (p Published, err error) {
	r, err := Rank(y, s)
	p = Published{Status: "undefined", N: r.Pos + r.Neg, NPos: r.Pos}
	if err != nil || r.Pos == 0 || r.Neg == 0 {
		return p, err
	}
	p.Status = "ok"
	p.AUC = Defined(r.AUC())
	threshold, c := nearestCorner(y, s)
	rates := c.Rates()
	p.Threshold, p.F1Weighted, p.Accuracy = &threshold, c.F1Weighted(), rates.Accuracy
	p.Precision = Defined(orZero(rates.Precision), true)
	p.Sensitivity, p.Specificity = rates.Sensitivity, rates.Specificity
	return p, nil
}

// nearestCorner tries numpy's linspace(0, 1, 100), s > t, for the least distance to sensitivity 1 and specificity 1 in
// ROC space; of equal distances the last.
func nearestCorner(y []int8, s []float64) (threshold float64, at Confusion) {
	best := inf
	for i := range 100 {
		t := float64(i) * (1. / 99)
		if i == 99 {
			t = 1
		}
		var c Confusion
		for k, v := range y {
			if known(v) {
				c.Add(v == 1, s[k] > t)
			}
		}
		miss, false_ := 1-float64(c.TP)/float64(c.TP+c.FN), float64(c.FP)/float64(c.FP+c.TN)
		if d := math.Sqrt(float64(miss*miss) + float64(false_*false_)); d <= best { // the conversions forbid fusing
			best, threshold, at = d, t, c
		}
	}
	return threshold, at
}

// PublishedSummary is a whole evaluation by that arithmetic.
type PublishedSummary struct {
	NRows  int                  `json:"n_rows"`
	Labels map[string]Published `json:"labels"`
	Macro  PublishedMacro       `json:"macro"`
}

// PublishedMacro holds the unweighted means over the labels that are defined.
type PublishedMacro struct {
	AUC         *float64 `json:"auc"`
	F1Weighted  *float64 `json:"f1_weighted"`
	Accuracy    *float64 `json:"accuracy"`
	Precision   *float64 `json:"precision"`
	Sensitivity *float64 `json:"sensitivity"`
	Specificity *float64 `json:"specificity"`
	NLabels     int      `json:"n_labels"`
}

// Published evaluates every finding by it.
func (t Scores) Published() (*PublishedSummary, error) {
	if err := t.check(nil); err != nil {
		return nil, err
	}
	out := &PublishedSummary{NRows: len(t.Y[0]), Labels: map[string]Published{}}
	var all [6][]*float64
	for f, name := range t.Findings {
		p, err := NewPublished(t.Y[f], t.S[f])
		if err != nil {
			return nil, err
		}
		out.Labels[name] = p
		for i, v := range []*float64{p.AUC, p.F1Weighted, p.Accuracy, p.Precision, p.Sensitivity, p.Specificity} {
			all[i] = append(all[i], v)
		}
	}
	m := &out.Macro
	for i, to := range []**float64{&m.AUC, &m.F1Weighted, &m.Accuracy, &m.Precision, &m.Sensitivity, &m.Specificity} {
		mean, n, ok := Macro(all[i])
		*to, m.NLabels = Defined(mean, ok), n
	}
	return out, nil
}
