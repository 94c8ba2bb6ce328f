package simd

import (
	"math"

	"golang.org/x/sys/cpu"
)

// HasPairs says whether products of pairs of bf16 can be computed (AVX512_BF16).
func HasPairs() bool { return Level == "avx512" && cpu.X86.HasAVX512BF16 }

// bf16 are a number's upper 16 bits, rounded to the nearest, to even where two are; no number stays none.
func bf16(v float32) uint32 {
	b := math.Float32bits(v)
	if v != v {
		return b>>16 | 1<<6
	}
	return (b + 0x7fff + b>>16&1) >> 16
}

// Round sets dst to x rounded to bf16.
func Round(dst, x []float32) {
	for i, v := range x {
		dst[i] = math.Float32frombits(bf16(v) << 16)
	}
}

func pair(a, b float32) float32 { return math.Float32frombits(bf16(a) | bf16(b)<<16) }

// Pairs sets dst, half as long as x, to pairs of x's neighbours as bf16.
func Pairs(dst, x []float32) {
	check(len(dst), len(x)/2)
	n := 0
	if HasPairs() {
		n = whole(len(x))
	}
	if t, ok := over(n, n, dst, x); ok {
		pairsBF16(&t)
	}
	for i := n; i+1 < len(x); i += 2 {
		dst[i/2] = pair(x[i], x[i+1])
	}
}

// PairRows sets dst to pairs of a's and b's elements as bf16.
func PairRows(dst, a, b []float32) {
	a, b = a[:len(dst)], b[:len(dst)]
	n := 0
	if HasPairs() {
		n = whole(len(dst))
	}
	if t, ok := over(n, n, dst, a, b); ok {
		pairRowsBF16(&t)
	}
	for i := n; i < len(dst); i++ {
		dst[i] = pair(a[i], b[i])
	}
}
