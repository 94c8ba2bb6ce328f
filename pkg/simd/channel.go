package simd

// The functions of this file work on rows of channels, len(x) a multiple of the number of channels, itself a multiple of
// Lanes: batch normalisation, its ReLU and its gradient, one pass over memory each.

// ChannelSum sets dst to the sum of rows.
func ChannelSum(dst, x []float32) { channelSumGo(dst, x) }

// ChannelSquares sets dst to the sum over rows of (x - mean)².
func ChannelSquares(dst, x, mean []float32) { channelSquaresGo(dst, x, mean) }

// ScaleShift sets dst to a·x + b, a and b by channel.
func ScaleShift(dst, x, a, b []float32) { scaleShiftGo(dst, x, a, b) }

// ScaleShiftReLU sets dst to max(0, a·x + b).
func ScaleShiftReLU(dst, x, a, b []float32) { scaleShiftReLUGo(dst, x, a, b) }

// ScaleShiftAddReLU sets dst to max(0, a·x + b + s), s of x's shape.
func ScaleShiftAddReLU(dst, x, a, b, s []float32) { scaleShiftAddReLUGo(dst, x, a, b, s) }

// Mask sets dst to g where out is positive, else 0: ReLU's gradient. dst may be g.
func Mask(dst, g, out []float32) { maskGo(dst, g, out) }

// GradSums adds the sums over rows of g and of g·(y - mean) to sum and dot.
func GradSums(sum, dot, g, y, mean []float32) { gradSumsGo(sum, dot, g, y, mean) }

// GradInput sets dst to a·g + b·y + c, a, b and c by channel. dst may be g.
func GradInput(dst, g, y, a, b, c []float32) { gradInputGo(dst, g, y, a, b, c) }
