package metrics

import (
	"math"
	"testing"
)

// Worked by hand: 200 (|30*85 - 70*15| - 100)^2 / (100 * 100 * 45 * 155) = 5.6201, of which erfc(sqrt(x/2)) is 0.01776;
// scipy.stats.chi2_contingency gives the same with its default correction.
func TestTwoProportions(t *testing.T) {
	if p, ok := TwoProportions(30, 100, 15, 100); !ok || math.Abs(p-0.017758) > 1e-5 {
		t.Errorf("p %v, %v", p, ok)
	}
	if p, ok := TwoProportions(50, 100, 50, 100); !ok || p != 1 {
		t.Errorf("equal rates: p %v, %v", p, ok)
	}
	for _, few := range [][4]int{{0, 0, 0, 0}, {1, 30, 0, 30}, {29, 30, 30, 30}, {5, 5, 1000, 100000}} {
		if p, ok := TwoProportions(few[0], few[1], few[2], few[3]); ok {
			t.Errorf("%v: p %v for too few", few, p)
		}
	}
}
