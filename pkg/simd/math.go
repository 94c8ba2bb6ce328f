package simd

import "math"

// Exp is e^x in float32 to about 1e-7 of its value: 2^n times a polynomial for the rest (Cephes' expf, Moshier 1989).
// Below -87 it is 0, above 88 it stays at e^88.
func Exp(x float32) float32 {
	if x < -87 {
		return 0
	}
	x = min(x, 88)
	n := float32(int32(x*1.44269504088896341+192.5) - 192) // the nearest integer: above -126, so the sum is positive
	r := x - n*0.693359375 + n*2.12194440e-4
	p := float32(1.9875691500e-4)
	p = p*r + 1.3981999507e-3
	p = p*r + 8.3334519073e-3
	p = p*r + 4.1665795894e-2
	p = p*r + 1.6666665459e-1
	p = p*r + 5.0000001201e-1
	p = p*r*r + r + 1
	return p * math.Float32frombits(uint32(int32(n)+127)<<23)
}

// numbers are the constants of Exp and GELU, in the order of the kernels.
var numbers = [...]float32{-88, 88, 1.44269504088896341, 0.693359375, 2.12194440e-4,
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, math.Float32frombits(127),
	0, 1, // shift and scale of Exps
	-0.5, 0.3275911 * math.Sqrt2 / 2, 1, 1.061405429 / 2, -1.453152027 / 2, 1.421413741 / 2, -0.284496736 / 2, 0.254829592 / 2, 0.3989422804014327}

// whole is how many of so many elements kernels can do: plain Go does the rest.
func whole(n int) int {
	if Level == "go" {
		return 0
	}
	return n / Lanes * Lanes
}

// Exps sets y to Exp((x - shift)·scale); y may be x.
func Exps(y, x []float32, shift, scale float32) {
	n := whole(len(x))
	if t, ok := over(n, n, y, x); ok {
		table := numbers
		table[12], table[13] = shift, scale
		t.p[5] = &table[0]
		exps(&t)
	}
	for i, v := range x[n:] {
		y[n+i] = Exp((v - shift) * scale)
	}
}

// Add adds x to dst.
func Add(dst, x []float32) {
	n := whole(len(x))
	if t, ok := over(n, n, dst[:len(x)], x); ok {
		add(&t)
	}
	for i, v := range x[n:] {
		dst[n+i] += v
	}
}

// Mul multiplies dst by x.
func Mul(dst, x []float32) {
	n := whole(len(x))
	if t, ok := over(n, n, dst[:len(x)], x); ok {
		mul(&t)
	}
	for i, v := range x[n:] {
		dst[n+i] *= v
	}
}

// GELU sets y to x·Φ(x), Φ the normal distribution (Hendrycks, Gimpel 2016), and slope, unless nil, to its derivative.
// The error function is formula 7.1.26 of Abramowitz and Stegun, off by 1.5e-7 at most.
func GELU(y, slope, x []float32) {
	n := whole(len(x))
	if t, ok := over(n, n, y[:len(x)], x); ok {
		t.p[5] = &numbers[0]
		if slope == nil {
			gelu(&t)
		} else {
			t.p[2] = &slope[:len(x)][0]
			geluSlope(&t)
		}
	}
	if slope != nil {
		slope = slope[n:]
	}
	geluGo(y[n:], slope, x[n:])
}

func geluGo(y, slope, x []float32) {
	for i, v := range x {
		e := Exp(-v * v / 2)
		t := 1 / (1 + 0.3275911*float32(math.Sqrt2/2)*max(v, -v))
		q := t * (0.254829592 + t*(-0.284496736+t*(1.421413741+t*(-1.453152027+t*1.061405429)))) * e / 2 // Φ(-|x|)
		if v > 0 {
			q = 1 - q
		}
		y[i] = v * q
		if slope != nil {
			slope[i] = q + v*e*0.3989422804014327
		}
	}
}

// Adam is one step of AdamW: the gradient's factor, moments' weights (b and c: of the old and the new), the root of the
// second moment's bias correction, eps, the step's size with the first's, and the share of the weight that is kept.
type Adam struct{ Scale, B1, C1, B2, C2, Root, Eps, Size, Keep float32 }

// Step updates weights w and moments m and v from a gradient.
func (u *Adam) Step(w, g, m, v []float32) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	n := whole(len(w))
	if t, ok := over(n, n, w, g, m, v); ok {
		t.p[4] = &u.Scale
		adam(&t)
	}
	for i := n; i < len(w); i++ {
		x := g[i] * u.Scale
		m[i] = u.B1*m[i] + u.C1*x
		v[i] = u.B2*v[i] + u.C2*x*x
		w[i] = u.Keep*w[i] - u.Size*m[i]/(float32(math.Sqrt(float64(v[i])))*u.Root+u.Eps)
	}
}
