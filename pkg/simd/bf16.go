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

// both are the two numbers of a pair.
func both(v float32) (a, b float32) {
	u := math.Float32bits(v)
	return math.Float32frombits(u << 16), math.Float32frombits(u &^ 0xffff)
}

// Unpair is the inverse of Pairs: it sets dst, twice as long as x, to the numbers of x's pairs.
func Unpair(dst, x []float32) {
	check(len(dst), 2*len(x))
	n := 0
	if HasPairs() {
		n = whole(2 * len(x))
	}
	if t, ok := over(n, n, dst, x); ok {
		unpairBF16(&t)
	}
	for i := n / 2; i < len(x); i++ {
		dst[2*i], dst[2*i+1] = both(x[i])
	}
}

// Weave sets dst to pairs of a's and b's numbers, which are in pairs of neighbours there: PairRows of Unpair.
func Weave(dst, a, b []float32) {
	a, b = a[:len(dst)/2], b[:len(dst)/2]
	n := 0
	if HasPairs() {
		n = whole(len(dst))
	}
	if t, ok := over(n, n, dst, a, b); ok {
		weaveBF16(&t)
	}
	for i := n / 2; i < len(a); i++ {
		x, y := math.Float32bits(a[i]), math.Float32bits(b[i])
		dst[2*i] = math.Float32frombits(x&0xffff | y<<16)
		dst[2*i+1] = math.Float32frombits(x>>16 | y&^0xffff)
	}
}
