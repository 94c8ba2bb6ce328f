package simd

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Conversions give the nearest number of 8 bits, and what has pairs multiplies as numbers rounded so.
func TestPairs(t *testing.T) {
	for _, c := range []struct{ x, want float32 }{{1, 1}, {1 + 1.0/256, 1}, {1 + 3.0/256, 1 + 4.0/256}, {1 + 1.0/256 + 1e-6, 1 + 2.0/256},
		{-1 - 3.0/256, -1 - 4.0/256}, {float32(math.Inf(1)), float32(math.Inf(1))}} {
		var got [1]float32
		Round(got[:], []float32{c.x})
		if math.Abs(float64(got[0]-c.want)) > 1e-4*math.Abs(float64(c.want)) && got[0] != c.want {
			t.Errorf("%v rounds to %v, want %v", c.x, got[0], c.want)
		}
	}
	if !HasPairs() {
		t.Skip("this machine lacks AVX512_BF16")
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		m, n, k, lines := 1+r.IntN(16), Lanes*(1+r.IntN(5)), 2*(1+r.IntN(20)), 1+r.IntN(4)
		a, b := random(r, lines*m*k), random(r, k*n)
		lowA, lowB := make([]float32, len(a)/2), Matrix{Data: make([]float32, (n+Panel-1)/Panel*Panel*k/2), Ld: Panel, Next: Panel * k / 2, Pairs: true}
		Pairs(lowA, a)
		for kk := 0; kk < k; kk += 2 {
			for j := 0; j < n; j += Panel {
				w := min(Panel, n-j)
				PairRows(lowB.Data[j/Panel*lowB.Next+kk/2*Panel:][:w], b[kk*n+j:][:w], b[(kk+1)*n+j:])
			}
		}
		Round(a, a)
		Round(b, b)
		got, want := make([]float32, lines*m*n), make([]float32, lines*m*n)
		Convolve(got, Lines{m, n, lines, m * n}, lowA, Lines{m, k / 2, lines, m * k / 2}, []int64{0}, lowB, []int64{0}, n, k/2, false)
		rowsGo(want, Lines{m, n, lines, m * n}, a, Lines{m, k, lines, m * k}, []int64{0}, Matrix{b, n, Panel, false}, []int64{0}, n, k, false)
		same(t, got, want)
	}
}

// Columns of pairs are those of numbers rounded to bf16.
func TestColsOfPairs(t *testing.T) {
	if !HasPairs() {
		t.Skip("this machine lacks AVX512_BF16")
	}
	r := rand.New(rand.NewPCG(3, 5))
	for range 200 {
		m, n, k, add := Lanes*(1+r.IntN(6)), Lanes*(1+r.IntN(4)), 1+r.IntN(20), r.IntN(2) == 0
		a, b, got := random(r, 2*k*m), random(r, 2*k*n), random(r, m*n)
		want, oa, ob := append([]float32(nil), got...), []int64{0, int64(m)}, []int64{0, int64(n)}
		paired := func(x []float32, w int) []float32 { // rows 0 and 1, 2 and 3 ... and one of zeros, so that two blocks fit
			dst := make([]float32, (k+1)*w)
			for i := range k {
				PairRows(dst[i*w:][:w], x[2*i*w:], x[(2*i+1)*w:])
			}
			return dst
		}
		lowA, lowB := paired(a, m), paired(b, n)
		Round(a, a)
		Round(b, b)
		Cols(got, n, lowA, m, oa, lowB, n, ob, m, n, k, add, true)
		zeros := func(x []float32, w int) []float32 { return append(x, make([]float32, 2*w)...) }
		colsGo(want, n, zeros(a, m), m, []int64{0, int64(2 * m)}, zeros(b, n), n, []int64{0, int64(2 * n)}, m, n, 2*k, add)
		same(t, got, want)
	}
}

// Pairs and back is rounding, and rows woven from pairs of neighbours are those paired from numbers.
func TestUnpairAndWeave(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 5))
	for n := 2; n < 150; n += 2 {
		a, b := random(r, n), random(r, n)
		lowA, lowB, got, want := make([]float32, n/2), make([]float32, n/2), make([]float32, n), make([]float32, n)
		Pairs(lowA, a)
		Pairs(lowB, b)
		Round(want, a)
		if Unpair(got, lowA); !slices.Equal(got, want) {
			t.Fatalf("%d numbers: %v, want %v", n, got, want)
		}
		PairRows(want, a, b)
		Weave(got, lowA, lowB)
		for i := range want {
			if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%d numbers: pair %d is %x, want %x", n, i, math.Float32bits(got[i]), math.Float32bits(want[i]))
			}
		}
	}
}
