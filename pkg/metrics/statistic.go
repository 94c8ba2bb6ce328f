package metrics

import (
	"fmt"
	"math"
)

// aucStatistic is one label's AUC as a Statistic: its rows sorted once, then one pass of integers a replicate.
type aucStatistic struct {
	cluster []int32 // in ascending order of score
	mask    []int32 // -1 for a positive, 0 for a negative row
	tieEnd  []bool
	ties    bool
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
	a := &aucStatistic{cluster: make([]int32, len(r.Row)), mask: make([]int32, len(r.Row)), tieEnd: r.TieEnd}
	for i, row := range r.Row {
		a.cluster[i] = of.Of[row]
		if r.Positive[i] {
			a.mask[i] = -1
		}
		a.ties = a.ties || !r.TieEnd[i]
	}
	return a, nil
}

func (a *aucStatistic) At(weight []int32) (float64, bool) {
	twoU, pos, neg := a.twoU(weight)
	if pos == 0 || neg == 0 {
		return 0, false
	}
	return float64(twoU) / (2 * float64(pos) * float64(neg)), true
}

func (a *aucStatistic) twoU(weight []int32) (twoU, positives, negatives int64) {
	cluster, mask := a.cluster, a.mask[:len(a.cluster)]
	if !a.ties { // no branch a row
		for i, c := range cluster {
			w := weight[c]
			p := int64(w & mask[i])
			twoU += p * negatives
			positives += p
			negatives += int64(w &^ mask[i])
		}
		return 2 * twoU, positives, negatives
	}
	tieEnd := a.tieEnd[:len(cluster)]
	var pos, neg int64
	for i, c := range cluster {
		w := weight[c]
		pos += int64(w & mask[i])
		neg += int64(w &^ mask[i])
		if tieEnd[i] {
			twoU += pos * (2*negatives + neg)
			positives, negatives = positives+pos, negatives+neg
			pos, neg = 0, 0
		}
	}
	return twoU, positives, negatives
}

// rateStatistic is a rate from each cluster's own confusion counts.
type rateStatistic struct {
	counts []Confusion
	rate   func(Rates) *float64
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
	b := &rateStatistic{make([]Confusion, of.N), rate}
	for i, v := range truth {
		if p := predicted[i]; (v == 0 || v == 1) && (p == 0 || p == 1) {
			b.counts[of.Of[i]].Add(v == 1, p == 1)
		}
	}
	return b, nil
}

func (b *rateStatistic) At(weight []int32) (float64, bool) {
	var sum Confusion
	for c, n := range b.counts {
		w := int(weight[c])
		sum.TP += w * n.TP
		sum.FP += w * n.FP
		sum.TN += w * n.TN
		sum.FN += w * n.FN
	}
	r := b.rate(sum.Rates())
	if r == nil {
		return 0, false
	}
	return *r, true
}

// meanStatistic is a ratio of sums over clusters.
type meanStatistic struct{ sum, n []float64 }

// MeanStatistic resamples the mean of one value a row, such as the hits behind a recall@k or the reciprocal ranks behind
// an MRR. A NaN value leaves its row out.
func MeanStatistic(value []float64, of Clusters) (Statistic, error) {
	if len(value) != len(of.Of) {
		return nil, fmt.Errorf("metrics: %d values, clusters for %d", len(value), len(of.Of))
	}
	m := &meanStatistic{make([]float64, of.N), make([]float64, of.N)}
	for i, v := range value {
		if !math.IsNaN(v) {
			m.sum[of.Of[i]] += v
			m.n[of.Of[i]]++
		}
	}
	return m, nil
}

func (m *meanStatistic) At(weight []int32) (float64, bool) {
	var sum, n float64
	for c, w := range weight {
		sum += float64(w) * m.sum[c]
		n += float64(w) * m.n[c]
	}
	return sum / n, n > 0
}
