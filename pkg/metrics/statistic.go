package metrics

import (
	"fmt"
	"math"
	"slices"
	"sync"
)

// aucStatistic is one label's AUC as a Statistic: its rows sorted once, then one pass of integers a replicate.
type aucStatistic struct {
	of            Clusters
	r             Ranked
	pos, neg      []int32    // clusters of the positive and of the negative rows, in ascending order of score
	first, behind []int32    // of each positive: negatives with a lower score, and with a lower or the same one
	sums          *sync.Pool // of *[]int64: running sums of negatives' weights
}

// AUCStatistic is the AUC of one label under resampling. of gives the cluster of each row of y and s.
func AUCStatistic(y []int8, s []float64, of Clusters) (Statistic, error) {
	r, err := Rank(y, s)
	if err != nil {
		return nil, err
	}
	if len(of.Of) != len(y) {
		return nil, fmt.Errorf("metrics: %d rows, clusters for %d", len(y), len(of.Of))
	}
	a := &aucStatistic{of: of, r: r, sums: &sync.Pool{New: func() any { s := make([]int64, r.Neg+1); return &s }}}
	below := int32(0)
	for _, p := range r.rows {
		if c := of.Of[p.Row()]; p.Positive() {
			a.pos, a.first = append(a.pos, c), append(a.first, below)
		} else {
			a.neg = append(a.neg, c)
		}
		if p.TieEnd() {
			below = int32(len(a.neg))
			for len(a.behind) < len(a.pos) {
				a.behind = append(a.behind, below)
			}
		}
	}
	return a, nil
}

func (a *aucStatistic) At(weight []int32) (float64, bool) {
	buffer := a.sums.Get().(*[]int64)
	defer a.sums.Put(buffer)
	sums, negatives := *buffer, int64(0)
	for i, c := range a.neg {
		negatives += int64(weight[c])
		sums[i+1] = negatives
	}
	var twoU, positives int64
	first, behind := a.first[:len(a.pos)], a.behind[:len(a.pos)]
	for i, c := range a.pos {
		w := int64(weight[c])
		positives += w
		twoU += w * (sums[first[i]] + sums[behind[i]])
	}
	return ofPairs(twoU, positives, negatives)
}

// Without takes from U the pairs that hold a row of the cluster: what its positives win of all negatives and its
// negatives lose to all positives, less what that counts twice, its rows among themselves.
func (a *aucStatistic) Without(value []float64) {
	type own struct{ pos, neg, twoU, below, tiedPos, tiedNeg int64 }
	clusters, r := make([]own, a.of.N), a.r
	below, above := int64(0), int64(r.Pos)
	r.ties(func(tie []rankedRow, positives int) {
		pos, neg := int64(positives), int64(len(tie)-positives)
		above -= pos
		for _, p := range tie {
			c := &clusters[a.of.Of[p.Row()]]
			if p.Positive() {
				c.pos, c.tiedPos, c.twoU = c.pos+1, c.tiedPos+1, c.twoU+2*below+neg
			} else {
				c.neg, c.tiedNeg, c.twoU = c.neg+1, c.tiedNeg+1, c.twoU+2*above+pos
			}
		}
		for _, p := range tie {
			c := &clusters[a.of.Of[p.Row()]]
			c.twoU -= c.tiedPos * (2*c.below + c.tiedNeg)
			c.below, c.tiedPos, c.tiedNeg = c.below+c.tiedNeg, 0, 0
		}
		below += neg
	})
	twoU := r.TwoU()
	for i, c := range clusters {
		value[i] = valueOrNaN(ofPairs(twoU-c.twoU, int64(r.Pos)-c.pos, int64(r.Neg)-c.neg))
	}
}

// weightedAUCStatistic is an AUC of rows that stand for several: of a sample, so few that it is computed anew each time.
type weightedAUCStatistic struct {
	of     Clusters
	r      Ranked
	weight []float64
}

// weightedAUC is the AUC of rows of these weights under resampling.
func weightedAUC(y []int8, s, weight []float64, of Clusters) (Statistic, error) {
	r, err := Rank(y, s)
	return &weightedAUCStatistic{of, r, weight}, err
}

func (a *weightedAUCStatistic) At(weight []int32) (float64, bool) {
	var u, positives, negatives, pos, neg float64 // pos and neg of the tie
	for _, p := range a.r.rows {
		row := p.Row()
		if w := float64(weight[a.of.Of[row]]) * a.weight[row]; p.Positive() {
			pos += w
		} else {
			neg += w
		}
		if p.TieEnd() {
			u += pos * (negatives + neg/2)
			positives, negatives = positives+pos, negatives+neg
			pos, neg = 0, 0
		}
	}
	return u / (positives * negatives), positives > 0 && negatives > 0
}

func (a *weightedAUCStatistic) Without(value []float64) {
	all := slices.Repeat([]int32{1}, a.of.N)
	whole := valueOrNaN(a.At(all))
	for c := range value {
		value[c] = whole
	}
	done := make([]bool, a.of.N)
	for _, p := range a.r.rows {
		if c := a.of.Of[p.Row()]; !done[c] {
			done[c], all[c] = true, 0
			value[c] = valueOrNaN(a.At(all))
			all[c] = 1
		}
	}
}

// sumStatistic is a figure of sums over clusters.
type sumStatistic struct {
	sums [][]float64 // [sum][cluster]
	of   func(sums []float64) (float64, bool)
}

func (s *sumStatistic) At(weight []int32) (float64, bool) {
	totals := make([]float64, len(s.sums))
	for i, sums := range s.sums {
		for c, w := range weight {
			totals[i] += float64(w) * sums[c]
		}
	}
	return s.of(totals)
}

func (s *sumStatistic) Without(value []float64) {
	totals, rest := make([]float64, len(s.sums)), make([]float64, len(s.sums))
	for i, sums := range s.sums {
		totals[i] = sum(sums)
	}
	for c := range value {
		for i, sums := range s.sums {
			rest[i] = totals[i] - sums[c]
		}
		value[c] = valueOrNaN(s.of(rest))
	}
}

// BalancedAccuracyStatistic resamples the balanced accuracy of predicted (present = 1) against the truth.
func BalancedAccuracyStatistic(truth, predicted []int8, of Clusters) (Statistic, error) {
	return RateStatistic(truth, predicted, of, func(r Rates) *float64 { return r.BalancedAccuracy })
}

// RateStatistic resamples any rate of predicted (present = 1) against the truth.
func RateStatistic(truth, predicted []int8, of Clusters, rate func(Rates) *float64) (Statistic, error) {
	if len(truth) != len(predicted) || len(truth) != len(of.Of) {
		return nil, fmt.Errorf("metrics: %d labels against %d in %d cluster rows", len(truth), len(predicted), len(of.Of))
	}
	counts := grid(4, of.N) // hits, missed, false, right
	for i, t := range truth {
		if p := predicted[i]; known(t) && known(p) {
			counts[3-2*t-p][of.Of[i]]++
		}
	}
	return &sumStatistic{counts, func(n []float64) (float64, bool) {
		r := rate(Confusion{TP: int(n[0]), FN: int(n[1]), FP: int(n[2]), TN: int(n[3])}.Rates())
		if r == nil {
			return 0, false
		}
		return *r, true
	}}, nil
}

// MeanStatistic resamples the mean of one value a row, such as the hits behind a recall@k or the reciprocal ranks behind
// an MRR. A NaN value leaves its row out.
func MeanStatistic(value []float64, of Clusters) (Statistic, error) {
	if len(value) != len(of.Of) {
		return nil, fmt.Errorf("metrics: %d values, clusters for %d", len(value), len(of.Of))
	}
	sums := grid(2, of.N) // values, rows
	for i, v := range value {
		if !math.IsNaN(v) {
			sums[0][of.Of[i]] += v
			sums[1][of.Of[i]]++
		}
	}
	return &sumStatistic{sums, func(s []float64) (float64, bool) { return s[0] / s[1], s[1] > 0 }}, nil
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}
