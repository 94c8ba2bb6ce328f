package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"testing"
)

// scored is a random label with the figures that others give it; nil where undefined.
type scored struct {
	Y                              string
	S, B                           []int // thousandths
	AUC, AP, Brier, F1, Kappa, MCC *float64
	F1Weighted                     *float64 `json:"f1_weighted"`
	BalancedAccuracy               *float64 `json:"balanced_accuracy"`
	ECE                            [2]float64
	DeLong                         []*float64 // variance, covariance, p
	McNemar                        [4]float64
	Platt, Isotonic, Recalibration []float64
	T                              *float64
	Published                      []*float64 // threshold, weighted F1, accuracy, precision
}

func (c scored) rows() (y []int8, s, b []float64) {
	for _, v := range c.Y {
		y = append(y, int8(v-'0'))
	}
	return y, thousandths(c.S), thousandths(c.B)
}

func thousandths(v []int) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = float64(x) / 1000
	}
	return out
}

func readScored(t *testing.T) (g struct {
	Table struct {
		Y                      [][]int8
		S                      [][]float64
		NLabels                int `json:"n_labels"`
		Macro, Weighted, Micro []float64
		SubsetAccuracy         float64 `json:"subset_accuracy"`
		HammingLoss            float64 `json:"hamming_loss"`
	}
	Classes []struct {
		Y, Predicted           []int
		Scores                 [][]float64
		Confusion              [][]int
		Figures, Probabilities []*float64
	}
	Corrected struct {
		Truth, Silver   []int8
		S, Weight       []float64
		Patient         []string
		Prevalence, AUC []float64
	}
	Cases []scored
}) {
	t.Helper()
	text, err := os.ReadFile("testdata/scores.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// Random labels with ties, rare and empty classes, against scikit-learn and scipy (testdata/scores.py).
func TestScoresAgainstScikitLearn(t *testing.T) {
	cases := readScored(t).Cases
	for i, c := range cases {
		y, s, b := c.rows()
		out, err := Scores{Findings: []string{"x"}, Y: [][]int8{y}, S: [][]float64{s}, Threshold: []float64{.5}, Probability: true}.Compare([][]float64{b}, Resampling{N: -1})
		if err != nil {
			t.Fatal(err)
		}
		l, p := out.Labels["x"], out.Paired["x"]
		same := func(what string, got, want *float64, tolerance float64) {
			t.Helper()
			if (got == nil) != (want == nil) || got != nil && !(math.Abs(*got-*want) <= tolerance*max(1, math.Abs(*want))) {
				t.Errorf("case %d: %s = %v, want %v", i, what, shown(got), shown(want))
			}
		}
		at := l.Threshold
		same("auc", l.AUC, c.AUC, 1e-12)
		same("ap", l.AP, c.AP, 1e-12)
		same("brier", l.Brier, c.Brier, 1e-12)
		same("ece", l.ECE, &c.ECE[0], 1e-12)
		same("ece by mass", l.ECEMass, &c.ECE[1], 1e-12)
		same("f1", at.F1, c.F1, 1e-12)
		same("f1 weighted", at.F1Weighted, c.F1Weighted, 1e-12)
		same("kappa", at.Kappa, c.Kappa, 1e-12)
		same("mcc", at.MCC, c.MCC, 1e-12)
		same("balanced accuracy", at.BalancedAccuracy, c.BalancedAccuracy, 1e-12)
		if c.DeLong == nil {
			same("variance", l.Var, nil, 0)
		} else {
			same("variance", l.Var, c.DeLong[0], 1e-12)
			same("covariance", p.Cov, c.DeLong[1], 1e-12)
			if c.DeLong[2] != nil {
				same("p", p.P, c.DeLong[2], 1e-9)
			}
		}
		if c.Published != nil {
			got, _ := NewPublished(y, s)
			same("published AUC", got.AUC, c.AUC, 1e-12)
			for k, v := range []*float64{got.Threshold, got.F1Weighted, got.Accuracy, got.Precision} {
				same(fmt.Sprint("published ", k), v, c.Published[k], 1e-12)
			}
		}
		m := p.McNemar
		if m.B != int(c.McNemar[0]) || m.C != int(c.McNemar[1]) {
			t.Errorf("case %d: McNemar %+v, want %v", i, m, c.McNemar)
		}
		same("mcnemar exact", &m.P, &c.McNemar[2], 1e-9)
		same("mcnemar chi-square", &m.Chi2, &c.McNemar[3], 1e-9)
		c.calibrations(t, i, y, s, b)
	}
	t.Logf("%d cases", len(cases))
}

func (c scored) calibrations(t *testing.T, i int, y []int8, s, b []float64) {
	pair := func(what string, got *Calibration, want []float64) {
		t.Helper()
		if (got == nil) != (want == nil) {
			t.Errorf("case %d: %s: %v, want %v", i, what, got, want)
		} else if got != nil {
			near(t, fmt.Sprint(i, what), *got.A, want[0], 1e-6*max(1, math.Abs(want[0])))
			near(t, fmt.Sprint(i, what), *got.B, want[1], 1e-6*max(1, math.Abs(want[1])))
		}
	}
	platt, _ := FitCalibration("platt", y, s)
	pair("platt", platt, c.Platt)
	slope, intercept, ok := Recalibration(y, s)
	var recalibration *Calibration
	if ok {
		recalibration = &Calibration{A: &slope, B: &intercept}
	}
	pair("recalibration", recalibration, c.Recalibration)
	if c.Isotonic != nil {
		isotonic, _ := FitCalibration("isotonic", y, s)
		for k, got := range isotonic.Apply(b[:len(c.Isotonic)]) {
			near(t, fmt.Sprint(i, "isotonic"), got, c.Isotonic[k], 1e-9)
		}
		if temperature, _ := FitCalibration("temperature", y, s); c.T != nil {
			near(t, fmt.Sprint(i, "temperature"), *temperature.T, *c.T, 1e-6**c.T)
		}
	}
}

func shown(v *float64) string {
	if v == nil {
		return "undefined"
	}
	return fmt.Sprintf("%.15g", *v)
}

func TestAveragesAgainstScikitLearn(t *testing.T) {
	g := readScored(t).Table
	s := Scores{Findings: []string{"a", "b", "c", "d"}, Y: g.Y, S: g.S, Threshold: []float64{.5, .5, .5, .5}, Probability: true}
	out, err := s.Summarise(Resampling{N: -1})
	if err != nil {
		t.Fatal(err)
	}
	got := []*float64{out.Macro.AUC, out.Macro.AP, out.Macro.F1, out.Weighted.AUC, out.Weighted.F1,
		out.Micro.AUC, out.Micro.AP, out.Micro.F1, out.Micro.Precision, out.Micro.Recall, out.SubsetAccuracy, out.HammingLoss}
	for i, want := range append(append(append(g.Macro, g.Weighted...), g.Micro...), g.SubsetAccuracy, g.HammingLoss) {
		near(t, fmt.Sprint("average ", i), *got[i], want, 1e-12)
	}
	if out.Macro.NLabels != g.NLabels || out.Labels["d"].Status != "undefined" {
		t.Errorf("%d labels in the mean, want %d; d is %+v", out.Macro.NLabels, g.NLabels, out.Labels["d"])
	}
}

func TestClassesAgainstScikitLearn(t *testing.T) {
	for i, g := range readScored(t).Classes {
		c, err := NewClasses(g.Y, Highest(g.Scores), len(g.Scores))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(c.Confusion, g.Confusion) {
			t.Errorf("case %d: confusion %v, want %v", i, c.Confusion, g.Confusion)
		}
		p, err := NewClassProbabilities(g.Y, g.Scores)
		if err != nil {
			t.Fatal(err)
		}
		got := []*float64{c.Accuracy, c.BalancedAccuracy, c.F1Macro, c.F1Weighted, c.MAE, c.Kappa, c.KappaLinear, c.KappaQuadratic, c.MCC, c.Spearman, c.KendallTauB,
			p.TopK, p.AUCOvR, p.AUCOvO, p.Brier, p.LogLoss}
		for k, want := range append(g.Figures, g.Probabilities...) {
			if (want == nil) != (got[k] == nil) || want != nil && !(math.Abs(*got[k]-*want) <= 1e-12) {
				t.Errorf("case %d: figure %d = %s, want %s", i, k, shown(got[k]), shown(want))
			}
		}
	}
}

// Figures corrected by reviewed rows, against scikit-learn's weighted AUC and one patient left out after the other.
func TestCorrectedAgainstScikitLearn(t *testing.T) {
	g := readScored(t).Corrected
	s := Scores{Findings: []string{"x"}, Y: [][]int8{g.Silver}, S: [][]float64{g.S}, Patient: g.Patient, Reviewed: &ReviewedRows{[][]int8{g.Truth}, g.Weight}}
	out, err := s.Summarise(Resampling{N: 50})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Corrected["x"]
	for i, v := range []Interval{c.Prevalence.Silver, c.Prevalence.RoganGladen, c.Prevalence.PPI} {
		near(t, fmt.Sprint("prevalence ", i), *v.Value, g.Prevalence[i], 1e-12)
	}
	for i, v := range []Interval{c.AUC.Silver, c.AUC.Reviewed, c.AUC.PPI} {
		near(t, fmt.Sprint("AUC ", i), *v.Value, g.AUC[i], 1e-12)
	}
}

// What could not be read is wrong, and says nothing about distance: the example of a published grading task.
func TestUnparsed(t *testing.T) {
	c, err := NewClasses([]int{0, 0, 1, 2, 2, Unparsed}, []int{0, 1, 1, 2, 0, 1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "quadratic kappa", *c.KappaQuadratic, 0.285714, 1e-6)
	near(t, "balanced accuracy", *c.BalancedAccuracy, 0.666667, 1e-6)
	c, _ = NewClasses([]int{0, 0, 1, 2}, []int{0, Unparsed, 1, Unparsed}, 3)
	if *c.Accuracy != .5 || *c.MAE != 0 || *c.UnparsedRate != .5 || *c.F1PerClass[2] != 0 || *c.Kappa != 1 {
		t.Errorf("%+v", c)
	}
}
