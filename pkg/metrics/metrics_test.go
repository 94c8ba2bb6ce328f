package metrics

import (
	"cmp"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
)

// The textbook rows of two scores; expected figures below were computed with scikit-learn 1.2.1 and pROC 1.18.0.
var (
	textY = append(make([]int8, 12), 1, 1, 1, 1, 1, 1, 1, 1)
	textA = []float64{.10, .20, .20, .30, .35, .40, .40, .50, .55, .60, .15, .70, .40, .50, .65, .70, .80, .85, .90, .30}
	textB = []float64{.30, .10, .60, .20, .50, .40, .70, .20, .35, .50, .45, .15, .50, .30, .60, .40, .80, .20, .90, .55}
)

func TestTextbook(t *testing.T) {
	for _, c := range []struct {
		name                         string
		s                            []float64
		auc, variance, lo, hi        float64
		ap, brier, f1, ece10, always float64
	}{
		{"a", textA, 0.8177083333, 0.0099297946, 0.62240115, 1, 0.7839743590, 0.1716250, 0.6666666667, 0.1625, 0},
		{"b", textB, 0.7031250000, 0.0154058723, 0.45985350, 0.94639650, 0.6541666667, 0.2095000, 0.5882352941, 0.1550, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := DeLongAUC(textY, c.s)
			if err != nil {
				t.Fatal(err)
			}
			near(t, "auc", *d.AUC, c.auc, 1e-10)
			near(t, "variance", *d.Var, c.variance, 1e-10)
			near(t, "lo", d.Normal[0], c.lo, 1e-8)
			near(t, "hi", d.Normal[1], c.hi, 1e-8)
			ap, _, _ := AveragePrecision(textY, c.s)
			near(t, "ap", ap, c.ap, 1e-10)
			brier, _ := Brier(textY, c.s)
			near(t, "brier", brier, c.brier, 1e-10)
			ece, _ := ECE(textY, c.s, 10, false)
			near(t, "ece", ece, c.ece10, 1e-10)
			counts, _ := At(textY, c.s, 0.5)
			near(t, "f1", *counts.Rates().F1, c.f1, 1e-10)
		})
	}
	p, ok, err := DeLongPaired(textY, textA, textB)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	near(t, "cov", p.Cov, -0.0010942291, 1e-10)
	near(t, "z", p.Z, 0.69066061, 1e-8)
	near(t, "p", p.P, 0.48977885, 1e-8)
	if p, _, _ := DeLongPaired(textY, textA, textA); p.P != 1 {
		t.Errorf("identical scores: p = %g, want 1", p.P)
	}
	if p, ok, _ := DeLongPaired([]int8{0, 0, 1, 1}, []float64{1, 2, 3, 4}, []float64{4, 3, 2, 1}); !ok || p.Cov != 0 || !math.IsNaN(p.P) {
		t.Errorf("perfect against reversed: %+v, want a covariance of 0 and no p", p)
	}
}

type golden struct {
	Cases []struct {
		Name                            string
		Y                               []int8
		S                               []float64
		AUC, AP, Brier, F1, Sensitivity float64
		Specificity, Precision          float64
		BalancedAccuracy                float64 `json:"balanced_accuracy"`
		YoudenThreshold                 float64 `json:"youden_threshold"`
		YoudenJ                         float64 `json:"youden_j"`
	}
	Logistic struct {
		X         [][]float64
		Y         []int8
		W         []float64
		Lam       float64
		Coef      []float64
		Intercept float64
	}
	Bootstrap []struct {
		Case                      int
		Cluster                   []int32
		Resamples                 [][]int32
		Value, SE                 float64
		Percentile, BCa, Interval [2]float64
	}
	Survey struct {
		Truth, Label, Other []int8
		Weight              []float64
		Patient             []string
		Weighted            map[string]float64
		Variance            float64
		Kappa, PABAK        float64
		McNemar             [][2]int
		P, Holm             []float64
		Student             [][2]float64
		Stratified          [2]float64
	}
}

func readGolden(t *testing.T) (g golden) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err == nil {
		err = json.Unmarshal(b, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestAgainstScikitLearn(t *testing.T) {
	for _, c := range readGolden(t).Cases {
		t.Run(c.Name, func(t *testing.T) {
			auc, _, _ := AUC(c.Y, c.S)
			near(t, "auc", auc, c.AUC, 1e-12)
			ap, _, _ := AveragePrecision(c.Y, c.S)
			near(t, "ap", ap, c.AP, 1e-12)
			brier, _ := Brier(c.Y, c.S)
			near(t, "brier", brier, c.Brier, 1e-12)
			counts, _ := At(c.Y, c.S, 0.5)
			r := counts.Rates()
			near(t, "f1", *r.F1, c.F1, 1e-12)
			near(t, "sensitivity", *r.Sensitivity, c.Sensitivity, 1e-12)
			near(t, "specificity", *r.Specificity, c.Specificity, 1e-12)
			near(t, "precision", *r.Precision, c.Precision, 1e-12)
			near(t, "balanced accuracy", *r.BalancedAccuracy, c.BalancedAccuracy, 1e-12)
			threshold, j, _, _ := Youden(c.Y, c.S)
			near(t, "youden threshold", threshold, c.YoudenThreshold, 0)
			near(t, "youden j", j, c.YoudenJ, 1e-12)
			points, _ := ROC(c.Y, c.S, 0)
			near(t, "area under ROC points", area(points), c.AUC, 1e-12)
		})
	}
}

func area(p []Point) (a float64) {
	for i := 1; i < len(p); i++ {
		a += (p[i].FPR - p[i-1].FPR) * (p[i].TPR + p[i-1].TPR) / 2
	}
	return a
}

func TestUndefined(t *testing.T) {
	one, s := []int8{1, 1, Missing}, []float64{.2, .3, math.NaN()}
	if _, ok, err := AUC(one, s); ok || err != nil {
		t.Errorf("single class: ok = %v, err = %v", ok, err)
	}
	if d, err := DeLongAUC(one, s); d.AUC != nil || d.Var != nil || err != nil {
		t.Errorf("single class: %+v, %v", d, err)
	}
	if d, _ := DeLongAUC([]int8{1, 0, 0}, []float64{3, 1, 2}); *d.AUC != 1 || d.Var != nil || d.Normal != nil {
		t.Errorf("one positive has an AUC and no variance: %+v", d)
	}
	if points, err := ROC(one, s, 0); points != nil || err != nil {
		t.Errorf("ROC of one class: %v, %v", points, err)
	}
	if _, ok, _ := AveragePrecision([]int8{0, 0}, []float64{1, 2}); ok {
		t.Error("AP without positives is defined")
	}
	if _, ok := Brier([]int8{1}, []float64{1.5}); ok {
		t.Error("Brier of 1.5 is defined")
	}
	if r := (Confusion{TN: 3}).Rates(); r.F1 != nil || r.Sensitivity != nil || r.BalancedAccuracy != nil || *r.Specificity != 1 {
		t.Errorf("rates of nothing: %+v", r)
	}
	if _, _, err := AUC([]int8{1, 0}, []float64{math.NaN(), 1}); !errors.Is(err, ErrNaN) {
		t.Errorf("NaN score: %v", err)
	}
	if _, err := At([]int8{1}, []float64{math.NaN()}, 0); !errors.Is(err, ErrNaN) {
		t.Errorf("NaN score: %v", err)
	}
	mean, n, ok := Macro([]*float64{nil, Defined(.5, true), Defined(1, true)})
	if mean != .75 || n != 2 || !ok {
		t.Errorf("macro = %g over %d", mean, n)
	}
}

// A pair-by-pair count is the definition; ties, infinities, signs of zero and unknown rows included.
func TestAUCAgainstPairs(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	special := []float64{math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), -1e-300, 5e-324, 1, -1}
	for range 300 {
		n := 1 + rng.IntN(60)
		y, s := make([]int8, n), make([]float64, n)
		for i := range y {
			y[i], s[i] = int8(rng.IntN(4)-1), special[rng.IntN(len(special))]
			if rng.IntN(2) == 0 {
				s[i] = rng.NormFloat64()
			}
		}
		var twoU, pairs int64
		for i := range y {
			for j := range y {
				if y[i] == 1 && y[j] == 0 {
					pairs++
					if s[i] > s[j] {
						twoU += 2
					} else if s[i] == s[j] {
						twoU++
					}
				}
			}
		}
		got, ok, err := AUC(y, s)
		if err != nil || ok != (pairs > 0) {
			t.Fatal(ok, err)
		}
		if ok {
			near(t, "auc", got, float64(twoU)/(2*float64(pairs)), 1e-15)
			p, _ := Place(y, s)
			near(t, "mean placement", *mean(p.Pos), got, 1e-12)
			near(t, "mean placement", *mean(p.Neg), got, 1e-12)
		}
	}
}

func TestROCIsThinned(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	y, s := make([]int8, 5000), make([]float64, 5000)
	for i := range y {
		y[i] = int8(rng.IntN(2))
		s[i] = rng.NormFloat64() + float64(y[i])
	}
	points, err := ROC(y, s, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(points) > 200 || len(points) < 150 {
		t.Errorf("%d points", len(points))
	}
	if points[0].FPR != 0 || points[0].TPR != 0 || points[len(points)-1].FPR != 1 || points[len(points)-1].TPR != 1 {
		t.Errorf("ends %v, %v", points[0], points[len(points)-1])
	}
	auc, _, _ := AUC(y, s)
	near(t, "thinned area", area(points), auc, 2e-3)
}

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.12g, want %.12g ± %g", what, got, want, tolerance)
	}
}

// Scores whose leading bits agree, of any sign and size, are in the order that a comparison of them gives.
func TestRankIsAStableSort(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	draws := map[string]func() float64{
		"ties":            func() float64 { return float64(rng.IntN(5)) - 2 },
		"signs and zeros": func() float64 { return math.Copysign(float64(rng.IntN(3)), rng.Float64()-.5) },
		"last bits":       func() float64 { return math.Float64frombits(math.Float64bits(.5) + rng.Uint64N(1<<40)) },
		"few last bits":   func() float64 { return 1 + float64(rng.IntN(9))*0x1p-52 - float64(rng.IntN(2)) },
		"any":             func() float64 { return math.Float64frombits(rng.Uint64()) },
		"infinite":        func() float64 { return math.Inf(rng.IntN(3) - 1) },
	}
	for name, draw := range draws {
		for _, n := range []int{0, 1, 2, 50, 3000} {
			y, s := make([]int8, n), make([]float64, n)
			var want []int32
			for i := range s {
				for s[i] = draw(); math.IsNaN(s[i]); {
					s[i] = draw()
				}
				if y[i] = int8(rng.IntN(3)) - 1; y[i] >= 0 {
					want = append(want, int32(i))
				}
			}
			slices.SortStableFunc(want, func(a, b int32) int { return cmp.Compare(s[a], s[b]) })
			r, err := Rank(y, s)
			if err != nil || len(r.rows) != len(want) {
				t.Fatalf("%s, %d rows: %v", name, n, err)
			}
			for i, p := range r.rows {
				if p.Row() != want[i] || p.Positive() != (y[want[i]] == 1) || p.TieEnd() != (i+1 == len(want) || s[want[i]] != s[want[i+1]]) {
					t.Fatalf("%s, %d rows: place %d is row %d, want %d", name, n, i, p.Row(), want[i])
				}
			}
		}
	}
}

// Two scores, each its own bin: the closed form. Many scores: the parts make up the Brier score.
func TestBrierParts(t *testing.T) {
	var y []int8
	var p []float64
	add := func(n, present int, score float64) {
		for i := range n {
			y, p = append(y, bit(i < present)), append(p, score)
		}
	}
	add(10, 2, .2)
	add(20, 15, .6)
	y, p = append(y, Missing), append(p, 7)
	got := NewBrierParts(y, p, 15)
	mean := 17. / 30
	near(t, "reliability", got.Reliability, 2./3*.15*.15, 1e-15)
	near(t, "resolution", got.Resolution, 1./3*(mean-.2)*(mean-.2)+2./3*(.75-mean)*(.75-mean), 1e-15)
	near(t, "uncertainty", got.Uncertainty, mean*(1-mean), 1e-15)
	near(t, "within bins", got.WithinBins, 0, 1e-15)
	near(t, "skill", *got.Skill, 1-(10*.2*.8+15*.16+5*.36)/30/(mean*(1-mean)), 1e-14)

	rng := rand.New(rand.NewPCG(8, 8))
	for range 50 {
		y, p = nil, nil
		for range 1 + rng.IntN(200) {
			s := rng.Float64()
			y, p = append(y, bit(rng.Float64() < s*s)), append(p, s)
		}
		brier, _ := Brier(y, p)
		got := NewBrierParts(y, p, 15)
		near(t, "sum", got.Reliability-got.Resolution+got.Uncertainty+got.WithinBins, brier, 1e-13)
	}
	if NewBrierParts([]int8{1}, []float64{1.5}, 15) != nil || NewBrierParts(nil, nil, 15) != nil || NewBrierParts([]int8{1}, []float64{.5}, 15).Skill != nil {
		t.Error("parts of what is undefined")
	}
}
