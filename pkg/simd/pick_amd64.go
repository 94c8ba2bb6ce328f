package simd

// shape picks the kernels for the next columns, so many left of which some of the panel are done: how many Lanes wide,
// the tallest, and all by height.
func shape(left, done int) (nv, tall int, kernels []func(*tile)) {
	switch {
	case Level == "avx2":
		return 1, 6, rows256_2[:]
	case left >= Panel && done == 0:
		return 2, 14, rows512_2[:]
	}
	return 1, 14, rows512_1[:]
}

// column is shape for columns kernels, which have one height each.
func column(left int) (nv, height int, kernel func(*tile)) {
	switch {
	case Level == "avx2":
		return 1, 4, cols256_4x2
	case left >= 2*Lanes:
		return 2, 8, cols512_8x2
	}
	return 1, 16, cols512_16x1
}
