package pipelines

import (
	"math"
	"math/rand/v2"
	"testing"

	"silverbeam/pkg/llm"
)

// Nineteen of twenty intervals hold what is to come: drawings from a skewed population whose sum is known.
func TestRatioIntervalsHold(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	const drawings, n, all = 2000, 60, 600
	held, width := 0, 0.0
	for range drawings {
		var x, y [all]float64
		for i := range x {
			x[i] = 1000 + 500*r.ExpFloat64()
			y[i] = x[i]/4 + 30*r.ExpFloat64()
		}
		e, sum := ratio{x: x[:n], y: y[:n], calls: all - n}, 0.0
		for i := n; i < all; i++ {
			e.total, sum = e.total+x[i], sum+y[i]
		}
		g := e.estimate()
		if g.Low <= sum && sum <= g.High {
			held++
		}
		width += (g.High - g.Low) / sum / drawings
	}
	if share := float64(held) / drawings; math.Abs(share-.95) > .02 || width > .06 {
		t.Errorf("%.3f of the intervals hold, and are %.3f of the sum wide", share, width)
	}
}

// A draw is of different reports, and the same whatever their order.
func TestDrawIsOfTheWholeInput(t *testing.T) {
	take := func(from, step int) (all string) {
		d := &draw{n: 5}
		for i := range 100 {
			if err := d.offer(string(rune('A'+(from+i*step)%100)), []int{0}, llm.Request{Findings: 1}); err != nil {
				t.Fatal(err)
			}
		}
		for _, s := range d.drawn {
			all += s.Report
		}
		return all
	}
	if a, b := take(0, 1), take(50, 7); a != b || len([]rune(a)) != 5 {
		t.Errorf("drawn %q and %q", a, b)
	}
}
