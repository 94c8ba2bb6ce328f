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
	var known, outcome []float64
	for i, v := range y {
		if v != 0 && v != 1 {
			continue
		}
		if !(p[i] >= 0 && p[i] <= 1) {
			return 0, false
		}
		known, outcome = append(known, p[i]), append(outcome, float64(v))
	}
	if len(known) == 0 || bins < 1 {
		return 0, false
	}
	edges := make([]float64, bins+1)
	sorted := slices.Sorted(slices.Values(known))
	for b := range edges {
		edges[b] = float64(b) * (1 / float64(bins)) // as numpy's linspace has it, to the last bit
		if b == bins {
			edges[b] = 1
		}
		if mass {
			edges[b] = quantile(sorted, edges[b])
		}
	}
	gap := make([]float64, bins) // sum of score - outcome; its absolute value is rows × |mean gap|
	for i, s := range known {
		b, _ := slices.BinarySearch(edges, s) // the first edge >= s closes its bin on the right
		gap[min(max(b-1, 0), bins-1)] += s - outcome[i]
	}
	for _, g := range gap {
		ece += math.Abs(g)
	}
	return ece / float64(len(known)), true
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
