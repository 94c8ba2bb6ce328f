package simd

// sums256 is Sums for n elements, a multiple of 16.
//
//go:noescape
func sums256(dst *int16, lo, hi *byte, n int64, before int16)
