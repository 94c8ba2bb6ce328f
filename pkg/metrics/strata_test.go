package metrics

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestAllocate(t *testing.T) {
	for name, c := range map[string]struct {
		sizes []int
		n     int
		want  []int
	}{
		"all":                           {[]int{3, 0, 5}, 9, []int{3, 0, 5}},
		"half equally, half by size":    {[]int{100, 100, 800}, 60, []int{13, 13, 34}}, // 10 each; then 30 of 980: 2.76, 2.76, 24.5
		"a rare one is taken whole":     {[]int{4, 996}, 100, []int{4, 96}},
		"two each, though half is less": {[]int{50, 50, 50, 50}, 10, []int{3, 3, 2, 2}},
		"empty ones take no share":      {[]int{0, 0, 0, 500, 500}, 20, []int{0, 0, 0, 10, 10}},
		"one":                           {[]int{7}, 1, []int{1}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Allocate(c.sizes, c.n); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		sizes, total, n := make([]int, 1+rng.IntN(40)), 0, 4*40+rng.IntN(1000)
		for h := range sizes {
			sizes[h] = rng.IntN(1 + rng.IntN(3000))
			total += sizes[h]
		}
		sum := 0
		for h, k := range Allocate(sizes, n) {
			if sum += k; k > sizes[h] || k < min(2, sizes[h]) {
				t.Fatalf("%d of %d rows, of %v for %d", k, sizes[h], sizes, n)
			}
		}
		if sum != min(n, total) {
			t.Fatalf("%d draws of %d rows for %d", sum, total, n)
		}
	}
}

func TestStrata(t *testing.T) {
	s := NewStrata([]int{50, 3, 20}, 300)
	row := func(marked, doubt string) int {
		m, d := make([]bool, 3), make([]bool, 3)
		for i := range m {
			m[i], d[i] = marked[i] == '1', doubt[i] == '1'
		}
		return s.Of(m, d)
	}
	for _, c := range []struct {
		marked, doubt string
		finding       int
		inDoubt       bool
	}{{"111", "000", 1, false}, {"111", "101", 1, false}, {"111", "010", 1, true}, {"101", "100", 2, false}, {"100", "100", 0, true}} {
		if f, d := s.Finding(row(c.marked, c.doubt)); f != c.finding || d != c.inDoubt {
			t.Errorf("%s in doubt %s: finding %d, %v", c.marked, c.doubt, f, d)
		}
	}
	if h := row("000", "000"); h != s.N()-1 {
		t.Errorf("no finding: stratum %d of %d", h, s.N())
	}
	// 16 draws are too few for more than the rarest finding's own two strata, the others' two, and one without findings.
	small := NewStrata([]int{50, 3, 20}, 20)
	if f, _ := small.Finding(small.Of([]bool{true, false, true}, make([]bool, 3))); small.N() != 5 || f != -1 {
		t.Errorf("%d strata, finding %d", small.N(), f)
	}
	if one := NewStrata([]int{5, 5}, 3); one.N() != 1 || one.Of([]bool{true, true}, []bool{true, false}) != 0 {
		t.Errorf("three draws, %d strata", one.N())
	}
}

// Every row of a stratum is as likely to be drawn as the weight says, and a seed draws the same rows again.
func TestDrawing(t *testing.T) {
	sizes, often := []int{6, 40, 300}, make([]int, 346)
	draw := func(seed uint64) []Draw {
		d := NewDrawing(3, 40, seed)
		for i := range often {
			h := 2
			if i%8 == 0 && i < 320 {
				h = 1
			} else if i%57 == 1 && i < 340 {
				h = 0
			}
			d.Add(fmt.Sprint(i), h)
		}
		if !slices.Equal(d.Size, sizes) {
			t.Fatal(d.Size)
		}
		return d.Sample()
	}
	const seeds = 4000
	sum := make([]float64, len(often)) // of weights: 1 a row and seed, on average
	for seed := range uint64(seeds) {
		total := 0.0
		for _, x := range draw(seed) {
			often[x.Row]++
			sum[x.Row] += x.Weight
			total += x.Weight
		}
		if total < 346-1e-9 || total > 346+1e-9 {
			t.Fatalf("weights of seed %d add up to %v", seed, total)
		}
	}
	for i, w := range sum {
		// the rarest draws have probability 0.08, so a standard error of sqrt(1/.08/4000) = 0.056
		if mean := w / seeds; mean < .75 || mean > 1.25 {
			t.Errorf("row %d: the weights of its draws average %.3f a seed, want 1", i, mean)
		}
	}
	if !slices.Equal(draw(7), draw(7)) || slices.Equal(draw(7), draw(8)) {
		t.Error("the seed does not decide the draw")
	}
}
