package metrics

import (
	"fmt"
	"math"
)

// HistogramFeatures is the share of voxels in each of bins equal intervals of [-1000, 1000] HU; values outside count in
// the first or last. All zero for no voxels.
func HistogramFeatures(hu []int16, bins int) []float64 {
	const lo, hi = -1000, 1000
	out := make([]float64, bins)
	if len(hu) == 0 || bins < 1 {
		return out
	}
	var bin [hi - lo + 1]int32
	for v := range bin {
		bin[v] = int32(min(v*bins/(hi-lo), bins-1))
	}
	count := make([]int, bins)
	for _, v := range hu {
		count[bin[min(max(int(v), lo), hi)-lo]]++
	}
	for i, n := range count {
		out[i] = float64(n) / float64(len(hu))
	}
	return out
}

// BaselineLambda is the baseline's penalty on standardised features: scikit-learn's default, not tuned on anything.
const BaselineLambda = 1

// Baseline is what any vision model must beat: one logistic regression a finding on each volume's HU histogram (or any
// few features), fitted on train and applied to test. Features are standardised by train. trainY and the scores are
// [finding][row]. A finding with one class in train gets nil scores: undefined.
func Baseline(train [][]float64, trainY [][]int8, test [][]float64, lambda float64) ([][]float64, error) {
	if len(train) == 0 {
		return nil, fmt.Errorf("metrics: baseline without training rows")
	}
	for i, x := range test {
		if len(x) != len(train[0]) {
			return nil, fmt.Errorf("metrics: test row %d has %d features, training %d", i, len(x), len(train[0]))
		}
	}
	mean, scale := moments(train)
	train, test = standardise(train, mean, scale), standardise(test, mean, scale)
	scores := make([][]float64, len(trainY))
	for f, y := range trainY {
		if c, _ := Agree(y, y); c.TP == 0 || c.TN == 0 {
			continue
		}
		model, err := LogisticFit(train, y, nil, lambda)
		if err != nil {
			return nil, fmt.Errorf("finding %d: %w", f, err)
		}
		scores[f] = make([]float64, len(test))
		for i, x := range test {
			scores[f][i] = model.Probability(x)
		}
	}
	return scores, nil
}

// moments returns each feature's mean and standard deviation; a constant feature gets deviation 1.
func moments(X [][]float64) (mean, scale []float64) {
	mean, scale = make([]float64, len(X[0])), make([]float64, len(X[0]))
	for _, x := range X {
		for j, v := range x {
			mean[j] += v / float64(len(X))
		}
	}
	for j := range scale {
		for _, x := range X {
			scale[j] += (x[j] - mean[j]) * (x[j] - mean[j]) / float64(len(X))
		}
		if scale[j] = math.Sqrt(scale[j]); scale[j] < 1e-12 {
			scale[j] = 1
		}
	}
	return mean, scale
}

func standardise(X [][]float64, mean, scale []float64) [][]float64 {
	out := grid(len(X), len(mean))
	for i, x := range X {
		for j, v := range x {
			out[i][j] = (v - mean[j]) / scale[j]
		}
	}
	return out
}
