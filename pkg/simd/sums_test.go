package simd

import (
	"math/rand/v2"
	"testing"
)

// Sums is held to its definition, on every level and at every length.
func TestSums(t *testing.T) {
	defer func(l string) { Level = l }(Level)
	levels := []string{"go", Level}
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range 70 {
		want, lo, hi := make([]int16, n), make([]byte, n), make([]byte, n)
		before := int16(rng.Uint32())
		h := before
		for i := range want {
			d := int16(rng.Uint32()) >> rng.IntN(16)
			u := 2 * d
			if d < 0 {
				u = -2*d - 1
			}
			lo[i], hi[i] = byte(u), byte(uint16(u)>>8)
			h += d
			want[i] = h
		}
		for _, Level = range levels {
			got := make([]int16, n+1)
			got[n] = 77
			Sums(got[:n], lo, hi, before)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%s, %d of %d: %d, want %d", Level, i, n, got[i], want[i])
				}
			}
			if got[n] != 77 {
				t.Fatalf("%s: wrote behind %d", Level, n)
			}
		}
	}
}
