package simd

// shape picks the kernels for the next columns, so many left of which some of the panel are done: how many Lanes wide,
// the tallest, and all by height.
func shape(left, done int, pairs bool) (nv, tall int, kernels []func(*tile)) {
	wide := left >= Panel && done == 0
	switch {
	case pairs && wide:
		return 2, 14, rowsBF16_2[:]
	case pairs:
		return 1, 14, rowsBF16_1[:]
	case Level == "avx2":
		return 1, 6, rows256_2[:]
	case wide:
		return 2, 14, rows512_2[:]
	}
	return 1, 14, rows512_1[:]
}

// column is shape for columns kernels: the lowest, and all from it on. Every multiple of Lanes is cut into such heights.
func column(left int, pairs bool) (nv, low int, kernels []func(*tile)) {
	switch wide := left >= 2*Lanes; {
	case pairs && wide:
		return 2, 8, colsBF16_2[:]
	case pairs:
		return 1, 16, colsBF16_1[:]
	case Level == "avx2":
		return 1, 4, cols256_2[:]
	case wide:
		return 2, 8, cols512_2[:]
	}
	return 1, 16, cols512_1[:]
}
