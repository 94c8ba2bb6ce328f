package metrics

import (
	"fmt"
	"math"
)

// ReviewedRows says what people found in some of the rows whose other labels a labeler made: "silver", which is not the truth.
type ReviewedRows struct {
	Truth  [][]int8  // [finding][row]: 1, 0, else not reviewed
	Weight []float64 // of each row: rows that it stands for, 1/(its chance of being reviewed); nil: all had the same
}

// CorrectedScore holds a finding's prevalence and AUC as silver labels have them, and what they are in truth. Rows count
// where their silver label is known. The intervals are by patient, over both who is in the table and who was reviewed.
type CorrectedScore struct {
	NReviewed    int                 `json:"n_reviewed"`
	NReviewedPos int                 `json:"n_reviewed_pos"`
	Prevalence   CorrectedPrevalence `json:"prevalence"`
	AUC          CorrectedAUC        `json:"auc"`
}

// CorrectedPrevalence is a share of rows.
type CorrectedPrevalence struct {
	Silver Interval `json:"silver"`
	// RoganGladen takes the sensitivity and specificity of the silver labels from the reviewed rows (Am. J. Epidemiol. 1978):
	// (silver + specificity - 1) / (sensitivity + specificity - 1), cut to [0,1]; undefined where that divides by 0 or less.
	RoganGladen Interval `json:"rogan_gladen"`
	PPI         Interval `json:"ppi"` // without ends where the reviewed rows are all present or all absent
}

// CorrectedAUC is an AUC.
type CorrectedAUC struct {
	Silver   Interval `json:"silver"`
	Reviewed Interval `json:"reviewed"` // of the reviewed rows alone
	PPI      Interval `json:"ppi"`
}

// corrected computes them, one finding after the other. PPI is prediction-powered inference (Angelopoulos and others, Science
// 2023; the weight of the silver labels as in PPI++, arXiv 2311.01453): the reviewed rows' figure, less as much of what
// silver labels say otherwise in these rows than in all as makes its variance least.
func (t Scores) corrected(clusters Clusters, o Resampling) (map[string]CorrectedScore, error) {
	out := map[string]CorrectedScore{}
	for f, name := range t.Findings {
		if t.Reviewed.Truth[f] == nil || t.S[f] == nil {
			continue
		}
		c, err := t.correct(f, clusters, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = c
	}
	return out, nil
}

func (t Scores) correct(f int, clusters Clusters, o Resampling) (c CorrectedScore, err error) {
	silver, rows := t.Y[f], len(t.Y[f])
	truth, seen, weight := make([]int8, rows), make([]int8, rows), make([]float64, rows)
	sums := grid(6, clusters.N) // silver rows, silver positives, and by weight: hits, missed, false, right
	for i, y := range silver {
		at := clusters.Of[i]
		truth[i], seen[i] = Missing, Missing
		if !known(y) {
			continue
		}
		sums[0][at]++
		sums[1][at] += float64(y)
		v := t.Reviewed.Truth[f][i]
		if !known(v) {
			continue
		}
		c.NReviewed++
		c.NReviewedPos += int(v)
		truth[i], seen[i], weight[i] = v, y, 1
		if t.Reviewed.Weight != nil {
			weight[i] = t.Reviewed.Weight[i]
		}
		sums[5-2*int(v)-int(y)][at] += weight[i]
	}
	auc, err := AUCStatistic(silver, t.S[f], clusters)
	if err != nil {
		return c, err
	}
	ofTruth, err := weightedAUC(truth, t.S[f], weight, clusters)
	if err != nil {
		return c, err
	}
	ofSeen, _ := weightedAUC(seen, t.S[f], weight, clusters)
	share := func(of func(v []float64) (part, all float64)) Statistic {
		return &sumStatistic{sums, func(v []float64) (float64, bool) {
			part, all := of(v)
			return part / all, all > 0
		}}
	}
	r, err := Bootstrap(clusters.N, []Statistic{
		share(func(v []float64) (part, all float64) { return v[1], v[0] }),
		share(func(v []float64) (part, all float64) { return v[2] + v[3], v[2] + v[3] + v[4] + v[5] }),
		share(func(v []float64) (part, all float64) { return v[2] + v[4], v[2] + v[3] + v[4] + v[5] }),
		&sumStatistic{sums, roganGladen},
		auc, ofTruth, ofSeen,
	}, o)
	if err != nil {
		return c, err
	}
	c.Prevalence = CorrectedPrevalence{Silver: r.Interval(0), RoganGladen: r.Interval(3), PPI: r.powered(1, 2, 0)}
	if c.NReviewedPos == 0 || c.NReviewedPos == c.NReviewed {
		c.Prevalence.PPI = Interval{Value: c.Prevalence.PPI.Value} // every resample says the same, which proves nothing
	}
	c.AUC = CorrectedAUC{Silver: r.Interval(4), Reviewed: r.reviewed(func(column func(i int) float64) float64 { return column(5) }), PPI: r.powered(5, 6, 4)}
	return c, nil
}

func roganGladen(v []float64) (float64, bool) {
	pos, neg := v[2]+v[3], v[4]+v[5]
	youden := v[2]/pos + v[5]/neg - 1
	return min(1, max(0, (v[1]/v[0]+v[5]/neg-1)/youden)), pos > 0 && neg > 0 && v[0] > 0 && youden > 0
}

// powered is the interval of a figure of the reviewed rows, corrected by how far the same figure of their silver labels
// lies from that of all silver labels.
func (r *Replicates) powered(reviewed, silver, all int) Interval {
	var cross, square float64
	for c := range r.Clusters {
		g := r.jackknife[reviewed][c] - r.full[reviewed]
		h := r.jackknife[silver][c] - r.jackknife[all][c] - (r.full[silver] - r.full[all])
		if v := g * h; !math.IsNaN(v) {
			cross, square = cross+v, square+h*h
		}
	}
	lambda := 0.0
	if square > 0 {
		lambda = min(1, max(0, cross/square))
	}
	return r.reviewed(func(column func(i int) float64) float64 {
		return min(1, max(0, column(reviewed)-lambda*(column(silver)-column(all))))
	})
}
