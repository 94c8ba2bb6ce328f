package simd

// Sums adds up differences that are kept as two planes of bytes: dst[i] is before plus all d up to i, modulo 2^16, where
// low and high byte of 2d, or of -2d-1 for a negative d, are lo[i] and hi[i]. All three have the length of dst.
func Sums(dst []int16, lo, hi []byte, before int16) {
	lo, hi = lo[:len(dst)], hi[:len(dst)]
	if n := len(dst) &^ 15; n > 0 && Level != "go" {
		sums256(&dst[0], &lo[0], &hi[0], int64(n), before)
		before, dst, lo, hi = dst[n-1], dst[n:], lo[n:], hi[n:]
	}
	for i := range dst {
		u := uint16(lo[i]) | uint16(hi[i])<<8
		before += int16(u>>1 ^ -(u & 1))
		dst[i] = before
	}
}
