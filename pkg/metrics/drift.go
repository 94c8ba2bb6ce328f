package metrics

import "math"

// TwoProportions tests whether k1 of n1 and k2 of n2 are draws at one rate: the two-sided p of Pearson's chi-squared with
// Yates's continuity correction. ok is false where a count expected under one rate is below 5, for which the test is not meant.
func TwoProportions(k1, n1, k2, n2 int) (p float64, ok bool) {
	n := float64(n1 + n2)
	yes, no := float64(k1+k2), n-float64(k1+k2)
	if min(float64(n1), float64(n2))*min(yes, no) < 5*n || n == 0 {
		return 1, false
	}
	a, b, c, d := float64(k1), float64(n1-k1), float64(k2), float64(n2-k2)
	off := max(math.Abs(a*d-b*c)-n/2, 0)
	chi2 := n * off * off / (float64(n1) * float64(n2) * yes * no)
	return math.Erfc(math.Sqrt(chi2 / 2)), true
}
