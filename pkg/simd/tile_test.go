package simd

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

func random(r *rand.Rand, n int) []float32 {
	s := make([]float32, n)
	for i := range s {
		s[i] = r.Float32() - .5
	}
	return s
}

// atEveryLevel runs f at each level that this machine has, with the naive result to compare with.
func atEveryLevel(t *testing.T, f func(t *testing.T)) {
	have := Level
	t.Cleanup(func() { Level = have })
	for _, l := range []string{"go", "avx2", "avx512"} {
		if Level = pick(l); Level == l {
			t.Run(l, f)
		}
		Level = have
	}
}

func same(t *testing.T, got, want []float32) {
	t.Helper()
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 2e-5 {
			t.Fatalf("element %d = %v, want %v", i, got[i], want[i])
		}
	}
}

func TestRows(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for range 300 {
			m, n, k, blocks := 1+r.IntN(30), Lanes*(1+r.IntN(8)), 1+r.IntN(20), 1+r.IntN(5)
			ldA, ldB, ldC, add := k+r.IntN(9), n+r.IntN(9), n+r.IntN(9), r.IntN(2) == 0
			off, ob := make([]int64, blocks), make([]int64, blocks)
			for i := range off {
				off[i], ob[i] = int64(r.IntN(50)), int64(r.IntN(50))
			}
			a, b, c := random(r, 50+m*ldA+k), random(r, 50+k*ldB+n), random(r, m*ldC+n)
			want := append([]float32(nil), c...)
			for i := range m {
				for j := range n {
					var s float64
					if add {
						s = float64(c[i*ldC+j])
					}
					for bl := range blocks {
						for kk := range k {
							s += float64(a[int(off[bl])+i*ldA+kk]) * float64(b[int(ob[bl])+kk*ldB+j])
						}
					}
					want[i*ldC+j] = float32(s)
				}
			}
			Rows(c, ldC, a, ldA, off, Matrix{b, ldB, Panel, false}, ob, m, n, k, add)
			same(t, c, want)
		}
	})
}

// Lines of any length, two of which may fill one tile, times a matrix in panels.
func TestConvolve(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 2))
		for range 300 {
			w, lines, n, k, blocks := 1+r.IntN(16), 1+r.IntN(5), Lanes*(1+r.IntN(6)), 1+r.IntN(9), 1+r.IntN(4)
			al := Lines{w, k + r.IntN(5), lines, 0}
			al.Next = w*al.Ld + r.IntN(20)
			cl := Lines{w, n + r.IntN(5), lines, 0}
			cl.Next = w*cl.Ld + r.IntN(20)
			m := Matrix{Ld: Panel, Next: blocks * k * Panel}
			m.Data = random(r, (n+Panel-1)/Panel*m.Next)
			a, c, off, ob, add := random(r, 60+lines*al.Next+k), random(r, lines*cl.Next+n), make([]int64, blocks), make([]int64, blocks), r.IntN(2) == 0
			for i := range off {
				off[i], ob[i] = int64(r.IntN(50)), int64(i*k*Panel)
			}
			want := append([]float32(nil), c...)
			for i := range lines * w {
				at := i/w*cl.Next + i%w*cl.Ld
				for j := range n {
					sum := 0.0
					if add {
						sum = float64(c[at+j])
					}
					for b := range blocks {
						for kk := range k {
							sum += float64(a[int(off[b])+i/w*al.Next+i%w*al.Ld+kk]) * float64(m.Data[j/Panel*m.Next+int(ob[b])+kk*Panel+j%Panel])
						}
					}
					want[at+j] = float32(sum)
				}
			}
			Convolve(c, cl, a, al, off, m, ob, n, k, add)
			same(t, c, want)
		}
	})
}

func TestCols(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		for range 200 {
			m, n, k, blocks := Lanes*(1+r.IntN(4)), Lanes*(1+r.IntN(4)), 1+r.IntN(30), 1+r.IntN(5)
			ldA, ldB, ldC, add := m+r.IntN(9), n+r.IntN(9), n+r.IntN(9), r.IntN(2) == 0
			oa, ob := make([]int64, blocks), make([]int64, blocks)
			for i := range oa {
				oa[i], ob[i] = int64(r.IntN(50)), int64(r.IntN(50))
			}
			a, b, c := random(r, 50+k*ldA+m), random(r, 50+k*ldB+n), random(r, m*ldC+n)
			want := append([]float32(nil), c...)
			for i := range m {
				for j := range n {
					var s float64
					if add {
						s = float64(c[i*ldC+j])
					}
					for bl := range blocks {
						for kk := range k {
							s += float64(a[int(oa[bl])+kk*ldA+i]) * float64(b[int(ob[bl])+kk*ldB+j])
						}
					}
					want[i*ldC+j] = float32(s)
				}
			}
			Cols(c, ldC, a, ldA, oa, b, ldB, ob, m, n, k, add, false)
			same(t, c, want)
		}
	})
}

// A kernel moves a pointer on from block to block, in memory that is kept: it must not end behind the last one, where the
// garbage collector finds a neighbour that may be free ("found pointer to free object" ends the program).
func TestNoPointerIsLeftBehindTheOffsets(t *testing.T) {
	atEveryLevel(t, func(t *testing.T) {
		a, b, c, off := make([]float32, 8), make([]float32, Lanes), make([]float32, Lanes), make([]int64, 4)
		for range 20 {
			Rows(c, Lanes, a, 1, off, Matrix{b, Lanes, Panel, false}, off, 1, Lanes, 1, false)
			runtime.GC()
			runtime.GC() // the pool has forgotten its memory
		}
	})
}

// BenchmarkConvolution times a 3×3×3 convolution's row as an engine calls it, and its weight's gradient.
func BenchmarkConvolution(b *testing.B) {
	for _, s := range []struct{ ch, w int }{{16, 24}, {32, 12}, {64, 6}, {128, 3}} {
		r := rand.New(rand.NewPCG(5, 6))
		const rows = 8
		a, w, c := random(r, (rows+4)*(s.w+2)*s.ch*3), random(r, 27*s.ch*s.ch), random(r, rows*s.w*s.ch)
		off, taps := make([]int64, 27), make([]int64, 27)
		for i := range off {
			taps[i] = int64(i * s.ch * s.ch)
			off[i] = int64((i/3%3*(s.w+2) + i%3) * s.ch)
		}
		flop := float64(rows*s.w*s.ch*s.ch*27) * 2
		b.Run(fmt.Sprintf("rows/%dch", s.ch), func(b *testing.B) {
			for b.Loop() {
				for y := range rows {
					Rows(c[y*s.w*s.ch:], s.ch, a[y*(s.w+2)*s.ch:], s.ch, off, Matrix{w, s.ch, Panel, false}, taps, s.w, s.ch, s.ch, false)
				}
			}
			b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
		oa, ob := make([]int64, rows), make([]int64, rows)
		for i := range oa {
			oa[i], ob[i] = int64(i*(s.w+2)*s.ch), int64(i*s.w*s.ch)
		}
		b.Run(fmt.Sprintf("cols/%dch", s.ch), func(b *testing.B) {
			for b.Loop() {
				for t := range 27 {
					Cols(w[t*s.ch*s.ch:], s.ch, a[off[t]:], s.ch, oa, c, s.ch, ob, s.ch, s.ch, s.w, true, false)
				}
			}
			b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
