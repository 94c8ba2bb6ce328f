package metrics

import (
	"fmt"
	"math"
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
		sum.addTimes(int(weight[c]), n)
	}
	return b.of(sum)
}

func (b *rateStatistic) Without(value []float64) {
	var sum Confusion
	for _, n := range b.counts {
		sum.addTimes(1, n)
	}
	for c, n := range b.counts {
		rest := sum
		rest.addTimes(-1, n)
		value[c] = valueOrNaN(b.of(rest))
	}
}

func (b *rateStatistic) of(sum Confusion) (float64, bool) {
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

func (m *meanStatistic) Without(value []float64) {
	var sum, n float64
	for c := range m.sum {
		sum, n = sum+m.sum[c], n+m.n[c]
	}
	for c := range m.sum {
		rest := n - m.n[c]
		value[c] = valueOrNaN((sum-m.sum[c])/rest, rest > 0)
	}
}
