package simd

// The functions of this file are the plain Go twins of those of channel.go.

func channelSumGo(dst, x []float32) {
	c := len(dst)
	for ; len(x) >= c; x = x[c:] {
		for i, v := range x[:c] {
			dst[i] += v
		}
	}
}

func channelSquaresGo(dst, x, mean []float32) {
	c := len(dst)
	for ; len(x) >= c; x = x[c:] {
		for i, v := range x[:c] {
			d := v - mean[i]
			dst[i] += d * d
		}
	}
}

func scaleShiftGo(dst, x, a, b []float32) {
	c := len(a)
	for ; len(x) >= c; x, dst = x[c:], dst[c:] {
		for i, v := range x[:c] {
			dst[i] = v*a[i] + b[i]
		}
	}
}

func scaleShiftReLUGo(dst, x, a, b []float32) {
	c := len(a)
	for ; len(x) >= c; x, dst = x[c:], dst[c:] {
		for i, v := range x[:c] {
			dst[i] = max(0, v*a[i]+b[i])
		}
	}
}

func scaleShiftAddReLUGo(dst, x, a, b, s []float32) {
	c := len(a)
	for ; len(x) >= c; x, dst, s = x[c:], dst[c:], s[c:] {
		for i, v := range x[:c] {
			dst[i] = max(0, v*a[i]+b[i]+s[i])
		}
	}
}

func maskGo(dst, g, out []float32) {
	for i, o := range out {
		if v := g[i]; o > 0 {
			dst[i] = v
		} else {
			dst[i] = 0
		}
	}
}

func gradSumsGo(sum, dot, g, y, mean []float32) {
	c := len(sum)
	for ; len(g) >= c; g, y = g[c:], y[c:] {
		for i, v := range g[:c] {
			sum[i] += v
			dot[i] += v * (y[i] - mean[i])
		}
	}
}

func gradInputGo(dst, g, y, a, b, c []float32) {
	n := len(a)
	for ; len(g) >= n; g, y, dst = g[n:], y[n:], dst[n:] {
		for i, v := range g[:n] {
			dst[i] = a[i]*v + b[i]*y[i] + c[i]
		}
	}
}
