package simd

// The functions of this file work on rows of channels, len(x) a multiple of the number of channels, itself a multiple of
// Lanes: batch normalisation, its ReLU and its gradient, one pass over memory each.

// pass is what a kernel takes: so many rows of so many bytes, and pointers to what it reads and writes, the last of them
// to a table of constants.
type pass struct {
	rows, row int64
	p         [6]*float32
}

// over is a pass of rows of c channels over n elements; it is not ok where that is nothing or plain Go has to do it.
func over(n, c int, p ...[]float32) (t pass, ok bool) {
	if Level == "go" || n == 0 || c == 0 {
		return t, false
	}
	if n%c != 0 || c%Lanes != 0 {
		panic("simd: rows of channels that are not whole")
	}
	t = pass{rows: int64(n / c), row: int64(c) * 4}
	for i, s := range p {
		t.p[i] = &s[0]
	}
	return t, true
}

// ChannelSum sets dst to the sum of rows.
func ChannelSum(dst, x []float32) {
	clear(dst)
	if t, ok := over(len(x), len(dst), x, dst); ok {
		channelSum(&t)
		return
	}
	channelSumGo(dst, x)
}

// ChannelSquares adds to dst the sum over rows of (x - mean)².
func ChannelSquares(dst, x, mean []float32) {
	if t, ok := over(len(x), len(dst), x, dst, mean[:len(dst)]); ok {
		channelSquares(&t)
		return
	}
	channelSquaresGo(dst, x, mean)
}

// ScaleShift sets dst to a·x + b, a and b by channel.
func ScaleShift(dst, x, a, b []float32) {
	check(len(dst), len(x))
	if t, ok := over(len(x), len(a), dst, x, a, b[:len(a)]); ok {
		scaleShift(&t)
		return
	}
	scaleShiftGo(dst, x, a, b)
}

// ScaleShiftReLU sets dst to max(0, a·x + b).
func ScaleShiftReLU(dst, x, a, b []float32) {
	check(len(dst), len(x))
	if t, ok := over(len(x), len(a), dst, x, a, b[:len(a)]); ok {
		scaleShiftReLU(&t)
		return
	}
	scaleShiftReLUGo(dst, x, a, b)
}

// ScaleShiftAddReLU sets dst to max(0, a·x + b + s), s of x's shape.
func ScaleShiftAddReLU(dst, x, a, b, s []float32) {
	check(min(len(dst), len(s)), len(x))
	if t, ok := over(len(x), len(a), dst, x, s, a, b[:len(a)]); ok {
		scaleShiftAddReLU(&t)
		return
	}
	scaleShiftAddReLUGo(dst, x, a, b, s)
}

// Mask sets dst to g where out is positive, else 0: ReLU's gradient. dst may be g.
func Mask(dst, g, out []float32) {
	check(min(len(dst), len(g)), len(out))
	if t, ok := over(len(out), Lanes, dst, g, out); ok {
		t.rows, t.row = 1, 4*int64(len(out))
		mask(&t)
		return
	}
	maskGo(dst, g, out)
}

// GradSums adds the sums over rows of g and of g·(y - mean) to sum and dot.
func GradSums(sum, dot, g, y, mean []float32) {
	check(len(y), len(g))
	if t, ok := over(len(g), len(sum), g, y, sum, dot[:len(sum)], mean[:len(sum)]); ok {
		gradSums(&t)
		return
	}
	gradSumsGo(sum, dot, g, y, mean)
}

// GradInput sets dst to a·g + b·y + c, a, b and c by channel. dst may be g.
func GradInput(dst, g, y, a, b, c []float32) {
	check(min(len(dst), len(y)), len(g))
	if t, ok := over(len(g), len(a), dst, g, y, a, b[:len(a)], c[:len(a)]); ok {
		gradInput(&t)
		return
	}
	gradInputGo(dst, g, y, a, b, c)
}
