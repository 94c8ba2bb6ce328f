package metrics

import (
	"math"
	"slices"
)

// Brier is the mean squared distance of probability and outcome over the known rows. It is undefined when no row is
// known or a score lies outside [0,1], which is then no probability.
func Brier(y []int8, p []float64) (brier float64, ok bool) {
	n := 0
	for i, v := range y {
		if v != 0 && v != 1 {
			continue
		}
		if !(p[i] >= 0 && p[i] <= 1) {
			return 0, false
		}
		d := p[i] - float64(v)
		brier += d * d
		n++
	}
	return brier / float64(max(n, 1)), n > 0
}

// ECE is the expected calibration error of a binary probability: the mean over bins (lo,hi], 0 in the first, of
// |mean score - event rate|, weighted by rows. Edges divide [0,1] evenly or, with mass, lie at the scores' quantiles.
// It is undefined when no row is known or a score lies outside [0,1].
func ECE(y []int8, p []float64, bins int, mass bool) (ece float64, ok bool) {
	all, n := binned(y, p, bins, mass)
	for _, b := range all {
		ece += math.Abs(b.score - b.present)
	}
	return ece / float64(max(n, 1)), n > 0
}

// BrierParts is what a Brier score is made of: Reliability - Resolution + Uncertainty + WithinBins.
type BrierParts struct {
	Reliability float64  `json:"reliability"` // mean squared distance of a bin's mean score and event rate: 0 is best
	Resolution  float64  `json:"resolution"`  // mean squared distance of a bin's event rate and that of all rows: more is better
	Uncertainty float64  `json:"uncertainty"` // of the labels alone: prevalence × (1 - prevalence)
	WithinBins  float64  `json:"within_bins"` // what scores that differ within a bin add; 0 where they do not
	Skill       *float64 `json:"skill"`       // 1 - Brier/Uncertainty: 0 is the prevalence as every score; nil with one class
}

// NewBrierParts splits the Brier score (Murphy, J. Appl. Meteorol. 1973) over bins as ECE's even ones; with the rest that
// bins leave (Stephenson, Coelho and Jolliffe, Weather and Forecasting 2008). Nil where Brier is undefined.
func NewBrierParts(y []int8, p []float64, bins int) *BrierParts {
	all, n := binned(y, p, bins, false)
	if n == 0 {
		return nil
	}
	rows, present := float64(n), 0.0
	for _, b := range all {
		present += b.present
	}
	out, mean := BrierParts{}, present/rows
	out.Uncertainty = mean * (1 - mean)
	for _, b := range all {
		if b.rows == 0 {
			continue
		}
		score, rate := b.score/b.rows, b.present/b.rows
		out.Reliability += b.rows / rows * (score - rate) * (score - rate)
		out.Resolution += b.rows / rows * (rate - mean) * (rate - mean)
		out.WithinBins += (b.squares - b.score*score - 2*(b.scoreOfPresent-b.score*rate)) / rows
	}
	brier := out.Reliability - out.Resolution + out.Uncertainty + out.WithinBins
	out.Skill = Defined(1-brier/out.Uncertainty, out.Uncertainty > 0)
	return &out
}

// bin holds sums over the rows of one bin.
type bin struct{ rows, score, present, squares, scoreOfPresent float64 }

// binned sums the known rows in bins (lo,hi]; n is 0 where no row is known or a score lies outside [0,1].
func binned(y []int8, p []float64, bins int, mass bool) (all []bin, n int) {
	var rows, outcome []float64
	for i, v := range y {
		if !known(v) {
			continue
		}
		if !(p[i] >= 0 && p[i] <= 1) {
			return nil, 0
		}
		rows, outcome = append(rows, p[i]), append(outcome, float64(v))
	}
	if len(rows) == 0 || bins < 1 {
		return nil, 0
	}
	edges := make([]float64, bins+1)
	sorted := slices.Sorted(slices.Values(rows))
	for b := range edges {
		edges[b] = float64(b) * (1 / float64(bins)) // as numpy's linspace has it, to the last bit
		if b == bins {
			edges[b] = 1
		}
		if mass {
			edges[b] = quantile(sorted, edges[b])
		}
	}
	all = make([]bin, bins)
	for i, s := range rows {
		at, _ := slices.BinarySearch(edges, s) // the first edge >= s closes its bin on the right
		b := &all[min(max(at-1, 0), bins-1)]
		b.rows++
		b.score += s
		b.present += outcome[i]
		b.squares += s * s
		b.scoreOfPresent += s * outcome[i]
	}
	return all, len(rows)
}

// quantile is numpy's default (linear interpolation) on sorted values, to the last bit: the conversions keep a compiler
// from fusing.
func quantile(sorted []float64, q float64) float64 {
	at := float64(q * float64(len(sorted)-1))
	i := int(math.Floor(at))
	if i+1 >= len(sorted) {
		return sorted[len(sorted)-1]
	}
	f, d := at-float64(i), sorted[i+1]-sorted[i]
	if f >= 0.5 {
		return sorted[i+1] - float64(d*(1-f))
	}
	return sorted[i] + float64(d*f)
}
