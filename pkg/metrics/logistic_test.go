package metrics

import (
	"math"
	"testing"
)

func TestLogisticAgainstScikitLearn(t *testing.T) {
	g := readGolden(t).Logistic
	m, err := LogisticFit(g.X, g.Y, g.W, g.Lam)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "intercept", m.Intercept, g.Intercept, 1e-7)
	for j := range g.Coef {
		near(t, "coefficient", m.Coef[j], g.Coef[j], 1e-7)
	}
}

func TestLogisticOnSeparableAndConstantData(t *testing.T) {
	m, err := LogisticFit([][]float64{{-1, 0}, {-2, 0}, {1, 0}, {3, 0}}, []int8{0, 0, 1, 1}, nil, .01)
	if err != nil || m.Coef[0] <= 0 || m.Coef[1] != 0 || math.IsNaN(m.Probability([]float64{9, 9})) {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := LogisticFit([][]float64{{1}}, []int8{1}, nil, 0); err == nil {
		t.Error("lambda 0 passes")
	}
}

func TestHistogramFeatures(t *testing.T) {
	got := HistogramFeatures([]int16{-2000, -1000, -1, 0, 999, 1000, 3000, 500}, 4)
	for i, want := range []float64{2. / 8, 1. / 8, 1. / 8, 4. / 8} {
		near(t, "share", got[i], want, 0)
	}
}

func TestBaselineSeparatesWhatTheHistogramShows(t *testing.T) {
	var x [][]float64
	y := [][]int8{nil, nil}
	for i := range 40 {
		hu := make([]int16, 100)
		for j := range hu {
			hu[j] = int16(-800 + 20*(j%10))
			if j < i {
				hu[j] = 40
			}
		}
		x = append(x, HistogramFeatures(hu, 16))
		y[0], y[1] = append(y[0], int8(i/20)), append(y[1], 0)
	}
	s, err := Baseline(x, y, x, BaselineLambda)
	if err != nil {
		t.Fatal(err)
	}
	auc, ok, err := AUC(y[0], s[0])
	if auc < .99 || !ok || err != nil {
		t.Errorf("AUC %g, %v", auc, err)
	}
	if s[1] != nil {
		t.Error("a finding without positives has scores")
	}
}
