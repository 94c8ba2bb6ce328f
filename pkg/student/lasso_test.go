package student

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

func TestLassoAgainstScikitLearn(t *testing.T) {
	text, err := os.ReadFile("testdata/lasso.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Price     float64
		Columns   [][]int32
		Y         []float64
		Coef      []float64
		Intercept float64
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases) != 3 {
		t.Fatal(len(cases), err)
	}
	for i, c := range cases {
		beta, intercept := (&lasso{columns: c.Columns, y: c.Y, penalty: c.Price}).fit()
		const close = 1e-3 // of both: each stops where a step no longer moves a weight by 1e-4
		if math.Abs(intercept-c.Intercept) > close {
			t.Errorf("case %d: intercept %v, want %v", i, intercept, c.Intercept)
		}
		for j, b := range beta {
			if math.Abs(b-c.Coef[j]) > close || (b == 0) != (math.Abs(c.Coef[j]) < 1e-9) {
				t.Errorf("case %d: weight %d is %v, want %v", i, j, b, c.Coef[j])
			}
		}
	}
}

// With one feature and no penalty in its way the answer is the log odds of the two halves.
func TestLassoClosedForm(t *testing.T) {
	y := []float64{1, 1, 1, 0, 1, 0, 0, 0, 0, 0}
	l := lasso{columns: [][]int32{{0, 1, 2, 3}}, y: y, penalty: 1e-9}
	beta, intercept := l.fit()
	if want := math.Log(1.0 / 5); math.Abs(intercept-want) > 1e-4 {
		t.Errorf("intercept %v, want %v", intercept, want)
	}
	if want := math.Log(3) - math.Log(1.0/5); math.Abs(beta[0]-want) > 1e-4 {
		t.Errorf("weight %v, want %v", beta[0], want)
	}
	l.penalty = 4 // above the largest slope at zero: nothing is worth its price
	if beta, _ := l.fit(); beta[0] != 0 {
		t.Errorf("weight %v, want 0", beta[0])
	}
}
