package simd

import "slices"

// Cols computes c[i][j] (+)= Σ_block Σ_k a[aOff[block] + k*ldA + i] * b[bOff[block] + k*ldB + j] for i < m, j < n: the
// transposed product, as of a weight's gradient. m and n are multiples of Lanes; offsets and distances are in elements.
//
// With pairs every element of a and b is a pair of bf16, of two neighbouring k, and k counts pairs (HasPairs).
func Cols(c []float32, ldC int, a []float32, ldA int, aOff []int64, b []float32, ldB int, bOff []int64, m, n, k int, add, pairs bool) {
	if m == 0 || n == 0 || k == 0 || len(aOff) == 0 {
		return
	}
	if Level == "go" {
		colsGo(c, ldC, a, ldA, aOff, b, ldB, bOff, m, n, k, add)
		return
	}
	check(len(c), (m-1)*ldC+n)
	check(len(a), int(slices.Max(aOff))+(k-1)*ldA+m)
	check(len(b), int(slices.Max(bOff))+(k-1)*ldB+n)
	w := spaces.Get().(*space)
	defer spaces.Put(w)
	t := w.set(ldC, ldA, ldB, k, add)
	t.blocks = int64(len(aOff))
	t.aOff, t.bOff = bytesOf(&w.a, aOff), bytesOf(&w.b, bOff)
	for j := 0; j < n; {
		nv, low, kernels := column(n-j, pairs)
		for i := 0; i < m; {
			h := even(m-i, low+len(kernels)-1)
			t.c, t.a, t.b, t.jumpC = ptr(c, i*ldC+j), ptr(a, i), ptr(b, j), int64((h+1)/2*ldC)*4
			kernels[h-low](t)
			i += h
		}
		j += nv * Lanes
	}
}
